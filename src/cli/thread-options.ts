import { type Command, Option } from 'commander';
import { threadCount } from './option-values.ts';

/** The number of delivery threads. */
export interface ThreadFlags {
  threads: number;
  workers?: number;
}

/** Adds `--threads`, and `--workers`, its name in earlier versions. */
export function addThreadOptions(command: Command): void {
  command
    .addOption(
      new Option('--threads <n>', 'threads that bring ticks to clients, auto for one a core but one')
        .default(1)
        .argParser(threadCount),
    )
    .addOption(new Option('--workers <n>', 'the same, by its earlier name').argParser(threadCount));
}

/** The number that was asked for, by either name. */
export function threadsOf({ threads, workers }: ThreadFlags): number {
  return workers ?? threads;
}

/** Says that `--workers` is the earlier name, where it was used. */
export function warnOfWorkers({ workers }: ThreadFlags): void {
  if (workers === undefined) return;
  process.stderr.write(
    `openalgo-shm: --workers is now --threads: ${workers} of them in one process, and not ${workers} processes\n`,
  );
}
