import { parse } from 'csv-parse/sync';
import { OpenAlgoShmError } from '../../errors.ts';

/** A record of a table: the line on which it begins, its text, and its cells or why it has none. */
export interface CsvRecord {
  readonly line: number;
  readonly text: string;
  readonly cells: readonly string[] | OpenAlgoShmError;
}

/** A quoted cell that holds more line ends than this was never closed. */
const MOST_LINES = 50;
/** Longest record, in UTF-16 units. */
const MOST_CHARACTERS = 1 << 20;

const NEVER_CLOSED = 'has a quote that is never closed';

interface Piece {
  line: number;
  lines: string[];
}

/**
 * Takes the lines of a table for records. A quoted cell may hold line ends; one that is never closed costs the line
 * that opens it, and no other.
 */
export class CsvRecords {
  readonly #delimiter: string;
  readonly #trim: boolean;
  #open: Piece | undefined;

  /** @param trim blanks around cells are no part of them */
  constructor(delimiter: string, trim: boolean) {
    this.#delimiter = delimiter;
    this.#trim = trim;
  }

  /** The records that are complete with these lines. Blank lines are none. */
  *read(lines: readonly string[], firstLine: number): Generator<CsvRecord> {
    const whole: Piece[] = [];
    for (const [index, line] of lines.entries()) {
      if (this.#open === undefined && line.trim() === '') continue;
      const piece = this.#open ?? { line: firstLine + index, lines: [] };
      piece.lines.push(line);
      if (isClosed(piece)) {
        this.#open = undefined;
        whole.push(piece);
      } else if (isTooLong(piece)) {
        this.#open = undefined;
        yield* this.#cellsOf(whole.splice(0));
        yield* this.#giveUp(piece);
      } else {
        this.#open = piece;
      }
    }
    yield* this.#cellsOf(whole);
  }

  /** What is left when the last line was read. */
  *end(): Generator<CsvRecord> {
    while (this.#open !== undefined) {
      const piece = this.#open;
      this.#open = undefined;
      yield* this.#giveUp(piece);
    }
  }

  /** The lines of a record after its first, as records of their own: a quote may have been none. */
  *rereadAfterFirst({ line, text }: Pick<CsvRecord, 'line' | 'text'>): Generator<CsvRecord> {
    const alone = new CsvRecords(this.#delimiter, this.#trim);
    yield* alone.read(text.split('\n').slice(1), line + 1);
    yield* alone.end();
  }

  /** The first line is lost; those after it are read anew. */
  *#giveUp({ line, lines }: Piece): Generator<CsvRecord> {
    const [text = '', ...rest] = lines;
    yield { line, text, cells: malformed(NEVER_CLOSED) };
    yield* this.read(rest, line + 1);
  }

  *#cellsOf(pieces: readonly Piece[]): Generator<CsvRecord> {
    const texts = pieces.map(({ lines }) => lines.join('\n'));
    // Together they are read several times as fast; where one has a fault, each is read for itself.
    const together = this.#parse(texts.join('\n'));
    if (!(together instanceof OpenAlgoShmError) && together.length === pieces.length) {
      for (const [index, cells] of together.entries()) yield { line: pieces[index]!.line, text: texts[index]!, cells };
      return;
    }
    for (const [index, piece] of pieces.entries()) {
      const rows = this.#parse(texts[index]!);
      const { line, lines } = piece;
      if (rows instanceof OpenAlgoShmError && lines.length > 1) {
        yield { line, text: lines[0]!, cells: malformed(NEVER_CLOSED) };
        yield* this.rereadAfterFirst({ line, text: texts[index]! });
      } else {
        yield { line, text: texts[index]!, cells: onlyOne(rows) };
      }
    }
  }

  #parse(text: string): string[][] | OpenAlgoShmError {
    if (text === '') return [];
    try {
      return parse(text, {
        delimiter: this.#delimiter,
        trim: this.#trim,
        relax_column_count: true,
        record_delimiter: ['\n', '\r\n'],
        max_record_size: 0,
      });
    } catch (error) {
      return malformed(`has a quote where none belongs (${(error as Error).message.split('\n')[0]})`);
    }
  }
}

function isClosed({ lines }: Piece): boolean {
  let quotes = 0;
  for (const line of lines) {
    for (let at = line.indexOf('"'); at >= 0; at = line.indexOf('"', at + 1)) quotes++;
  }
  return quotes % 2 === 0;
}

function isTooLong({ lines }: Piece): boolean {
  return lines.length > MOST_LINES || lines.reduce((sum, line) => sum + line.length, 0) > MOST_CHARACTERS;
}

function onlyOne(rows: string[][] | OpenAlgoShmError): readonly string[] | OpenAlgoShmError {
  if (rows instanceof OpenAlgoShmError) return rows;
  return rows.length === 1 ? rows[0]! : malformed('has a quote where none belongs');
}

function malformed(reason: string): OpenAlgoShmError {
  return new OpenAlgoShmError('ERR_MALFORMED_LINE', reason);
}
