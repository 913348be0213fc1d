import { OpenAlgoShmError } from '../errors.ts';
import type { Tick } from '../message.ts';
import type { TickNormaliser } from './dialect.ts';
import { KEY_RULES } from './dialect-names.ts';
import { completeTick, type DefaultInstrument, type TickLines } from './tick-lines.ts';
import { INDIA_UTC_OFFSET, parseTimestamp, parseUtcOffset } from './timestamps.ts';

/** The columns of a file without a header. */
const DEFAULT_COLUMNS = ['timestamp', 'ltp'] as const;
/** What the columns of common files are called, besides every name of a tick's field. */
const COLUMN_NAMES: ReadonlyMap<string, string> = new Map([
  ['price', 'ltp'],
  ['time', 'timestamp'],
  ['date', 'timestamp'],
  ['datetime', 'timestamp'],
]);
/** One cell, quoted or plain, and what ends it. No blank can be matched in two ways: that takes long in a long line. */
const CELL = /(?:\s*"((?:[^"]|"")*)"\s*|([^",]*))(,|$)/y;
const ANY_OFFSET = parseUtcOffset(INDIA_UTC_OFFSET);

/**
 * Ticks as CSV: `timestamp,price`, or whatever columns a header names by any name of OpenAlgo's fields. Columns of
 * other names are passed over. Cells may be quoted.
 */
export class CsvTicks implements TickLines {
  readonly #normaliser: TickNormaliser;
  readonly #instrument: DefaultInstrument;
  #columns: readonly string[] | undefined;

  constructor(normaliser: TickNormaliser, instrument: DefaultInstrument) {
    this.#normaliser = normaliser;
    this.#instrument = instrument;
  }

  parse(line: string): Tick | undefined {
    const cells = splitCells(line);
    if (this.#columns === undefined) {
      const header = headerOf(cells);
      this.#columns = header ?? DEFAULT_COLUMNS;
      this.#requireSymbol(this.#columns);
      if (header !== undefined) return undefined;
    }
    const columns = this.#columns;
    if (cells.length !== columns.length) {
      throw malformed(`has ${cells.length} columns, expected ${columns.length}: ${columns.join(',')}`);
    }
    const raw: Record<string, string> = {};
    for (const [index, column] of columns.entries()) raw[column] = cells[index] as string;
    return completeTick(this.#normaliser.normalise(raw), this.#instrument);
  }

  #requireSymbol(columns: readonly string[]): void {
    if (this.#instrument.symbol !== undefined || columns.includes('symbol')) return;
    throw new OpenAlgoShmError(
      'ERR_INVALID_OPTION',
      'a CSV file without a column "symbol" needs the symbol option: whose prices are these?',
    );
  }
}

/** The fields that a first line names, or undefined where it is data already. */
function headerOf(cells: readonly string[]): string[] | undefined {
  if (parseTimestamp(cells[0] ?? '', ANY_OFFSET) !== undefined) return undefined;
  const columns = cells.map(fieldOf);
  return columns.some((column) => KEY_RULES.has(column)) ? columns : undefined;
}

function fieldOf(column: string): string {
  const name = column.toLowerCase();
  return KEY_RULES.has(column) ? column : (COLUMN_NAMES.get(name) ?? name);
}

function splitCells(line: string): string[] {
  return line.includes('"') ? splitQuotedCells(line) : line.split(',').map((cell) => cell.trim());
}

function splitQuotedCells(line: string): string[] {
  const cells: string[] = [];
  const cell = new RegExp(CELL);
  for (;;) {
    const match = cell.exec(line);
    if (match === null) throw malformed('has a quote where none belongs');
    const [, quoted, plain = '', separator] = match;
    cells.push(quoted === undefined ? plain.trim() : quoted.replaceAll('""', '"'));
    if (separator !== ',') return cells;
  }
}

function malformed(message: string): OpenAlgoShmError {
  return new OpenAlgoShmError('ERR_MALFORMED_LINE', message);
}
