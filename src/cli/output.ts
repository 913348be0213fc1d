import { OpenAlgoShmError } from '../errors.ts';
import { endInOrder } from './ending.ts';
import { EXIT, reportFailure } from './failure.ts';

/** How long a command may take to end in order, ms. */
const ENDING_MS = 10_000;

/**
 * What is printed may have nowhere to go: a full disk, a reader that has gone. The command then ends as at Ctrl-C, with
 * what it holds written and given back: quietly where the reader has gone, as `head` does, else with a line on stderr
 * and exit code 1.
 */
export function endWhenOutputFails(): void {
  // Every further write fails, too.
  process.stdout.once('error', outputFailed).on('error', () => {});
  // Notes beside the output: without them a command does the same.
  process.stderr.on('error', () => {});
}

function outputFailed(cause: NodeJS.ErrnoException): void {
  const code =
    cause.code === 'EPIPE'
      ? EXIT.ok
      : reportFailure(new OpenAlgoShmError('ERR_FILE', `the output cannot be written: ${cause.message}`, { cause }));
  process.exitCode = code;
  if (!endInOrder()) process.exit(code);
  setTimeout(() => process.exit(code), ENDING_MS).unref();
}
