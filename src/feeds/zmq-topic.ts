import type { Mode } from '../message.ts';

/** What a message on OpenAlgo's bus is about. */
export type BusTopic =
  | { readonly kind: 'tick'; readonly exchange: string; readonly symbol: string; readonly mode: Mode }
  | { readonly kind: 'orders'; readonly userId: string; readonly mode: 'live' | 'analyze'; readonly broker?: string }
  | { readonly kind: 'cache' | 'positions' | 'margins' };

const MODES: ReadonlyMap<string, Mode> = new Map([
  ['LTP', 1],
  ['QUOTE', 2],
  ['DEPTH', 3],
]);

/** Exchanges whose own name has an underscore. */
const INDEX_EXCHANGES: ReadonlySet<string> = new Set(['NSE_INDEX', 'BSE_INDEX', 'MCX_INDEX', 'GLOBAL_INDEX']);

const EXCHANGES: ReadonlySet<string> = new Set([
  ...['NSE', 'NFO', 'CDS', 'BSE', 'BFO', 'BCD', 'MCX', 'NCDEX', 'NCO', 'CRYPTO'],
  ...INDEX_EXCHANGES,
]);

/**
 * Reads a topic, as `NSE_RELIANCE_LTP`, `NSE_INDEX_NIFTY_QUOTE`, `CRYPTO_SOL_INR_DEPTH`, with the broker before it as
 * old versions write it, `ZERODHA_user_orders`, `CACHE_INVALIDATE_ALL_user`. Undefined for any other.
 */
export function parseTopic(topic: string): BusTopic | undefined {
  if (topic.startsWith('CACHE_INVALIDATE_')) return { kind: 'cache' };
  const segments = topic.split('_');
  const last = segments.pop() as string;
  const mode = MODES.get(last);
  if (mode !== undefined) return tickTopic(segments, mode);
  if (last === 'orders') return ordersTopic(segments);
  return last === 'positions' || last === 'margins' ? { kind: last } : undefined;
}

function tickTopic(segments: readonly string[], mode: Mode): BusTopic | undefined {
  const from = exchangeAt(segments, 0) === undefined && exchangeAt(segments, 1) !== undefined ? 1 : 0;
  // An exchange that is not known yet is taken for one segment.
  const exchange = exchangeAt(segments, from) ?? segments[from] ?? '';
  const symbol = segments.slice(from + exchange.split('_').length).join('_');
  return exchange === '' || symbol === '' ? undefined : { kind: 'tick', exchange, symbol, mode };
}

/** The known exchange that begins at a segment, if there is a symbol behind it. */
function exchangeAt(segments: readonly string[], at: number): string | undefined {
  const two = segments.slice(at, at + 2).join('_');
  if (segments.length > at + 2 && INDEX_EXCHANGES.has(two)) return two;
  const one = segments[at] ?? '';
  return segments.length > at + 1 && EXCHANGES.has(one) ? one : undefined;
}

function ordersTopic([who = '', ...user]: readonly string[]): BusTopic | undefined {
  const userId = user.join('_');
  if (userId === '' || who === '') return undefined;
  if (who === 'ANALYZE') return { kind: 'orders', userId, mode: 'analyze' };
  return { kind: 'orders', userId, mode: 'live', broker: who.toLowerCase() };
}
