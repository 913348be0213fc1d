import { statSync } from 'node:fs';
import { OpenAlgoShmError } from '../errors.ts';
import { MAX_DEPTH_LEVELS, type Tick } from '../message.ts';
import { CsvTicks } from './csv/ticks.ts';
import { TickNormaliser } from './dialect.ts';
import { readExchange, readSymbol } from './dialect-values.ts';
import { fileKind, type TextFile } from './file-kind.ts';
import { FileReport } from './file-report.ts';
import { JsonTicks } from './json-ticks.ts';
import { parquetTicks } from './parquet-ticks.ts';
import { recordedTicks } from './recorded-ticks.ts';
import { readText } from './text-file.ts';
import { linesOf } from './text-lines.ts';

export interface RecordingOptions {
  /** Symbol of lines that name none; needed for `timestamp,price`. */
  symbol?: string;
  /** Exchange of lines that name none. Default `NSE`. */
  exchange?: string;
  /** What a text is: CSV or JSON. Default: JSON where it begins with `{` or `[`, else CSV. */
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
  /** From 1. Of a recording or a table of Parquet, the number of the tick. */
  readonly number: number;
  /** The line, at most 200 characters of it. */
  readonly text: string;
  /** What is wrong with it. */
  readonly reason: string;
}

/** How far a recording has been read. */
export interface RecordingProgress {
  /** Lines read, in all passes. Of a recording, a table of Parquet and an array of JSON, ticks. */
  lines: number;
  /** Lines that hold no tick and should, in all passes. */
  malformed: number;
  /** Lines that rightly hold no tick, in all passes: headers, blank lines, messages of another kind. */
  passedOver: number;
  /** Books of a table of `export` that had more levels than were exported, in all passes. */
  cutBooks: number;
  /** Bytes of this pass. */
  bytesRead: number;
  /** Bytes of the file when it was opened first. */
  bytesTotal: number;
}

/** A file of ticks: what `record` wrote, what `export` made of it, CSV or JSON. What it is, its contents say. */
export class Recording {
  readonly file: string;
  readonly progress: RecordingProgress;
  readonly #options: RecordingOptions;
  readonly #normaliser: TickNormaliser;
  readonly #report: FileReport;

  /** @throws OpenAlgoShmError `ERR_FILE` where there is no such file; `ERR_INVALID_OPTION`; `ERR_INVALID_SYMBOL` */
  constructor(file: string, options: RecordingOptions = {}) {
    this.file = file;
    this.#options = options;
    this.#normaliser = new TickNormaliser({ ...options, strict: true });
    if (options.symbol !== undefined) readSymbol(options.symbol);
    if (options.exchange !== undefined) readExchange(options.exchange);
    this.progress = { lines: 0, malformed: 0, passedOver: 0, cutBooks: 0, bytesRead: 0, bytesTotal: sizeOf(file) };
    this.#report = new FileReport(file, this.progress, options);
  }

  /** Keys, or columns of CSV, that no field answers to, and how often each was seen. */
  get unknownKeys(): ReadonlyMap<string, number> {
    return this.#normaliser.unknownKeys;
  }

  /** The first malformed line; undefined where there was none so far. */
  get firstMalformed(): MalformedLine | undefined {
    return this.#report.firstFault;
  }

  /**
   * The ticks of the file from its beginning, a run of them at a time. Lines are read as the runs are iterated.
   *
   * @param depthLevels the deepest book that there is room for; a line with a deeper one counts as malformed
   * @throws OpenAlgoShmError `ERR_FILE`, for a file that holds no ticks by its kind, too; `ERR_INVALID_OPTION` for a
   *   CSV file whose symbol nobody names; where `strict`, `ERR_MALFORMED_LINE` with the file and the line
   */
  async *read(depthLevels: number = MAX_DEPTH_LEVELS): AsyncGenerator<Iterable<Tick>> {
    this.progress.bytesRead = 0;
    this.#report.depthLevels = depthLevels;
    const kind = await fileKind(this.file, this.#options.format);
    if (kind.kind === 'recording') yield* recordedTicks(this.file, this.#report);
    else if (kind.kind === 'parquet') yield* parquetTicks(this.file, this.#report);
    else yield* this.#readText(kind);
  }

  async *#readText({ kind, isCompressed, encoding, sample }: TextFile): AsyncGenerator<Iterable<Tick>> {
    const { progress } = this;
    const pieces = readText(this.file, isCompressed, encoding, (bytes) => {
      progress.bytesRead = Math.min(bytes, progress.bytesTotal);
    });
    const json = new JsonTicks(this.#normaliser, this.#options, this.#report);
    if (kind === 'json') {
      for await (const piece of pieces) yield json.readPiece(piece);
      yield json.endPieces();
      return;
    }
    const reader = kind === 'jsonl' ? json : new CsvTicks(this.#normaliser, this.#options, this.#report, sample);
    let read = 0;
    for await (const lines of linesOf(pieces, this.file)) {
      progress.lines += lines.length;
      yield reader.read(lines, read + 1);
      read += lines.length;
    }
    yield reader.end();
  }
}

function sizeOf(file: string): number {
  try {
    const stats = statSync(file);
    if (stats.isDirectory()) throw new Error('it is a directory');
    if (!stats.isFile())
      throw new Error('it is no file; what comes through a pipe cannot be read twice: write it to one');
    return stats.size;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new OpenAlgoShmError('ERR_FILE', `${file} cannot be read: ${reason}`, { cause: error });
  }
}
