import { OpenAlgoShmError } from '../errors.ts';
import { endInOrder } from './ending.ts';
import { EXIT, reportFailure } from './failure.ts';

/** How long a command may take to end in order, ms. */
const ENDING_MS = 10_000;

let isService = false;

/**
 * What is printed may have nowhere to go: a full disk, a reader that has gone. A command then ends as at Ctrl-C, with
 * what it holds written and given back: quietly where the reader has gone, as `head` does, else with a line on stderr
 * and exit code 1. A service goes on: see {@link goOnWithoutOutput}.
 */
export function endWhenOutputFails(): void {
  // Every further write may fail, too.
  process.stdout.once('error', outputFailed).on('error', () => {});
  // Notes beside the output: without them a command does the same.
  process.stderr.on('error', () => {});
}

/**
 * Makes this process a service: what it prints is a log, and others live on its work. Output that cannot be written is
 * lost, with one line on stderr where the reader has not gone. A signal ends a service, a closed terminal's too.
 */
export function goOnWithoutOutput(): void {
  isService = true;
}

function outputFailed(cause: NodeJS.ErrnoException): void {
  const hasReaderGone = cause.code === 'EPIPE';
  const reason = `the output cannot be written: ${cause.message}`;
  if (isService) {
    if (!hasReaderGone) process.stderr.write(`openalgo-shm: warning: ${reason}; it is lost, all else goes on\n`);
    return;
  }
  const code = hasReaderGone ? EXIT.ok : reportFailure(new OpenAlgoShmError('ERR_FILE', reason, { cause }));
  process.exitCode = code;
  if (!endInOrder()) process.exit(code);
  setTimeout(() => process.exit(code), ENDING_MS).unref();
}
