import { OpenAlgoShmError } from '../errors.ts';
import { MAX_EXCHANGE_BYTES, MAX_SYMBOL_BYTES, type DepthLevel, type Mode } from '../message.ts';
import { parseDecimal } from './decimal.ts';
import { MODES_BY_NAME, ORDERS_NAMES, QUANTITY_NAMES } from './dialect-names.ts';
import { epochToMs, parseTimestamp } from './timestamps.ts';

/** A dictionary whose values nobody has checked yet. */
export type RawRecord = { readonly [key: string]: unknown };

/** What Python prints for values that are not finite. */
const NOT_FINITE = /^[+-]?(?:nan|inf|infinity)$/i;
const TIME_OF_DAY = /^\s*\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?\s*$/;
const CONTROL = /\p{Cc}/u;

/** True for what brokers send where they have nothing to say: null, the empty string and a dash. */
export function isBlank(value: unknown): boolean {
  return value === undefined || value === null || value === '' || value === '-';
}

/** A number, from a number, a bigint or text with a number; what is not finite is NaN. Undefined where it is none. */
function numberOf(value: unknown): number | undefined {
  if (typeof value === 'number') return Number.isFinite(value) ? value : Number.NaN;
  if (typeof value === 'bigint') return Number(value);
  if (typeof value !== 'string') return undefined;
  const text = value.trim();
  return parseDecimal(text) ?? (NOT_FINITE.test(text) ? Number.NaN : undefined);
}

/**
 * A number, from a number, a bigint or text with a number. What is not finite becomes NaN.
 * @throws OpenAlgoShmError `ERR_INVALID_FIELD`
 */
export function readNumber(key: string, value: unknown): number {
  const number = numberOf(value);
  if (number === undefined) throw invalidNumber(key, value);
  return number;
}

/** True for a time without a date, as `15:29:55`: no moment that a field could hold. */
export function isTimeOfDay(value: unknown): boolean {
  return typeof value === 'string' && TIME_OF_DAY.test(value);
}

/**
 * Milliseconds since 1970.
 * @throws OpenAlgoShmError `ERR_INVALID_FIELD`
 */
export function readTime(key: string, value: unknown, defaultOffsetMinutes: number): number {
  if (typeof value === 'number') return epochToMs(value);
  if (typeof value === 'bigint') return epochToMs(Number(value));
  if (value instanceof Date) return value.getTime();
  if (typeof value === 'string') {
    const text = value.trim();
    const time = parseTimestamp(text, defaultOffsetMinutes);
    if (time !== undefined) return time;
    if (NOT_FINITE.test(text)) return Number.NaN;
  }
  throw invalidField(key, value, 'seconds or milliseconds since 1970, or a date and time as in ISO 8601');
}

/**
 * 1 or 0, from a boolean or from a number.
 * @throws OpenAlgoShmError `ERR_INVALID_FIELD`
 */
export function readFlag(key: string, value: unknown): number {
  if (value === true || value === 'true') return 1;
  if (value === false || value === 'false') return 0;
  if (value === 0 || value === 1) return value;
  throw invalidField(key, value, 'true or false');
}

/** An instrument's number, or undefined where the broker's token is text. */
export function tokenOf(value: unknown): number | undefined {
  const token = typeof value === 'string' ? parseDecimal(value.trim()) : value;
  return typeof token === 'number' && Number.isSafeInteger(token) ? token : undefined;
}

/** The mode under any of its names, in any case, or undefined. */
export function modeOf(value: unknown): Mode | undefined {
  if (value === 1 || value === 2 || value === 3) return value;
  return typeof value === 'string' ? MODES_BY_NAME.get(value.trim().toLowerCase()) : undefined;
}

/** @throws OpenAlgoShmError `ERR_INVALID_FIELD` */
export function readMode(key: string, value: unknown): Mode {
  const mode = modeOf(value);
  if (mode === undefined) throw invalidField(key, value, '1, 2, 3, ltp, quote, full or depth');
  return mode;
}

/** @throws OpenAlgoShmError `ERR_INVALID_SYMBOL` */
export function readSymbol(value: unknown): string {
  return readName('symbol', value, MAX_SYMBOL_BYTES);
}

/** @throws OpenAlgoShmError `ERR_INVALID_SYMBOL` */
export function readExchange(value: unknown): string {
  return readName('exchange', value, MAX_EXCHANGE_BYTES);
}

function readName(key: string, value: unknown, maxBytes: number): string {
  if (typeof value === 'string' && value.length > 0 && fitsIn(maxBytes, value) && !CONTROL.test(value)) return value;
  throw new OpenAlgoShmError(
    'ERR_INVALID_SYMBOL',
    `${key} must be text of 1 to ${maxBytes} bytes of UTF-8 without control characters, got ${describe(value)}`,
  );
}

function fitsIn(maxBytes: number, text: string): boolean {
  // A UTF-16 unit takes at most three bytes of UTF-8, so short names need no count.
  return text.length * 3 <= maxBytes || Buffer.byteLength(text) <= maxBytes;
}

/** @throws OpenAlgoShmError `ERR_INVALID_FIELD` */
export function readRecord(key: string, value: unknown): RawRecord {
  if (isRecord(value)) return value;
  throw invalidField(key, value, 'an object');
}

/** True for an object that is no array. */
export function isRecord(value: unknown): value is RawRecord {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * One side of a book, from levels as objects or as `[price, quantity, orders]`.
 * @throws OpenAlgoShmError `ERR_INVALID_FIELD`
 */
export function readSide(key: string, value: unknown): DepthLevel[] {
  if (isBlank(value)) return [];
  if (!Array.isArray(value)) throw invalidField(key, value, 'an array of price levels');
  return value.map((level: unknown, index) => {
    if (Array.isArray(level)) return readLevel(key, index, level[0], level[1], level[2]);
    if (!isRecord(level)) throw invalidField(`${key}[${index}]`, level, 'an object {price, quantity, orders}');
    return readLevel(key, index, level['price'], firstOf(level, QUANTITY_NAMES), firstOf(level, ORDERS_NAMES));
  });
}

function readLevel(
  key: string,
  index: number,
  rawPrice: unknown,
  rawQuantity: unknown,
  rawOrders: unknown,
): DepthLevel {
  const price = numberOf(rawPrice);
  if (price === undefined) throw invalidNumber(`${key}[${index}].price`, rawPrice);
  const quantity = numberOf(rawQuantity);
  if (quantity === undefined) throw invalidNumber(`${key}[${index}].quantity`, rawQuantity);
  if (isBlank(rawOrders)) return { price, quantity };
  const orders = numberOf(rawOrders);
  if (orders === undefined) throw invalidNumber(`${key}[${index}].orders`, rawOrders);
  return { price, quantity, orders };
}

function firstOf(record: RawRecord, names: readonly string[]): unknown {
  for (const name of names) {
    const value = record[name];
    if (value !== undefined) return value;
  }
  return undefined;
}

function invalidNumber(key: string, value: unknown): OpenAlgoShmError {
  return invalidField(key, value, 'a number or text with a number');
}

function invalidField(key: string, value: unknown, expected: string): OpenAlgoShmError {
  return new OpenAlgoShmError('ERR_INVALID_FIELD', `${key} must be ${expected}, got ${describe(value)}`);
}

function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (typeof value === 'string')
    return value.length > 60 ? `${JSON.stringify(value.slice(0, 60))}…` : JSON.stringify(value);
  if (typeof value === 'object' || typeof value === 'function') return `a value of type ${typeof value}`;
  return `${typeof value} ${String(value)}`;
}
