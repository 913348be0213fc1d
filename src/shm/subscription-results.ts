import { MAX_DEPTH_LEVELS, MAX_EXCHANGE_BYTES, MAX_SYMBOL_BYTES, type Mode } from '../message.ts';
import { MAX_EVENT_BYTES, type RingEvent } from './events.ts';

/** What became of a subscription at a feed's broker. */
export interface SubscriptionResult {
  exchange: string;
  symbol: string;
  mode: Mode;
  /**
   * - `success`: the broker took it.
   * - `error`: the broker refused it.
   * - `ended`: the feed no longer subscribes it.
   */
  status: 'success' | 'error' | 'ended';
  /** Levels a side that will really come, of a success in mode 3. */
  depth?: number;
  /** The broker's reason for an error. */
  message?: string;
}

/** Longest reason that is passed on, in characters: with it every result fits into an event. */
const MAX_MESSAGE_LENGTH = 200;
const NO_REASON = 'The broker refused the subscription';

/** Results as events, as many in each as fit. */
export function* resultEvents(feed: string, results: Iterable<SubscriptionResult>): Generator<RingEvent> {
  const empty = Buffer.byteLength(JSON.stringify(eventOf(feed, [])));
  let gathered: SubscriptionResult[] = [];
  let bytes = empty;
  for (const result of results) {
    const next = shortened(result);
    const length = Buffer.byteLength(JSON.stringify(next)) + 1;
    if (gathered.length > 0 && bytes + length > MAX_EVENT_BYTES) {
      yield eventOf(feed, gathered);
      gathered = [];
      bytes = empty;
    }
    gathered.push(next);
    bytes += length;
  }
  if (gathered.length > 0) yield eventOf(feed, gathered);
}

/** The results of an event, and how many of them were none. Another process may have written anything. */
export function readResults({ results }: RingEvent): { results: SubscriptionResult[]; malformed: number } {
  if (!Array.isArray(results)) return { results: [], malformed: 1 };
  const read = results.map((value: unknown) => readResult(value));
  const known = read.filter((result) => result !== undefined);
  return { results: known, malformed: read.length - known.length };
}

function eventOf(feed: string, results: readonly SubscriptionResult[]): RingEvent {
  return { type: 'subscription_result', feed, results };
}

function shortened(result: SubscriptionResult): SubscriptionResult {
  const { exchange, symbol, mode, status, depth, message } = result;
  return {
    exchange,
    symbol,
    mode,
    status,
    ...(depth !== undefined && { depth }),
    ...(message !== undefined && { message: message.slice(0, MAX_MESSAGE_LENGTH) }),
  };
}

function readResult(value: unknown): SubscriptionResult | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { exchange, symbol, mode, status, depth, message } = value as Record<string, unknown>;
  if (!isName(exchange, MAX_EXCHANGE_BYTES) || !isName(symbol, MAX_SYMBOL_BYTES)) return undefined;
  if (mode !== 1 && mode !== 2 && mode !== 3) return undefined;
  switch (status) {
    case 'success':
      if (!isGiven(depth)) return { exchange, symbol, mode, status };
      return isDepth(depth) ? { exchange, symbol, mode, status, depth } : undefined;
    case 'error':
      if (isGiven(message) && typeof message !== 'string') return undefined;
      return { exchange, symbol, mode, status, message: message || NO_REASON };
    case 'ended':
      return { exchange, symbol, mode, status };
    default:
      return undefined;
  }
}

function isName(value: unknown, maxBytes: number): value is string {
  return typeof value === 'string' && value !== '' && Buffer.byteLength(value) <= maxBytes;
}

function isDepth(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= MAX_DEPTH_LEVELS;
}

// A mode without a book may come with a depth of 0.
function isGiven<T>(value: T): value is NonNullable<T> {
  return value !== undefined && value !== null && value !== 0;
}
