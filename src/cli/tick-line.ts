import { FIELDS, type DepthLevel } from '../message.ts';
import type { TickView } from '../shm/tick-view.ts';

/** One tick as a line for people: `NSE:RELIANCE ltp=150.25 volume=1000`. */
export function tickLine(tick: TickView, depth: number): string {
  const parts = [`${tick.exchange}:${tick.symbol}`];
  for (const [name, wireName] of FIELDS) {
    const value = tick[name];
    if (value !== undefined) parts.push(`${wireName}=${value}`);
  }
  const book = depth > 0 ? tick.depth : undefined;
  if (book !== undefined) parts.push(`buy=${side(book.buy, depth)}`, `sell=${side(book.sell, depth)}`);
  parts.push(`broker=${tick.publisher}`);
  return parts.join(' ');
}

/** One tick as a line of JSON with the names of the wire; numbers that JSON does not know are null. */
export function tickJson(tick: TickView): string {
  const fields: Record<string, unknown> = {};
  for (const [name, wireName] of FIELDS) {
    const value = tick[name];
    if (value !== undefined) fields[wireName] = value;
  }
  const { depth } = tick;
  return JSON.stringify({
    symbol: tick.symbol,
    exchange: tick.exchange,
    mode: tick.mode,
    ...fields,
    ...(depth === undefined ? {} : { depth }),
    broker: tick.publisher,
  });
}

function side(levels: readonly DepthLevel[], depth: number): string {
  return levels
    .slice(0, depth)
    .map(({ price, quantity }) => `${quantity}@${price}`)
    .join(',');
}
