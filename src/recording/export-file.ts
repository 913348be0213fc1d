import { rename, rm } from 'node:fs/promises';
import { OpenAlgoShmError } from '../errors.ts';
import type { ExportOptions } from './export-columns.ts';
import { emptyContents, type RecordingContents } from './read-recording.ts';
import type { RecordedTick } from './recorded-tick.ts';

/**
 * Writes beside the file and takes its place when all is well, so that nobody finds half a table.
 *
 * @throws OpenAlgoShmError `ERR_FILE`
 */
export async function exportTo(
  file: string,
  write: (unfinished: string, contents: RecordingContents) => Promise<void>,
): Promise<RecordingContents> {
  const unfinished = `${file}.partial`;
  const contents = emptyContents();
  try {
    await write(unfinished, contents);
    await rename(unfinished, file);
  } catch (error) {
    await rm(unfinished, { force: true });
    if (error instanceof OpenAlgoShmError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new OpenAlgoShmError('ERR_FILE', `${file} cannot be written: ${reason}`, { cause: error });
  }
  return contents;
}

/** The ticks that the options ask for. */
export async function* selected(
  runs: AsyncIterable<RecordedTick[]>,
  { symbols }: ExportOptions,
): AsyncGenerator<RecordedTick[]> {
  const wanted = symbols === undefined ? undefined : new Set(symbols);
  for await (const run of runs) yield wanted === undefined ? run : run.filter(({ symbol }) => wanted.has(symbol));
}
