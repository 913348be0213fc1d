import { OpenAlgoShmError } from '../errors.ts';
import { MAX_EXCHANGE_BYTES, MAX_SYMBOL_BYTES, type DepthLevel, type Mode } from '../message.ts';
import { parseDecimal, parseGrouped } from './decimal.ts';
import { MODES_BY_NAME } from './dialect-names.ts';
import { ORDERS_NAMES, QUANTITY_NAMES } from './dialect-table.ts';
import { epochToMs, ofMarket, parseTimestamp } from './timestamps.ts';

/** A dictionary whose values nobody has checked yet. */
export type RawRecord = { readonly [key: string]: unknown };

/** A value that cannot be read: where it stands, what it is, and what was expected. */
export class Fault {
  readonly place: string;
  readonly value: unknown;
  readonly expected: string;

  constructor(place: string, value: unknown, expected: string) {
    this.place = place;
    this.value = value;
    this.expected = expected;
  }

  /** The error for callers that want none of a tick with a fault. */
  toError(): OpenAlgoShmError {
    return new OpenAlgoShmError(
      'ERR_INVALID_FIELD',
      `${this.place} must be ${this.expected}, got ${describe(this.value)}`,
    );
  }
}

export const EXPECTED = {
  number: 'a number or text with a number',
  time: 'seconds or milliseconds since 1970, or a date and time as in ISO 8601',
  flag: 'true or false',
  mode: '1, 2, 3, ltp, quote, full or depth',
  object: 'an object',
} as const;

/** What Python prints for values that are not finite. */
const NOT_FINITE = /^[+-]?(?:nan|inf|infinity)$/i;
const TIME_OF_DAY = /^\s*\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:\s*[ap]m)?\s*$/i;
const CONTROL = /\p{Cc}/u;

/** True for what brokers send where they have nothing to say: null, the empty string and a dash. */
export function isBlank(value: unknown): boolean {
  return value === undefined || value === null || value === '' || value === '-';
}

/** A number, from a number, a bigint or text with a number. What is not finite becomes NaN. Undefined where it is none. */
export function numberOf(value: unknown): number | undefined {
  const number = anyNumberOf(value);
  return number === undefined || Number.isFinite(number) ? number : Number.NaN;
}

function anyNumberOf(value: unknown): number | undefined {
  if (typeof value === 'number') return value;
  if (typeof value === 'bigint') return Number(value);
  if (typeof value !== 'string') return undefined;
  const text = value.trim();
  return parseDecimal(text) ?? parseGrouped(text) ?? (NOT_FINITE.test(text) ? Number.NaN : undefined);
}

/** A number, also with a percent sign behind it. Undefined where it is none. */
export function percentOf(value: unknown): number | undefined {
  const number = numberOf(value);
  if (number !== undefined || typeof value !== 'string') return number;
  const text = value.trim();
  const percent = text.endsWith('%') ? numberOf(text.slice(0, -1)) : undefined;
  return Number.isFinite(percent) ? percent : undefined;
}

/** True for a time without a date, as `15:29:55` or `03:29:55 PM`: no moment that a field could hold. */
export function isTimeOfDay(value: unknown): boolean {
  return typeof value === 'string' && TIME_OF_DAY.test(value);
}

/** Milliseconds since 1970, or undefined. */
export function timeOf(value: unknown, defaultOffsetMinutes: number): number | undefined {
  if (typeof value === 'number') return epochToMs(value);
  if (typeof value === 'bigint') return epochToMs(Number(value));
  if (value instanceof Date) return ofMarket(value.getTime());
  if (typeof value !== 'string') return undefined;
  const text = value.trim();
  return parseTimestamp(text, defaultOffsetMinutes) ?? (NOT_FINITE.test(text) ? Number.NaN : undefined);
}

/** 1 or 0, from a boolean or from a number, or undefined. */
export function flagOf(value: unknown): number | undefined {
  if (value === true || value === 'true') return 1;
  if (value === false || value === 'false') return 0;
  return value === 0 || value === 1 ? value : undefined;
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

/** True for an object that is no array. */
export function isRecord(value: unknown): value is RawRecord {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Levels of a side that are looked at; no ring has room for more. */
const MOST_LEVELS = 255;

/** What the parts of a price level are called. */
const LEVEL_PARTS: ReadonlyMap<string, 'price' | 'quantity' | 'orders'> = new Map([
  ['price', 'price'],
  ...QUANTITY_NAMES.map((name) => [name, 'quantity'] as const),
  ...ORDERS_NAMES.map((name) => [name, 'orders'] as const),
]);

/** What could be read of one side of a book, and the first thing that could not. */
export interface ReadSide {
  readonly levels: DepthLevel[];
  readonly fault: Fault | undefined;
}

/**
 * One side of a book, from levels as objects or as `[price, quantity, orders]`. Levels that say nothing are left out,
 * and so are those whose price or quantity cannot be read.
 */
export function sideOf(place: string, value: unknown): ReadSide {
  if (isBlank(value)) return { levels: [], fault: undefined };
  if (!Array.isArray(value)) return { levels: [], fault: new Fault(place, value, 'an array of price levels') };
  const levels: DepthLevel[] = [];
  let fault: Fault | undefined;
  for (const [index, raw] of value.entries()) {
    if (levels.length === MOST_LEVELS) break;
    if (isBlank(raw)) continue;
    const level = levelOf(`${place}[${index}]`, raw);
    if (level.level !== undefined) levels.push(level.level);
    fault ??= level.fault;
  }
  return { levels, fault };
}

interface ReadLevel {
  level?: DepthLevel;
  fault?: Fault;
}

/** A level, unless it says nothing. Of several names of a part the first that says something counts. */
function levelOf(place: string, raw: unknown): ReadLevel {
  const parts: Partial<DepthLevel> = {};
  let fault: Fault | undefined;
  if (Array.isArray(raw)) {
    for (const [index, part] of (['price', 'quantity', 'orders'] as const).entries()) {
      const partFault = setPart(parts, part, place, raw[index]);
      fault ??= partFault;
    }
  } else if (isRecord(raw)) {
    for (const key in raw) {
      const part = LEVEL_PARTS.get(key);
      const partFault = part === undefined ? undefined : setPart(parts, part, place, raw[key]);
      fault ??= partFault;
    }
  } else {
    return { fault: new Fault(place, raw, 'an object {price, quantity, orders}') };
  }
  const { price, quantity } = parts;
  if (price !== undefined && quantity !== undefined) {
    return { level: { ...parts, price, quantity }, ...(fault !== undefined && { fault }) };
  }
  if (fault !== undefined) return { fault };
  if (price === undefined && quantity === undefined) return {};
  const missing = price === undefined ? 'price' : 'quantity';
  return { fault: new Fault(`${place}.${missing}`, undefined, EXPECTED.number) };
}

function setPart(
  level: Partial<DepthLevel>,
  part: 'price' | 'quantity' | 'orders',
  place: string,
  value: unknown,
): Fault | undefined {
  if (level[part] !== undefined || isBlank(value)) return undefined;
  const number = numberOf(value);
  if (number === undefined || Number.isNaN(number)) return new Fault(`${place}.${part}`, value, EXPECTED.number);
  level[part] = number;
  return undefined;
}

function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (typeof value === 'string')
    return value.length > 60 ? `${JSON.stringify(value.slice(0, 60))}…` : JSON.stringify(value);
  if (typeof value === 'object' || typeof value === 'function') return `a value of type ${typeof value}`;
  return `${typeof value} ${String(value)}`;
}
