import type { DepthLevel, FieldName, MarketData, MarketDepth, Mode, TickMembers } from '../message.ts';
import { KEY_RULES, type KeyRule } from './dialect-names.ts';
import { SYNONYMS } from './dialect-table.ts';
import {
  EXPECTED,
  Fault,
  flagOf,
  isBlank,
  isRecord,
  isTimeOfDay,
  modeOf,
  numberOf,
  percentOf,
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

/** What the owner of a normaliser wants beside the fields. */
export interface ReadingHooks {
  /** Whether `members` come out. Default false. */
  readonly carries?: boolean;
  /** Called for each value that cannot be read. */
  readonly onFault?: ((key: string, fault: Fault) => void) | undefined;
}

/** What is known beside a tick, and wins over what stands inside it. */
export interface KnownBeside {
  readonly symbol?: string | undefined;
  readonly exchange?: string | undefined;
  readonly mode?: Mode | undefined;
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
  /** The mode as the tick states it. */
  statedMode: unknown;
  /** Whether what no field says in the same form is kept. */
  readonly carries: boolean;
}

/** Keys beyond these characters are no names that a client could look for. */
const CONTROL = /\p{Cc}/u;

/**
 * Turns the ticks of any broker's adapter into {@link MarketData}: one name for each field, times in ms, text with
 * numbers into numbers, books in one form. The crate `openalgo-shm-dialect` does the same for Python; both pass the
 * same cases.
 *
 * Null, the empty string and `-` count as absent; NaN and infinities travel as NaN. A value that cannot be read is left
 * out and counted, so that it does not cost the price. A key that is not known is counted, and so is the time of day
 * without a date that some brokers send for the last trade.
 *
 * What the adapter wrote and no field says in the same form can come out as `members`, for clients to find it as it was:
 * such values of keys that are not known, times in other forms than ms, the name of a mode.
 */
export class TickNormaliser {
  readonly #utcOffsetMinutes: number;
  readonly #strict: boolean;
  readonly #carries: boolean;
  readonly #onFault: ReadingHooks['onFault'];
  readonly #unknownKeys = new Map<string, number>();
  readonly #unreadableKeys = new Map<string, number>();
  #lastTimeText: string | undefined;
  #lastTime = Number.NaN;

  /** @throws OpenAlgoShmError `ERR_INVALID_OPTION` for a `utcOffset` that is none */
  constructor(options: TickNormaliserOptions = {}, { carries = false, onFault }: ReadingHooks = {}) {
    this.#carries = carries;
    this.#onFault = onFault;
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
    const reading: Reading = {
      tick,
      known,
      hasBook: false,
      fault: undefined,
      synonyms: undefined,
      statedMode: undefined,
      carries: this.#carries,
    };
    for (const key in raw) {
      const value = raw[key];
      if (isBlank(value)) continue;
      const rule = KEY_RULES.get(key);
      if (rule === undefined) this.#unknown(key, value, reading);
      else this.#apply(rule, key, value, reading);
    }
    if (reading.fault !== undefined && !hasContent(tick)) throw reading.fault.toError();
    if (reading.synonyms !== undefined) tellSynonyms(reading, reading.synonyms);
    if (reading.statedMode !== tick.type && reading.statedMode !== undefined)
      carry(reading, 'mode', reading.statedMode);
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
      case 'percent': {
        const number = percentOf(value);
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
        if (token === undefined) this.#unknown(key, value, reading);
        else put(rule, token, token, reading);
        break;
      }
      case 'symbol':
        if (known.symbol === undefined) tick.symbol = readSymbol(value);
        else if (value !== known.symbol) carry(reading, key, value);
        break;
      case 'exchange':
        if (known.exchange === undefined) tick.exchange = readExchange(value);
        else if (value !== known.exchange) carry(reading, key, value);
        break;
      case 'mode':
        if (known.mode === undefined) this.#applyMode(key, value, reading);
        else if (value !== known.mode) carry(reading, key, value);
        break;
      case 'type':
        if (known.mode !== undefined || !applyType(value, tick)) carry(reading, key, value);
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
      case 'carried':
        carry(reading, key, value);
        break;
      case 'ignored':
        break;
    }
  }

  #applyTime(rule: FieldRule, key: string, value: unknown, reading: Reading): void {
    const time = this.#timeOf(value);
    if (time !== undefined) putTime(rule, time, key, value, reading);
    else if (rule.field !== 'timestamp' && isTimeOfDay(value)) {
      count(this.#unknownKeys, key);
      if (rule.synonym !== undefined) carry(reading, key, value);
    } else this.#fault(key, new Fault(key, value, EXPECTED.time), reading);
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
    else {
      reading.tick.type = mode;
      reading.statedMode = value;
    }
  }

  #unknown(key: string, value: unknown, reading: Reading): void {
    count(this.#unknownKeys, key);
    carry(reading, key, value);
  }

  /**
   * Of a book what can be read counts, and the rest costs itself alone. One without levels takes nothing from sides that
   * stand alone.
   */
  #applyBook(key: string, value: unknown, reading: Reading): void {
    const { book, fault } = bookOf(key, value);
    if (fault !== undefined) this.#fault(key, fault, reading);
    if (book === undefined) return;
    if (hasLevels(book) || (fault === undefined && reading.tick.depth === undefined)) {
      reading.tick.depth = book;
      reading.hasBook = hasLevels(book);
    }
  }

  /** Books whose two sides stand beside the other fields. A whole book in the same tick wins. */
  #applySide(side: 'buy' | 'sell', key: string, value: unknown, reading: Reading): void {
    const { tick, hasBook } = reading;
    if (hasBook || (tick.depth?.[side].length ?? 0) > 0) return;
    const { levels, fault } = sideOf(key, value);
    if (fault !== undefined) this.#fault(key, fault, reading);
    if (fault === undefined || levels.length > 0) tick.depth = { buy: [], sell: [], ...tick.depth, [side]: levels };
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
    this.#onFault?.(key, fault);
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

