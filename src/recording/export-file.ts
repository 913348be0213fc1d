import { rename, rm, stat } from 'node:fs/promises';
import { OpenAlgoShmError } from '../errors.ts';
import type { ExportOptions } from './export-columns.ts';
import { emptyContents, type RecordingContents } from './read-recording.ts';
import type { RecordedTick } from './recorded-tick.ts';

/** What was found in a recording, and what was made of it. */
export interface ExportedContents extends RecordingContents {
  /** Rows of the table. */
  rows: number;
}

/**
 * Writes beside the file and takes its place when all is well, so that nobody finds half a table.
 *
 * @throws OpenAlgoShmError `ERR_FILE`; `ERR_INVALID_ARGUMENT` where the table would replace its recording
 */
export async function exportTo(
  recording: string,
  file: string,
  write: (unfinished: string, contents: ExportedContents) => Promise<void>,
): Promise<ExportedContents> {
  if (await isSame(recording, file)) {
    throw new OpenAlgoShmError('ERR_INVALID_ARGUMENT', `${file} is the recording itself: give the table another name`);
  }
  const unfinished = `${file}.partial`;
  const contents = { ...emptyContents(), rows: 0 };
  try {
    await write(unfinished, contents);
    await rename(unfinished, file);
  } catch (error) {
    // Where even that fails, it is the first error that says why.
    await rm(unfinished, { force: true }).catch(() => {});
    if (error instanceof OpenAlgoShmError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new OpenAlgoShmError('ERR_FILE', `${file} cannot be written: ${reason}`, { cause: error });
  }
  return contents;
}

/** The ticks that the options ask for, counted. */
export async function* selected(
  runs: AsyncIterable<RecordedTick[]>,
  { symbols }: ExportOptions,
  contents: ExportedContents,
): AsyncGenerator<RecordedTick[]> {
  const wanted = symbols === undefined ? undefined : new Set(symbols);
  for await (const run of runs) {
    const rows = wanted === undefined ? run : run.filter(({ symbol }) => wanted.has(symbol));
    contents.rows += rows.length;
    yield rows;
  }
}

async function isSame(one: string, other: string): Promise<boolean> {
  const [first, second] = await Promise.all([one, other].map((path) => stat(path).catch(() => undefined)));
  return first !== undefined && first.ino === second?.ino && first.dev === second.dev;
}
