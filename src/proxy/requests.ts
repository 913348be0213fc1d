import { MAX_DEPTH_LEVELS, MAX_EXCHANGE_BYTES, MAX_SYMBOL_BYTES, type Mode } from '../message.ts';
import { WILDCARD } from '../shm/delivery.ts';
import { ALL_MODES, ALL_MODES_MASK, modeBit, readMode } from './modes.ts';
import { type Body, ProtocolError, echoed, isObject, kindOf } from './protocol.ts';

export { WILDCARD };

/** Longest `interval_ms` a client may ask for: an hour. */
export const MAX_INTERVAL_MS = 3_600_000;

const DEFAULT_DEPTH = 5;

/** One instrument of a request; `error` says why it cannot be served, and names are what is echoed of the client's values then. */
export interface RequestedInstrument {
  exchange: string;
  symbol: string;
  error?: string;
}

/** A `subscribe`, understood but for its entries, which {@link readInstrument} reads. */
export interface SubscribeRequest {
  entries: readonly Body[];
  modes: readonly Mode[];
  /** Levels a side, as asked for. */
  depth: number;
  /** At most one tick per instrument in this many ms; 0 for every tick. */
  intervalMs: number;
  /** Whether the client wants `feed_status` messages. */
  status: boolean;
  /** Whether it wants last values: of any age, none, or those that are sent unasked. */
  snapshot: boolean | undefined;
  requestId: unknown;
}

/** One instrument of an `unsubscribe` and the modes to leave. */
export interface RequestedLeave extends RequestedInstrument {
  modesMask: number;
}

/** An `unsubscribe` or `unsubscribe_all`, understood but for its entries, which {@link readLeave} reads. */
export interface UnsubscribeRequest {
  all: boolean;
  entries: readonly Body[];
  /** Modes that an entry means which names none. */
  modesMask: number;
  requestId: unknown;
}

/**
 * Reads a `subscribe` in either form.
 *
 * @param defaultExchange exchange of the short form, which names none.
 * @throws {ProtocolError} `INVALID_MODE`, `INVALID_PARAMETERS`, `SERVER_ERROR`.
 */
export function readSubscribe(body: Body, defaultExchange: string): SubscribeRequest {
  const modes = isShortForm(body) ? ALL_MODES : [body['mode'] === undefined ? 2 : readMode(body['mode'])];
  const entries = readEntries(body) ?? single(body, defaultExchange);
  if (entries === undefined) throw new ProtocolError('INVALID_PARAMETERS', 'At least one symbol must be specified');
  return {
    entries: entries.filter(isNamed),
    modes,
    depth: readDepth(body),
    intervalMs: readInterval(body['interval_ms']),
    status: body['status'] === true,
    snapshot: typeof body['snapshot'] === 'boolean' ? body['snapshot'] : undefined,
    requestId: echoed(body['request_id']),
  };
}

/**
 * Reads an `unsubscribe` in either form, or an `unsubscribe_all`. Without a mode it leaves every mode.
 *
 * @throws {ProtocolError} `INVALID_MODE`, `INVALID_PARAMETERS`, `SERVER_ERROR`.
 */
export function readUnsubscribe(body: Body, defaultExchange: string): UnsubscribeRequest {
  const requestId = echoed(body['request_id']);
  if (body['action'] === 'unsubscribe_all' || body['type'] === 'unsubscribe_all') {
    return { all: true, entries: [], modesMask: ALL_MODES_MASK, requestId };
  }
  const entries = readEntries(body) ?? single(body, defaultExchange);
  if (entries === undefined) {
    throw new ProtocolError('INVALID_PARAMETERS', 'Either symbols or unsubscribe_all is required');
  }
  const modesMask = body['mode'] === undefined ? ALL_MODES_MASK : modeBit(readMode(body['mode']));
  return { all: false, entries: entries.filter(isNamed), modesMask, requestId };
}

/** True when the message is a list of instruments, which may be longer than other messages. */
export function isBulk(body: Body): boolean {
  return Array.isArray(body['symbols']) || Array.isArray(body['instruments']);
}

function isShortForm(body: Body): boolean {
  return body['mode'] === undefined && !body['exchange'] && readEntries(body) === undefined;
}

function readEntries(body: Body): Body[] | undefined {
  const list = hasEntries(body['symbols']) ? body['symbols'] : body['instruments'];
  if (!hasEntries(list)) return undefined;
  if (!Array.isArray(list)) throw new ProtocolError('SERVER_ERROR', `symbols must be an array, got ${kindOf(list)}`);
  const entries: Body[] = [];
  for (const entry of list as unknown[]) {
    if (!isObject(entry)) {
      throw new ProtocolError('SERVER_ERROR', `Every entry of symbols must be an object, got ${kindOf(entry)}`);
    }
    entries.push(entry);
  }
  return entries;
}

function hasEntries(list: unknown): boolean {
  return Array.isArray(list) ? list.length > 0 : Boolean(list);
}

function single(body: Body, defaultExchange: string): Body[] | undefined {
  if (!body['symbol']) return undefined;
  return [{ symbol: body['symbol'], exchange: body['exchange'] || defaultExchange }];
}

function isNamed(entry: Body): boolean {
  return Boolean(entry['symbol']) && Boolean(entry['exchange']);
}

/** Reads one entry of a subscribe. */
export function readInstrument(entry: Body): RequestedInstrument {
  const { symbol, exchange } = entry;
  const error = nameError('symbol', symbol, MAX_SYMBOL_BYTES) ?? nameError('exchange', exchange, MAX_EXCHANGE_BYTES);
  if (error !== undefined) {
    return { symbol: (echoed(symbol) ?? null) as string, exchange: (echoed(exchange) ?? null) as string, error };
  }
  const instrument = { symbol: symbol as string, exchange: exchange as string };
  if (exchange === WILDCARD && symbol !== WILDCARD) {
    return { ...instrument, error: 'exchange "*" goes with symbol "*" only; name the exchange of this symbol' };
  }
  return instrument;
}

/** Reads one entry of an unsubscribe. @param commonMask modes that it means if it names none. */
export function readLeave(entry: Body, commonMask: number): RequestedLeave {
  const instrument = readInstrument(entry);
  if (entry['mode'] === undefined) return { ...instrument, modesMask: commonMask };
  try {
    return { ...instrument, modesMask: modeBit(readMode(entry['mode'])) };
  } catch (error) {
    return { ...instrument, modesMask: 0, error: (error as Error).message };
  }
}

function nameError(what: string, value: unknown, maxBytes: number): string | undefined {
  if (typeof value !== 'string') return `${what} must be a string, got ${kindOf(value)}`;
  const bytes = Buffer.byteLength(value);
  return bytes > maxBytes ? `${what} is ${bytes} bytes long; at most ${maxBytes} are possible` : undefined;
}

function readDepth(body: Body): number {
  const depth = body['depth'] ?? body['depth_level'];
  if (typeof depth !== 'number' || !Number.isInteger(depth) || depth < 1) return DEFAULT_DEPTH;
  return Math.min(depth, MAX_DEPTH_LEVELS);
}

function readInterval(value: unknown): number {
  if (value === undefined || value === null) return 0;
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= MAX_INTERVAL_MS) return value;
  throw new ProtocolError(
    'INVALID_PARAMETERS',
    `interval_ms must be a whole number of milliseconds from 0 to ${MAX_INTERVAL_MS}`,
  );
}
