#!/usr/bin/env node
import { reportFailure } from './failure.ts';
import { createProgram } from './program.ts';

// Who reads our output may stop at any line, as head does.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

try {
  await createProgram().parseAsync();
} catch (error) {
  process.exitCode = reportFailure(error);
}
