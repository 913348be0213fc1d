import { OpenAlgoShmError } from '../errors.ts';
import { FIELDS, type DepthLevel, type FieldName, type Mode } from '../message.ts';
import type { RecordedTick } from '../recording/recorded-tick.ts';
import { TIME_FIELDS } from './dialect-table.ts';
import { readExchange, readSymbol } from './dialect-values.ts';

/** The value of a cell: text in CSV, typed in Parquet, absent as null, undefined or the empty text. */
export type Cell = unknown;

/** Columns that no other table has together. */
const OWN = ['recorded_at', 'exchange', 'symbol', 'mode'] as const;
const LEVEL = /^(buy|sell)_(\d{1,3})_(price|quantity|orders)$/;
/** A moment with its zone, as exports write it. */
const MOMENT = /^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:Z|[+-]\d{2}:\d{2})$/;

type Side = 'buy' | 'sell';
/** Places of a level's parts in a row. */
type LevelPlaces = { price?: number; quantity?: number; orders?: number };

/**
 * The rows of a table that `export` made, as the ticks that were recorded: every field as it was, in the same unit,
 * and the book, as deep as it was exported. Nothing is guessed.
 */
export class ExportedTicks {
  readonly #places: ReadonlyMap<string, number>;
  readonly #fields: readonly (readonly [FieldName, string, number])[];
  readonly #levels: Readonly<Record<Side, readonly LevelPlaces[]>>;

  private constructor(places: ReadonlyMap<string, number>) {
    this.#places = places;
    this.#fields = FIELDS.flatMap(([field, name]) => {
      const place = places.get(name);
      return place === undefined ? [] : [[field, name, place] as const];
    });
    this.#levels = levelsOf(places);
  }

  /** A reader of the rows of a table with these columns; undefined where it is no table of `export`. */
  static of(names: readonly string[]): ExportedTicks | undefined {
    const places = new Map(names.map((name, place) => [name, place]));
    return OWN.every((name) => places.has(name)) ? new ExportedTicks(places) : undefined;
  }

  /** True for a row whose book had more levels than the table has columns for. */
  isCut(row: readonly Cell[]): boolean {
    return (['buy', 'sell'] as const).some(
      (side) => Number(this.#cell(row, `${side}_levels`)) > this.#levels[side].length,
    );
  }

  /** @throws OpenAlgoShmError `ERR_MALFORMED_LINE`, `ERR_INVALID_SYMBOL` for a row that no export has written */
  tickOf(row: readonly Cell[]): RecordedTick {
    if (row.length !== this.#places.size) {
      throw malformed(`has ${row.length} columns, expected the ${this.#places.size} of the first line`);
    }
    const tick: RecordedTick = {
      symbol: readSymbol(this.#cell(row, 'symbol')),
      exchange: readExchange(this.#cell(row, 'exchange')),
      type: modeOf(this.#cell(row, 'mode')),
      recordedMs: momentOf(this.#cell(row, 'recorded_at')),
      publishNs: 0,
      publisher: String(this.#cell(row, 'broker') ?? ''),
    };
    for (const [field, name, place] of this.#fields) {
      const cell = row[place];
      if (isAbsent(cell)) continue;
      if (typeof cell === 'string' && TIME_FIELDS.includes(field) && /e/i.test(cell)) {
        throw malformed(`has the ${name} ${cell}, whose digits were cut off, as spreadsheets do`);
      }
      tick[field] = numberOf(name, cell);
    }
    const depth = this.#depthOf(row);
    if (depth !== undefined) tick.depth = depth;
    return tick;
  }

  #cell(row: readonly Cell[], name: string): Cell {
    return row[this.#places.get(name) ?? -1];
  }

  /** Absent where the row has no book; a book may be there and have no levels. */
  #depthOf(row: readonly Cell[]): RecordedTick['depth'] {
    const [buy, sell] = [this.#sideOf(row, 'buy'), this.#sideOf(row, 'sell')];
    return buy === undefined && sell === undefined ? undefined : { buy: buy ?? [], sell: sell ?? [] };
  }

  #sideOf(row: readonly Cell[], side: Side): DepthLevel[] | undefined {
    const count = this.#cell(row, `${side}_levels`);
    const places = this.#levels[side].filter(({ price }) => price !== undefined && !isAbsent(row[price]));
    if (places.length === 0 && isAbsent(count)) return undefined;
    return places.map(({ price, quantity, orders }) => ({
      price: numberOf(`${side}_price`, row[price!]),
      quantity: numberOf(`${side}_quantity`, row[quantity ?? -1] ?? 0),
      orders: numberOf(`${side}_orders`, row[orders ?? -1] ?? 0),
    }));
  }
}

function levelsOf(places: ReadonlyMap<string, number>): Record<Side, LevelPlaces[]> {
  const levels: Record<Side, LevelPlaces[]> = { buy: [], sell: [] };
  for (const [name, place] of places) {
    const [, side, level, part] = LEVEL.exec(name) ?? [];
    if (side === undefined) continue;
    (levels[side as Side][Number(level) - 1] ??= {})[part as keyof LevelPlaces] = place;
  }
  return { buy: levels.buy.filter(Boolean), sell: levels.sell.filter(Boolean) };
}

function isAbsent(cell: Cell): boolean {
  return cell === undefined || cell === null || cell === '';
}

function numberOf(name: string, cell: Cell): number {
  if (typeof cell === 'number' || typeof cell === 'bigint') return Number(cell);
  const number = typeof cell === 'string' && cell.trim() !== '' ? Number(cell) : Number.NaN;
  if (!Number.isNaN(number) || cell === 'NaN') return number;
  throw malformed(`has the ${name} ${JSON.stringify(cell)?.slice(0, 60)}, expected a number`);
}

function modeOf(cell: Cell): Mode {
  const mode = Number(cell);
  if (mode === 1 || mode === 2 || mode === 3) return mode;
  throw malformed(`has the mode ${JSON.stringify(cell)?.slice(0, 60)}, expected 1, 2 or 3`);
}

function momentOf(cell: Cell): number {
  const ms =
    cell instanceof Date ? cell.getTime() : MOMENT.test(String(cell)) ? new Date(String(cell)).getTime() : Number.NaN;
  if (!Number.isNaN(ms)) return ms;
  throw malformed(`has the recorded_at ${JSON.stringify(cell)?.slice(0, 60)}, expected a moment in UTC`);
}

function malformed(message: string): OpenAlgoShmError {
  return new OpenAlgoShmError('ERR_MALFORMED_LINE', message);
}
