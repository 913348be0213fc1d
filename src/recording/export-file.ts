import { randomUUID } from 'node:crypto';
import { statSync } from 'node:fs';
import { open, readlink, realpath, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
import { OpenAlgoShmError } from '../errors.ts';
import { emptyContents, type RecordingContents } from './contents.ts';
import type { ExportOptions } from './export-columns.ts';
import type { RecordedTick } from './recorded-tick.ts';

/** What was found in a recording, and what was made of it. */
export interface ExportedContents extends RecordingContents {
  /** Rows of the table. */
  rows: number;
}

/** Where the rows of a table go. */
export interface Table {
  /** The file that is to be written, or the descriptor of one that is open. */
  readonly file: string | number;
  readonly contents: ExportedContents;
  /** The ticks that the options ask for, counted, of all in the recording. */
  selected(runs: AsyncIterable<RecordedTick[]>): AsyncGenerator<RecordedTick[]>;
}

/** Symbols that an error names. */
const NAMED_SYMBOLS = 5;

/**
 * Writes a table beside the file and puts it in its place when all is well, so that nobody finds half a table, and none
 * is replaced by nothing. A device, a pipe, or a file that this process has open is written to as it is.
 *
 * @throws OpenAlgoShmError `ERR_FILE`, also where there is no row to write; `ERR_INVALID_ARGUMENT` where the table would
 *   replace its recording
 */
export async function exportTo(
  recording: string,
  file: string,
  options: ExportOptions,
  write: (table: Table) => Promise<void>,
): Promise<ExportedContents> {
  if (await isSame(recording, file)) {
    throw new OpenAlgoShmError('ERR_INVALID_ARGUMENT', `${file} is the recording itself: give the table another name`);
  }
  const rows = new Rows(options);
  const { contents } = rows;
  const selected = (runs: AsyncIterable<RecordedTick[]>) => rows.select(runs);
  const place = await placeOf(file);
  const unfinished = place === undefined ? undefined : `${place}.${randomUUID()}.partial`;
  try {
    // New, so that nothing is written through a link that somebody has put there.
    if (unfinished !== undefined) await (await open(unfinished, 'wx')).close();
    await write({ file: unfinished ?? openDescriptor(file) ?? file, contents, selected });
    rows.check(recording);
    if (unfinished !== undefined) {
      await synchronise(unfinished);
      await rename(unfinished, place!);
    }
  } catch (error) {
    // Where even that fails, it is the first error that says why.
    if (unfinished !== undefined) await rm(unfinished, { force: true }).catch(() => {});
    if (error instanceof OpenAlgoShmError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new OpenAlgoShmError('ERR_FILE', `${file} cannot be written: ${reason}`, { cause: error });
  }
  return contents;
}

/** The ticks that become rows. */
class Rows {
  readonly contents: ExportedContents = { ...emptyContents(), rows: 0 };
  readonly #options: ExportOptions;
  readonly #seen = new Set<string>();

  constructor(options: ExportOptions) {
    this.#options = options;
  }

  async *select(runs: AsyncIterable<RecordedTick[]>): AsyncGenerator<RecordedTick[]> {
    const { symbols } = this.#options;
    const wanted = symbols === undefined ? undefined : new Set(symbols);
    for await (const run of runs) {
      this.#options.signal?.throwIfAborted();
      const rows = wanted === undefined ? run : run.filter(({ symbol }) => wanted.has(symbol));
      if (rows.length === 0) this.#note(run);
      this.contents.rows += rows.length;
      yield rows;
    }
  }

  /** Throws where the table is not what was asked for. */
  check(recording: string): void {
    const { rows, damages, blocksLost, ticks } = this.contents;
    const { symbols = [], strict } = this.#options;
    if (strict === true && damages > 0) {
      const places = damages === 1 ? 'one place' : `${damages} places`;
      const blocks = blocksLost === 1 ? 'a block is' : `${blocksLost} blocks are`;
      throw new OpenAlgoShmError(
        'ERR_FILE',
        `${recording} is damaged in ${places} and ${blocks} lost: export without strict what is left`,
      );
    }
    if (rows > 0) return;
    if (ticks === 0) throw new OpenAlgoShmError('ERR_FILE', `${recording} holds no tick: there is nothing to export`);
    const seen = [...this.#seen];
    throw new OpenAlgoShmError(
      'ERR_FILE',
      `none of the ${ticks} ticks of ${recording} is of ${symbols.join(', ')}: it has ${seen.join(', ')}${seen.length < NAMED_SYMBOLS ? '' : ' and perhaps others'}`,
    );
  }

  #note(run: readonly RecordedTick[]): void {
    for (const { symbol } of run) {
      if (this.#seen.size === NAMED_SYMBOLS) return;
      this.#seen.add(symbol);
    }
  }
}

/**
 * The descriptor of this process that a name such as `/dev/stdout` stands for, where that is a file. Whoever has opened
 * the file may have written to it before, and may go on behind the table.
 */
export function openDescriptor(file: string): number | undefined {
  const name = /^\/(?:dev|proc\/self)\/(?:fd\/(\d+)|stdout|stderr)$/.exec(file);
  if (name === null || statSync(file, { throwIfNoEntry: false })?.isFile() !== true) return undefined;
  return name[1] === undefined ? (file.endsWith('stdout') ? 1 : 2) : Number(name[1]);
}

/** What is replaced: the file that a link leads to. Undefined for what is written to as it is. */
async function placeOf(file: string): Promise<string | undefined> {
  if (openDescriptor(file) !== undefined) return undefined;
  const found = await stat(file).catch(() => undefined);
  // A link that leads to no file yet leads to the table then.
  if (found === undefined) return resolve(dirname(file), await readlink(file).catch(() => basename(file)));
  if (found.isDirectory()) throw new OpenAlgoShmError('ERR_FILE', `${file} is a directory: give the name of a file`);
  return found.isFile() ? realpath(file) : undefined;
}

async function synchronise(file: string): Promise<void> {
  const handle = await open(file, 'r+');
  await handle.datasync().finally(() => handle.close());
}

async function isSame(one: string, other: string): Promise<boolean> {
  const [first, second] = await Promise.all([one, other].map((path) => stat(path).catch(() => undefined)));
  return first !== undefined && first.ino === second?.ino && first.dev === second.dev;
}
