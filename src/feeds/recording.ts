import { statSync } from 'node:fs';
import { OpenAlgoShmError } from '../errors.ts';
import { MAX_DEPTH_LEVELS, type Tick } from '../message.ts';
import { CsvTicks } from './csv-ticks.ts';
import { TickNormaliser } from './dialect.ts';
import { readExchange, readSymbol } from './dialect-values.ts';
import { JsonTicks } from './json-ticks.ts';
import { recordedTicks, recordingKind } from './recorded-ticks.ts';
import { OVERLONG_LINE, readLines } from './text-lines.ts';
import type { TickLines } from './tick-lines.ts';

export interface RecordingOptions {
  /** Symbol of lines that name none; needed for `timestamp,price`. */
  symbol?: string;
  /** Exchange of lines that name none. Default `NSE`. */
  exchange?: string;
  /** What the lines are. Default: those of `record` where the file begins as it does, JSON where the first begins with `{`, else CSV. */
  format?: 'csv' | 'jsonl';
  /** End with `ERR_MALFORMED_LINE` at the first malformed line, instead of counting it. Default false. */
  strict?: boolean;
  /** Offset from UTC of dates and times that name none, as `Z` or `±hh:mm`. Default `+05:30`, India's. */
  utcOffset?: string;
  /** Called for every malformed line, before it is passed over. */
  onMalformedLine?: (line: MalformedLine) => void;
}

/** A line that holds no tick and should. */
export interface MalformedLine {
  readonly file: string;
  /** From 1. */
  readonly number: number;
  /** The line, at most 200 characters of it. */
  readonly text: string;
  /** What is wrong with it. */
  readonly reason: string;
}

/** How far a recording has been read. */
export interface RecordingProgress {
  /** Lines read, in all passes. */
  lines: number;
  /** Lines that hold no tick and should, in all passes. */
  malformed: number;
  /** Lines that rightly hold no tick, in all passes: headers, blank lines, messages of another kind. */
  passedOver: number;
  /** Bytes of this pass. */
  bytesRead: number;
  /** Bytes of the file when it was opened first. */
  bytesTotal: number;
}

const SHOWN_CHARACTERS = 200;

/** A file of ticks: what `record` wrote, CSV, or lines of JSON. */
export class Recording {
  readonly file: string;
  readonly progress: RecordingProgress;
  readonly #options: RecordingOptions;
  readonly #normaliser: TickNormaliser;

  /** @throws OpenAlgoShmError `ERR_FILE` where there is no such file; `ERR_INVALID_OPTION`; `ERR_INVALID_SYMBOL` */
  constructor(file: string, options: RecordingOptions = {}) {
    this.file = file;
    this.#options = options;
    this.#normaliser = new TickNormaliser({ ...options, strict: true });
    if (options.symbol !== undefined) readSymbol(options.symbol);
    if (options.exchange !== undefined) readExchange(options.exchange);
    this.progress = { lines: 0, malformed: 0, passedOver: 0, bytesRead: 0, bytesTotal: sizeOf(file) };
  }

  /** Keys that no field answers to, and how often each was seen. */
  get unknownKeys(): ReadonlyMap<string, number> {
    return this.#normaliser.unknownKeys;
  }

  /**
   * The ticks of the file from its beginning, a run of them at a time. Lines are read as the runs are iterated.
   *
   * @param depthLevels the deepest book that there is room for; a line with a deeper one counts as malformed
   * @throws OpenAlgoShmError `ERR_FILE`; `ERR_INVALID_OPTION` for a CSV file whose symbol nobody names; where `strict`,
   *   `ERR_MALFORMED_LINE` with the file and the line
   */
  async *read(depthLevels: number = MAX_DEPTH_LEVELS): AsyncGenerator<Iterable<Tick>> {
    this.progress.bytesRead = 0;
    if (this.#options.format === undefined && (await recordingKind(this.file)) !== 'other') {
      yield* recordedTicks(this.file, this.#options, this.progress, depthLevels);
      return;
    }
    const pass = new Pass(this, this.#options, this.#normaliser, depthLevels);
    for await (const lines of readLines(this.file)) yield pass.ticksOf(lines);
  }
}

/** One reading of a file from beginning to end. */
class Pass {
  readonly #file: string;
  readonly #progress: RecordingProgress;
  readonly #options: RecordingOptions;
  readonly #normaliser: TickNormaliser;
  readonly #depthLevels: number;
  #lines: TickLines | undefined;
  #number = 0;

  constructor(recording: Recording, options: RecordingOptions, normaliser: TickNormaliser, depthLevels: number) {
    this.#file = recording.file;
    this.#progress = recording.progress;
    this.#options = options;
    this.#normaliser = normaliser;
    this.#depthLevels = depthLevels;
  }

  *ticksOf(lines: readonly string[]): Generator<Tick> {
    for (const line of lines) {
      this.#number++;
      this.#progress.lines++;
      this.#progress.bytesRead = Math.min(
        this.#progress.bytesRead + Buffer.byteLength(line) + 1,
        this.#progress.bytesTotal,
      );
      const tick = this.#tickOn(line.trim());
      if (tick !== undefined) yield tick;
    }
  }

  #tickOn(line: string): Tick | undefined {
    try {
      if (line === OVERLONG_LINE) throw new OpenAlgoShmError('ERR_MALFORMED_LINE', 'is longer than 1 Mi characters');
      const tick = line === '' ? undefined : this.#linesBeginningWith(line).parse(line);
      if (tick === undefined) this.#progress.passedOver++;
      else this.#checkDepth(tick);
      return tick;
    } catch (error) {
      if (!(error instanceof OpenAlgoShmError) || error.code === 'ERR_INVALID_OPTION') throw error;
      this.#report(line, error);
      return undefined;
    }
  }

  #linesBeginningWith(line: string): TickLines {
    const format = this.#options.format ?? (line.startsWith('{') ? 'jsonl' : 'csv');
    this.#lines ??= new (format === 'csv' ? CsvTicks : JsonTicks)(this.#normaliser, this.#options);
    return this.#lines;
  }

  #checkDepth({ depth }: Tick): void {
    if (depth === undefined) return;
    const deepest = Math.max(depth.buy.length, depth.sell.length);
    if (deepest > this.#depthLevels) {
      const room = `the ring has room for ${this.#depthLevels}: create it with depthLevels ${deepest}`;
      throw new OpenAlgoShmError('ERR_BOOK_TOO_DEEP', `has a book of ${deepest} levels a side, ${room}`);
    }
  }

  #report(line: string, error: OpenAlgoShmError): void {
    this.#progress.malformed++;
    const { message: reason } = error;
    const text = line.slice(0, SHOWN_CHARACTERS);
    this.#options.onMalformedLine?.({ file: this.#file, number: this.#number, text, reason });
    if (this.#options.strict === true) {
      const where = `${this.#file}:${this.#number}`;
      throw new OpenAlgoShmError('ERR_MALFORMED_LINE', `${where}: ${reason}; the line is ${text}`, { cause: error });
    }
  }
}

function sizeOf(file: string): number {
  try {
    const stats = statSync(file);
    if (stats.isDirectory()) throw new Error('it is a directory');
    return stats.size;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new OpenAlgoShmError('ERR_FILE', `${file} cannot be read: ${reason}`, { cause: error });
  }
}
