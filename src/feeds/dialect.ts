import type { DepthLevel, FieldName, MarketData, MarketDepth } from '../message.ts';
import { KEY_RULES, type KeyRule } from './dialect-names.ts';
import {
  EXPECTED,
  Fault,
  flagOf,
  isBlank,
  isRecord,
  isTimeOfDay,
  modeOf,
  numberOf,
  readExchange,
  readSymbol,
  sideOf,
  timeOf,
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
  /** Refuse a tick with a value that cannot be read, instead of leaving that value out. Default false. */
  strict?: boolean;
}

/** What is known beside a tick; what stands inside it is then not looked at. */
export interface KnownBeside {
  readonly symbol?: boolean;
  readonly exchange?: boolean;
  readonly mode?: boolean;
}

/** Distinct keys that are kept by name; a feed with endless new keys must not fill the memory. */
const MAX_KEYS = 256;
const OHLC_FIELDS = ['open', 'high', 'low', 'close'] as const;
const NOTHING_KNOWN: KnownBeside = {};

/** What belongs to the tick that is being read. */
interface Reading {
  readonly tick: NormalisedTick;
  readonly known: KnownBeside;
  /** The sides came from a whole book, which wins over sides that stand alone. */
  hasBook: boolean;
  /** The first value that could not be read. */
  fault: Fault | undefined;
  /** Synonyms that were seen, their fields and values. */
  synonyms: [number, FieldName, number][] | undefined;
}

/**
 * Turns the ticks of any broker's adapter into {@link MarketData}: one name for each field, times in ms, text with
 * numbers into numbers, books in one form. The crate `openalgo-shm-dialect` does the same for Python; both pass the
 * same cases.
 *
 * Null, the empty string and `-` count as absent; NaN and infinities travel as NaN. A value that cannot be read is left
 * out and counted, so that it does not cost the price. A key that is not known is counted and left out, and so is the
 * time of day without a date that some brokers send for the last trade.
 */
export class TickNormaliser {
  readonly #utcOffsetMinutes: number;
  readonly #strict: boolean;
  readonly #unknownKeys = new Map<string, number>();
  readonly #unreadableKeys = new Map<string, number>();
  #lastTimeText: string | undefined;
  #lastTime = Number.NaN;

  /** @throws OpenAlgoShmError `ERR_INVALID_OPTION` for a `utcOffset` that is none */
  constructor(options: TickNormaliserOptions = {}) {
    this.#utcOffsetMinutes = parseUtcOffset(options.utcOffset ?? INDIA_UTC_OFFSET);
    this.#strict = options.strict ?? false;
  }

  /** Keys that no field answers to, and how often each was seen. The first 256 are kept. */
  get unknownKeys(): ReadonlyMap<string, number> {
    return this.#unknownKeys;
  }

  /** Keys whose values could not be read, and how often. The first 256 are kept. */
  get unreadableKeys(): ReadonlyMap<string, number> {
    return this.#unreadableKeys;
  }

  /**
   * The same tick under this package's names.
   * @throws OpenAlgoShmError `ERR_INVALID_FIELD` for what is no object, for a tick of which nothing can be read, and where
   *   `strict` for any value that cannot be read, naming the key, what was found and what was expected;
   *   `ERR_INVALID_SYMBOL` for a symbol or an exchange that is no text or too long, unless it is known beside the tick
   */
  normalise(raw: RawTick, known: KnownBeside = NOTHING_KNOWN): NormalisedTick {
    if (!isRecord(raw)) throw new Fault('tick', raw, EXPECTED.object).toError();
    const tick: NormalisedTick = {};
    const reading: Reading = { tick, known, hasBook: false, fault: undefined, synonyms: undefined };
    for (const key in raw) {
      const value = raw[key];
      if (isBlank(value)) continue;
      const rule = KEY_RULES.get(key);
      if (rule === undefined) count(this.#unknownKeys, key);
      else this.#apply(rule, key, value, reading);
    }
    if (reading.fault !== undefined && !hasContent(tick)) throw reading.fault.toError();
    if (reading.synonyms !== undefined) tellSynonyms(tick, reading.synonyms);
    return tick;
  }

  #apply(rule: KeyRule, key: string, value: unknown, reading: Reading): void {
    const { tick, known } = reading;
    switch (rule.kind) {
      case 'number': {
        const number = numberOf(value);
        if (number === undefined) this.#fault(key, new Fault(key, value, EXPECTED.number), reading);
        else put(rule, number, number, reading);
        break;
      }
      case 'time':
        this.#applyTime(rule, key, value, reading);
        break;
      case 'flag': {
        const flag = flagOf(value);
        if (flag === undefined) this.#fault(key, new Fault(key, value, EXPECTED.flag), reading);
        else put(rule, flag, flag, reading);
        break;
      }
      case 'token': {
        // Some brokers' tokens are text, which no numeric field can hold.
        const token = tokenOf(value);
        if (token === undefined) count(this.#unknownKeys, key);
        else put(rule, token, token, reading);
        break;
      }
      case 'symbol':
        if (known.symbol !== true) tick.symbol = readSymbol(value);
        break;
      case 'exchange':
        if (known.exchange !== true) tick.exchange = readExchange(value);
        break;
      case 'mode':
        if (known.mode !== true) this.#applyMode(key, value, reading);
        break;
      case 'type':
        if (known.mode !== true) applyType(value, tick);
        break;
      case 'depth':
        this.#applyBook(key, value, reading);
        break;
      case 'side':
        this.#applySide(rule.side, key, value, reading);
        break;
      case 'ohlc':
        this.#applyOhlc(key, value, reading);
        break;
      case 'ignored':
        break;
    }
  }

  #applyTime(rule: FieldRule, key: string, value: unknown, reading: Reading): void {
    const time = this.#timeOf(value);
    if (time !== undefined) put(rule, time, numberOf(value) ?? Number.POSITIVE_INFINITY, reading);
    else if (rule.field !== 'timestamp' && isTimeOfDay(value)) count(this.#unknownKeys, key);
    else this.#fault(key, new Fault(key, value, EXPECTED.time), reading);
  }

  /** Ticks of one second bring the same text again and again; parsing it is the dearest part of a tick. */
  #timeOf(value: unknown): number | undefined {
    if (typeof value !== 'string') return timeOf(value, this.#utcOffsetMinutes);
    if (value === this.#lastTimeText) return this.#lastTime;
    const time = timeOf(value, this.#utcOffsetMinutes);
    if (time !== undefined) {
      this.#lastTime = time;
      this.#lastTimeText = value;
    }
    return time;
  }

  #applyMode(key: string, value: unknown, reading: Reading): void {
    const mode = modeOf(value);
    if (mode === undefined) this.#fault(key, new Fault(key, value, EXPECTED.mode), reading);
    else reading.tick.type = mode;
  }

  /**
   * A book with a level that cannot be read is left out whole: one with holes would mislead. One without levels takes
   * nothing from sides that stand alone.
   */
  #applyBook(key: string, value: unknown, reading: Reading): void {
    const book = bookOf(key, value);
    if (book instanceof Fault) {
      this.#fault(key, book, reading);
    } else if (book !== undefined && (hasLevels(book) || reading.tick.depth === undefined)) {
      reading.tick.depth = book;
      reading.hasBook = hasLevels(book);
    }
  }

  /** Books whose two sides stand beside the other fields. A whole book in the same tick wins. */
  #applySide(side: 'buy' | 'sell', key: string, value: unknown, reading: Reading): void {
    const { tick, hasBook } = reading;
    if (hasBook || (tick.depth?.[side].length ?? 0) > 0) return;
    const levels = sideOf(key, value);
    if (levels instanceof Fault) this.#fault(key, levels, reading);
    else tick.depth = { buy: [], sell: [], ...tick.depth, [side]: levels };
  }

