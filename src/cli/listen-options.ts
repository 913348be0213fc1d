import { type Command, Option } from 'commander';
import { wholeNumber } from './option-values.ts';

/** The values of {@link addListenOptions}. */
export interface ListenFlags {
  host: string;
  port: number;
}

/** Where OpenAlgo's clients look for a proxy. */
export const DEFAULT_HOST = '127.0.0.1';
export const DEFAULT_PORT = 8765;

/** `--host` and `--port`. */
export function addListenOptions(command: Command): Command {
  return command
    .addOption(new Option('--host <address>', 'address to listen on').default(DEFAULT_HOST))
    .addOption(
      new Option('--port <n>', 'port to listen on, 0 for any that is free')
        .default(DEFAULT_PORT)
        .argParser(wholeNumber(0, 65_535)),
    );
}
