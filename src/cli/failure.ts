import { CommanderError } from 'commander';
import { OpenAlgoShmError, type ErrorCode } from '../errors.ts';
import { ChildFailure } from './child-process.ts';
import { printable } from './printable.ts';
import { SetupError } from './setup-error.ts';

/** What a command's exit code says. */
export const EXIT = { ok: 0, failure: 1, usage: 2 } as const;

/** Errors that the words of the command line caused. */
const USAGE_CODES: readonly ErrorCode[] = ['ERR_INVALID_OPTION', 'ERR_INVALID_ARGUMENT', 'ERR_SHM_NAME'];

/** The exit code that an error stands for. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  if (error instanceof ChildFailure) return error.exitCode || EXIT.failure;
  if (error instanceof SetupError) return EXIT.usage;
  return error instanceof OpenAlgoShmError && USAGE_CODES.includes(error.code) ? EXIT.usage : EXIT.failure;
}

/** Prints an error as one line with its code and what to do; with `DEBUG` set, the stack as well. Returns the exit code. */
export function reportFailure(error: unknown): number {
  if (!hasBeenPrinted(error)) {
    process.stderr.write(`openalgo-shm: ${describe(error)}\n`);
    if (process.env['DEBUG'] && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  }
  return exitCodeOf(error);
}

/** Commander prints its own errors, and a child process those that it ended with. */
function hasBeenPrinted(error: unknown): boolean {
  return error instanceof CommanderError || (error instanceof ChildFailure && Boolean(error.exitCode));
}

function describe(error: unknown): string {
  if (error instanceof OpenAlgoShmError) return `${error.code}: ${onOneLine(error.message)}`;
  if (!(error instanceof Error)) return onOneLine(String(error));
  const { code } = error as { code?: unknown };
  const message = onOneLine(error.message);
  const hint = process.env['DEBUG'] ? '' : ' (DEBUG=1 shows where)';
  return typeof code === 'string' ? `${code}: ${message}${hint}` : `${message}${hint}`;
}

function onOneLine(text: string): string {
  return printable(text.replaceAll(/\s*\n\s*/g, ' '));
}
