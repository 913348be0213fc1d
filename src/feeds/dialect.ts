import type { FieldName, MarketData, MarketDepth } from '../message.ts';
import { KEY_RULES, type KeyRule } from './dialect-names.ts';
import {
  isBlank,
  isTimeOfDay,
  modeOf,
  readExchange,
  readFlag,
  readMode,
  readNumber,
  readRecord,
  readSide,
  readSymbol,
  readTime,
  tokenOf,
} from './dialect-values.ts';
import { INDIA_UTC_OFFSET, parseUtcOffset } from './timestamps.ts';

/** A tick as one of OpenAlgo's adapters, or a broker's own ticker, makes it: an object with any of the known keys. */
export type RawTick = object;

/** A tick under this package's names. The symbol is there if the tick had one inside. */
export interface NormalisedTick extends MarketData {
  symbol?: string;
}

export interface TickNormaliserOptions {
  /** Offset from UTC of dates and times that name none, as `Z` or `±hh:mm`. Default `+05:30`, India's. */
  utcOffset?: string;
}

/** Distinct unknown keys that are kept by name; a feed with endless new keys must not fill the memory. */
const MAX_UNKNOWN_KEYS = 256;
const OHLC_FIELDS = ['open', 'high', 'low', 'close'] as const;

/**
 * Turns the ticks of any broker's adapter into {@link MarketData}: one name for each field, times in ms, text with
 * numbers into numbers, books in one form.
 *
 * Null, the empty string and `-` count as absent; NaN and infinities travel as NaN. A key that is not known is counted
 * and left out, and so is the time of day without a date that some brokers send for the last trade.
 */
export class TickNormaliser {
  readonly #utcOffsetMinutes: number;
  readonly #unknownKeys = new Map<string, number>();
  #lastTimeText: string | undefined;
  #lastTime = Number.NaN;

  /** @throws OpenAlgoShmError `ERR_INVALID_OPTION` for a `utcOffset` that is none */
  constructor(options: TickNormaliserOptions = {}) {
    this.#utcOffsetMinutes = parseUtcOffset(options.utcOffset ?? INDIA_UTC_OFFSET);
  }

  /** Keys that no field answers to, and how often each was seen. The first 256 are kept. */
  get unknownKeys(): ReadonlyMap<string, number> {
    return this.#unknownKeys;
  }

  /**
   * The same tick under this package's names.
   * @throws OpenAlgoShmError `ERR_INVALID_FIELD` naming the key, what was found and what was expected;
   *   `ERR_INVALID_SYMBOL` for a symbol or an exchange that is no text or too long
   */
  normalise(raw: RawTick): NormalisedTick {
    const tick: NormalisedTick = {};
    const source = readRecord('tick', raw);
    for (const key in source) {
      const value = source[key];
      if (isBlank(value)) continue;
      const rule = KEY_RULES.get(key);
      if (rule === undefined) this.#countUnknown(key);
      else this.#apply(rule, key, value, tick);
    }
    return tick;
  }

  #apply(rule: KeyRule, key: string, value: unknown, tick: NormalisedTick): void {
    switch (rule.kind) {
      case 'number':
        if (rule.preferred || tick[rule.field] === undefined) tick[rule.field] = readNumber(key, value);
        break;
      case 'time':
        if (rule.field !== 'timestamp' && isTimeOfDay(value)) this.#countUnknown(key);
        else if (rule.preferred || tick[rule.field] === undefined) tick[rule.field] = this.#readTime(key, value);
        break;
      case 'flag':
        tick[rule.field] = readFlag(key, value);
        break;
      case 'token':
        this.#applyToken(rule.field, key, value, tick);
        break;
      case 'symbol':
        tick.symbol = readSymbol(value);
        break;
      case 'exchange':
        tick.exchange = readExchange(value);
        break;
      case 'mode':
        tick.type = readMode(key, value);
        break;
      case 'type':
        applyType(value, tick);
        break;
      case 'depth':
        tick.depth = readBook(key, value);
        break;
      case 'side':
        tick.depth = withSide(tick.depth, rule.side, key, value);
        break;
      case 'ohlc':
        applyOhlc(key, value, tick);
        break;
      case 'ignored':
        break;
    }
  }

  /** Ticks of one second bring the same text again and again; parsing it is the dearest part of a tick. */
  #readTime(key: string, value: unknown): number {
    if (typeof value !== 'string') return readTime(key, value, this.#utcOffsetMinutes);
    if (value !== this.#lastTimeText) {
      this.#lastTime = readTime(key, value, this.#utcOffsetMinutes);
      this.#lastTimeText = value;
    }
    return this.#lastTime;
  }

  /** Some brokers' tokens are text, which no numeric field can hold. */
  #applyToken(field: FieldName, key: string, value: unknown, tick: NormalisedTick): void {
    const token = tokenOf(value);
    if (token === undefined) this.#countUnknown(key);
    else tick[field] = token;
  }

  #countUnknown(key: string): void {
    const seen = this.#unknownKeys.get(key);
    if (seen !== undefined || this.#unknownKeys.size < MAX_UNKNOWN_KEYS) {
      this.#unknownKeys.set(key, (seen ?? 0) + 1);
    }
  }
}

/** Adapters use `type` for the kind of a message too, so only a mode's name counts, and `mode` wins. */
function applyType(value: unknown, tick: NormalisedTick): void {
  if (tick.type !== undefined) return;
  const mode = modeOf(value);
  if (mode !== undefined) tick.type = mode;
}

function readBook(key: string, value: unknown): MarketDepth {
  const book = readRecord(key, value);
  return {
    buy: readSide(`${key}.buy`, book['buy'] ?? book['bids']),
    sell: readSide(`${key}.sell`, book['sell'] ?? book['asks']),
  };
}

/** Books whose two sides stand beside the other fields. A whole book in the same tick wins. */
function withSide(depth: MarketDepth | undefined, side: 'buy' | 'sell', key: string, value: unknown): MarketDepth {
  const book = depth ?? { buy: [], sell: [] };
  return book[side].length > 0 ? book : { ...book, [side]: readSide(key, value) };
}

/** Prices of the day as Kite nests them; the same field beside them wins. */
function applyOhlc(key: string, value: unknown, tick: NormalisedTick): void {
  const ohlc = readRecord(key, value);
  for (const field of OHLC_FIELDS) {
    const price = ohlc[field];
    if (tick[field] === undefined && !isBlank(price)) tick[field] = readNumber(`${key}.${field}`, price);
  }
}
