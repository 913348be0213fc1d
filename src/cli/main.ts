#!/usr/bin/env node
import { reportFailure } from './failure.ts';

// Who reads our output may stop at any line, as head does.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

try {
  // Loaded here, so that a missing native addon is an error like any other.
  const { createProgram } = await import('./program.ts');
  await createProgram().parseAsync();
} catch (error) {
  process.exitCode = reportFailure(error);
}
