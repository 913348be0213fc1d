#!/usr/bin/env node
import { reportFailure } from './failure.ts';
import { endWhenOutputFails } from './output.ts';

endWhenOutputFails();

try {
  // Loaded here, so that a missing native addon is an error like any other.
  const { createProgram } = await import('./program.ts');
  await createProgram().parseAsync();
} catch (error) {
  process.exitCode = reportFailure(error);
}
