import type { MarketDepth } from '../message.ts';
import type { TickView } from '../shm/tick-view.ts';

/** The newest that is known of one instrument. */
export interface TickRow {
  readonly exchange: string;
  readonly symbol: string;
  ltp?: number;
  changePercent?: number;
  volume?: number;
  bid?: number;
  ask?: number;
  oi?: number;
  depth?: MarketDepth;
  broker: string;
  /** Number of ticks seen. */
  ticks: number;
  /** Publish time of the newest, ns of `process.hrtime`'s clock. */
  publishNs: number;
}

/** What rows can be sorted by, and how to compare two of them. */
const ORDERS = {
  symbol: (a: TickRow, b: TickRow) => a.symbol.localeCompare(b.symbol) || a.exchange.localeCompare(b.exchange),
  ltp: (a: TickRow, b: TickRow) => known(b.ltp) - known(a.ltp),
  change: (a: TickRow, b: TickRow) => known(b.changePercent) - known(a.changePercent),
  volume: (a: TickRow, b: TickRow) => known(b.volume) - known(a.volume),
  oi: (a: TickRow, b: TickRow) => known(b.oi) - known(a.oi),
  ticks: (a: TickRow, b: TickRow) => b.ticks - a.ticks,
  age: (a: TickRow, b: TickRow) => b.publishNs - a.publishNs,
} as const;

export type SortKey = keyof typeof ORDERS;
export const SORT_KEYS = Object.keys(ORDERS) as SortKey[];

/** The newest of every instrument, from whatever its ticks carry. */
export class TickRows {
  readonly #rows = new Map<string, TickRow>();

  get size(): number {
    return this.#rows.size;
  }

  /** Takes in what a tick carries; what it does not, stays. Older last values of another source change nothing known. */
  update(tick: TickView): TickRow {
    const row = this.#row(tick.exchange, tick.symbol);
    if (row.publishNs > tick.publishNs && tick.ageMs !== undefined) return row;
    row.ticks++;
    row.broker = tick.publisher;
    row.publishNs = tick.publishNs;
    for (const field of ['ltp', 'changePercent', 'volume', 'bid', 'ask', 'oi'] as const) {
      const value = tick[field];
      if (value !== undefined) row[field] = value;
    }
    if (tick.mode === 3) {
      const { depth } = tick;
      if (depth !== undefined) row.depth = depth;
    }
    return row;
  }

  /** All rows in order: the largest, newest or most active first, symbols from A to Z; or the other way round. */
  sorted(key: SortKey, reverse: boolean): TickRow[] {
    const rows = [...this.#rows.values()].sort(ORDERS[key]);
    return reverse ? rows.reverse() : rows;
  }

  #row(exchange: string, symbol: string): TickRow {
    const key = `${exchange}:${symbol}`;
    let row = this.#rows.get(key);
    if (row === undefined) {
      row = { exchange, symbol, broker: '', ticks: 0, publishNs: 0 };
      this.#rows.set(key, row);
    }
    return row;
  }
}

function known(value: number | undefined): number {
  return value === undefined || Number.isNaN(value) ? Number.NEGATIVE_INFINITY : value;
}