/** Sets a time. Where the adapter wrote it in another form, clients get that under its key. */
function putTime(rule: FieldRule, ms: number, key: string, value: unknown, reading: Reading): void {
  // No time is said by a time that is 0.
  if (ms === 0 && rule.field === 'timestamp') return;
  const given = numberOf(value);
  if (given === undefined && rule.synonym !== undefined && typeof value === 'string') {
    carry(reading, key, value);
    if (reading.tick[rule.field] === undefined) reading.tick[rule.field] = ms;
    return;
  }
  if (rule.preferred && given !== ms && !(Number.isNaN(given) && Number.isNaN(ms))) {
    carry(reading, key, given ?? value);
  }
  put(rule, ms, given ?? ms, reading);
}

/** Lets clients have a value under its own key. */
function carry({ tick, carries }: Reading, key: string, value: unknown): void {
  if (!carries) return;
  const isCarried =
    typeof value === 'string' || typeof value === 'boolean' || (typeof value === 'number' && Number.isFinite(value));
  if (!isCarried || key === '' || CONTROL.test(key)) return;
  const members = (tick.members ??= {}) as Record<string, TickMembers[string]>;
  members[key] = value;
}

/** A synonym whose value is another than the field's would be a lie: it stays as it is. */
function tellSynonyms(reading: Reading, seen: readonly [number, FieldName, number][]): void {
  const { tick } = reading;
  const told: number[] = [];
  for (const [synonym, field, value] of seen) {
    const own = tick[field];
    if (own === value || (Number.isNaN(own) && Number.isNaN(value))) told.push(synonym);
    else carry(reading, SYNONYMS[synonym]![1], value);
  }
  if (told.length > 0) tick.synonyms = told;
}

const BESIDE_CONTENT: ReadonlySet<string> = new Set(['symbol', 'exchange', 'type', 'synonyms', 'members']);

function hasContent(tick: NormalisedTick): boolean {
  for (const name in tick) {
    if (name === 'depth') {
      if (hasLevels(tick.depth as MarketDepth)) return true;
    } else if (!BESIDE_CONTENT.has(name)) {
      return true;
    }
  }
  return false;
}

/** Adapters use `type` for the kind of a message too, so only a mode's name counts, and `mode` wins. False where it is none. */
function applyType(value: unknown, tick: NormalisedTick): boolean {
  const mode = modeOf(value);
  if (mode !== undefined) tick.type ??= mode;
  return mode !== undefined;
}

/** No book for an empty array, which is what some send for one that is empty. Of several names of a side the first with levels counts. */
function bookOf(key: string, value: unknown): { book?: MarketDepth; fault?: Fault } {
  if (Array.isArray(value) && value.length === 0) return {};
  if (!isRecord(value)) return { fault: new Fault(key, value, EXPECTED.object) };
  let fault: Fault | undefined;
  const book: { buy: DepthLevel[]; sell: DepthLevel[] } = { buy: [], sell: [] };
  for (const name in value) {
    const rule = KEY_RULES.get(name);
    if (rule?.kind !== 'side' || book[rule.side].length > 0) continue;
    const side = sideOf(`${key}.${name}`, value[name]);
    fault ??= side.fault;
    book[rule.side] = side.levels;
  }
  return { book, ...(fault !== undefined && { fault }) };
}

function hasLevels({ buy, sell }: MarketDepth): boolean {
  return buy.length > 0 || sell.length > 0;
}

function count(counts: Map<string, number>, key: string): void {
  const seen = counts.get(key);
  if (seen !== undefined || counts.size < MAX_KEYS) counts.set(key, (seen ?? 0) + 1);
}