  /** Prices of the day as Kite nests them; the same field beside them wins. */
  #applyOhlc(key: string, value: unknown, reading: Reading): void {
    if (!isRecord(value)) {
      this.#fault(key, new Fault(key, value, EXPECTED.object), reading);
      return;
    }
    for (const field of OHLC_FIELDS) {
      const raw = value[field];
      if (reading.tick[field] !== undefined || isBlank(raw)) continue;
      const price = numberOf(raw);
      const place = `${key}.${field}`;
      if (price === undefined) this.#fault(place, new Fault(place, raw, EXPECTED.number), reading);
      else reading.tick[field] = price;
    }
  }

  #fault(key: string, fault: Fault, reading: Reading): void {
    reading.fault ??= fault;
    count(this.#unreadableKeys, key);
    if (this.#strict) throw fault.toError();
  }
}

type FieldRule = Extract<KeyRule, { field: FieldName }>;

/** Sets a field, unless a name that wins was there before. `given` is the number as the adapter gave it. */
function put({ field, preferred, synonym }: FieldRule, value: number, given: number, reading: Reading): void {
  const { tick } = reading;
  if (preferred || tick[field] === undefined) tick[field] = value;
  if (synonym !== undefined) (reading.synonyms ??= []).push([synonym, field, given]);
}

/** A synonym whose value is another than the field's would be a lie. */
function tellSynonyms(tick: NormalisedTick, seen: readonly [number, FieldName, number][]): void {
  const told: number[] = [];
  for (const [synonym, field, value] of seen) {
    const own = tick[field];
    if (own === value || (Number.isNaN(own) && Number.isNaN(value))) told.push(synonym);
  }
  if (told.length > 0) tick.synonyms = told;
}

function hasContent(tick: NormalisedTick): boolean {
  for (const name in tick) {
    if (name === 'depth') {
      if (hasLevels(tick.depth as MarketDepth)) return true;
    } else if (name !== 'symbol' && name !== 'exchange' && name !== 'type') {
      return true;
    }
  }
  return false;
}

/** Adapters use `type` for the kind of a message too, so only a mode's name counts, and `mode` wins. */
function applyType(value: unknown, tick: NormalisedTick): void {
  if (tick.type !== undefined) return;
  const mode = modeOf(value);
  if (mode !== undefined) tick.type = mode;
}

/** Undefined for an empty array, which is what some send for a book that is empty. Of several names of a side the first with levels counts. */
function bookOf(key: string, value: unknown): MarketDepth | Fault | undefined {
  if (Array.isArray(value) && value.length === 0) return undefined;
  if (!isRecord(value)) return new Fault(key, value, EXPECTED.object);
  const book: { buy: DepthLevel[]; sell: DepthLevel[] } = { buy: [], sell: [] };
  for (const name in value) {
    const rule = KEY_RULES.get(name);
    if (rule?.kind !== 'side' || book[rule.side].length > 0) continue;
    const levels = sideOf(`${key}.${name}`, value[name]);
    if (levels instanceof Fault) return levels;
    book[rule.side] = levels;
  }
  return book;
}

function hasLevels({ buy, sell }: MarketDepth): boolean {
  return buy.length > 0 || sell.length > 0;
}

function count(counts: Map<string, number>, key: string): void {
  const seen = counts.get(key);
  if (seen !== undefined || counts.size < MAX_KEYS) counts.set(key, (seen ?? 0) + 1);
}
