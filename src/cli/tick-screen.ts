import Table from 'cli-table3';
import type { MarketDepth } from '../message.ts';
import { colours } from './colours.ts';
import { count, duration } from './figures.ts';
import type { TickRow } from './tick-rows.ts';

/** What is on the screen beside the rows. */
export interface ScreenContext {
  title: string;
  footer: string;
  /** Lines and columns of the terminal. */
  lines: number;
  columns: number;
  /** Levels of the books to show; 0 for none. */
  depth: number;
  nowNs: number;
}

const NO_BORDERS = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '  ',
};
const STYLE = { 'padding-left': 0, 'padding-right': 0, head: [], border: [] };

/** The rows as a table that fits the terminal, and the books of as many of them as there is room for. */
export function screenOf(rows: readonly TickRow[], context: ScreenContext): string {
  const room = Math.max(1, context.lines - 4);
  const linesOfBook = context.depth + 2;
  const roomForBooks = Math.max(room / 2, room - rows.length);
  const books =
    context.depth > 0 ? rows.filter(hasBook).slice(0, Math.max(1, Math.floor(roomForBooks / linesOfBook))) : [];
  const shown = rows.slice(0, Math.max(1, room - books.length * linesOfBook));
  const parts = [colours.bold(context.title), quoteTable(shown, context)];
  for (const row of books) parts.push(bookTable(row, context.depth));
  const hidden = rows.length - shown.length;
  parts.push(colours.dim(hidden > 0 ? `${context.footer}, ${count(hidden)} more rows` : context.footer));
  return parts.join('\n');
}

function quoteTable(rows: readonly TickRow[], { nowNs, columns }: ScreenContext): string {
  const wide = columns >= 100;
  const table = new Table({
    chars: NO_BORDERS,
    style: STYLE,
    head: [
      'symbol',
      'exchange',
      'ltp',
      'change',
      'bid',
      'ask',
      'volume',
      ...(wide ? ['oi', 'ticks', 'age', 'broker'] : ['age']),
    ].map((text) => colours.dim(text)),
    colAligns: ['left', 'left', 'right', 'right', 'right', 'right', 'right', 'right', 'right', 'right', 'left'],
  });
  for (const row of rows) {
    const age = duration(Math.max(0, nowNs - row.publishNs));
    const extra = wide ? [whole(row.oi), count(row.ticks), age, row.broker] : [age];
    table.push([
      row.symbol,
      row.exchange,
      colours.bold(price(row.ltp)),
      change(row.changePercent),
      price(row.bid ?? row.depth?.buy[0]?.price),
      price(row.ask ?? row.depth?.sell[0]?.price),
      whole(row.volume),
      ...extra,
    ]);
  }
  return table.toString();
}

function bookTable({ symbol, exchange, depth }: TickRow & { depth: MarketDepth }, levels: number): string {
  const table = new Table({
    chars: NO_BORDERS,
    style: STYLE,
    head: [`${exchange}:${symbol}`, 'orders', 'quantity', 'bid', 'ask', 'quantity', 'orders'].map((text) =>
      colours.dim(text),
    ),
    colAligns: ['left', 'right', 'right', 'right', 'left', 'left', 'left'],
  });
  for (let level = 0; level < levels; level++) {
    const buy = depth.buy[level];
    const sell = depth.sell[level];
    if (buy === undefined && sell === undefined) break;
    table.push([
      '',
      whole(buy?.orders),
      whole(buy?.quantity),
      colours.green(price(buy?.price)),
      colours.red(price(sell?.price)),
      whole(sell?.quantity),
      whole(sell?.orders),
    ]);
  }
  return table.toString();
}

function hasBook(row: TickRow): row is TickRow & { depth: MarketDepth } {
  return row.depth !== undefined && row.depth.buy.length + row.depth.sell.length > 0;
}

function price(value: number | undefined): string {
  if (value === undefined) return '';
  return Number.isFinite(value) ? value.toFixed(Number.isInteger(value * 100) || Math.abs(value) >= 1 ? 2 : 6) : '–';
}

function whole(value: number | undefined): string {
  return value === undefined ? '' : count(value);
}

function change(percent: number | undefined): string {
  if (percent === undefined || !Number.isFinite(percent)) return '';
  const text = `${percent >= 0 ? '+' : ''}${percent.toFixed(2)} %`;
  return percent >= 0 ? colours.green(text) : colours.red(text);
}
