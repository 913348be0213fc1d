import { OpenAlgoShmError } from '../errors.ts';
import {
  FIELDS,
  MODE,
  type DepthLevel,
  type FieldName,
  type MarketData,
  type MarketDepth,
  type Mode,
  type Tick,
  type TickMembers,
} from '../message.ts';
import { AnnexWriter, type AnnexContent } from './annex.ts';
import { IMAGE, LEVEL_WORDS, META, SYNONYM_WORDS, WORD } from './layout.ts';
import type { TopicNumbers } from './topic-numbers.ts';

/** Presence bits of the fields that an LTP tick has: ltp, volume, ltt, timestamp, seq. */
const LTP_FIELDS = 0b1111 | (1 << 27);

/** All that is read of a tick. */
const NAMES = [
  ...FIELDS.map(([name]) => name),
  'symbol',
  'exchange',
  'type',
  'depth',
  'synonyms',
  'members',
  'ageMs',
  'oldestAgeMs',
] as const;

/** In place of a symbol: the tick has it inside. */
export const SYMBOL_IN_TICK: unique symbol = Symbol('symbol in tick');

/** What can be given beside the price of an LTP tick. */
export interface LtpFields {
  /** Traded volume of the day. */
  volume?: number;
  /** Time of the last trade, ms since 1970. */
  ltt?: number;
  /** Time of the tick, ms since 1970. */
  timestamp?: number;
}

const NO_FIELDS: LtpFields = {};

/** How a publisher's ticks are written. */
export interface TickWriterOptions {
  /** Exchange of ticks that do not name theirs. */
  exchange: string;
  /** Most levels a side. */
  depthLevels: number;
  /** Whether NaN and infinities are refused; else they travel, and clients see `null`. */
  strict: boolean;
}

/** Writes ticks as images into the buffer that the native publisher reads. */
export class TickWriter {
  readonly #f64: Float64Array;
  readonly #i32: Int32Array;
  readonly #annex: AnnexWriter;
  readonly #stride: number;
  readonly #topics: TopicNumbers;
  readonly #exchange: string;
  readonly #depthLevels: number;
  readonly #strict: boolean;
  /** A prototype without fields: objects that inherit from it have all of theirs themselves. */
  #prototype: unknown = Object.prototype;

  /** @param scratch - Whole images of `stride` numbers. */
  constructor(scratch: Float64Array, stride: number, topics: TopicNumbers, options: TickWriterOptions) {
    this.#f64 = scratch;
    this.#i32 = new Int32Array(scratch.buffer);
    this.#annex = new AnnexWriter(scratch);
    this.#stride = stride;
    this.#topics = topics;
    this.#exchange = options.exchange;
    this.#depthLevels = options.depthLevels;
    this.#strict = options.strict;
  }

  /**
   * Writes an LTP tick of a topic as the first image of the scratch. Straight code, for callers that publish often.
   *
   * @throws `ERR_INVALID_FIELD`
   */
  writeLtp(topic: number, price: number, fields: LtpFields = NO_FIELDS): void {
    const f64 = this.#f64;
    const strict = this.#strict;
    if (fields === null) throw invalid('the fields of an LTP tick', fields, '{ volume, ltt, timestamp }');
    const { volume, ltt, timestamp } = fields;
    let present = 0b1;
    f64[WORD.ltp] = number('ltp', price, strict);
    if (volume !== undefined) {
      f64[WORD.ltp + 1] = number('volume', volume, strict);
      present |= 0b10;
    }
    if (ltt !== undefined) {
      f64[WORD.ltp + 2] = number('ltt', ltt, strict);
      present |= 0b100;
    }
    if (timestamp !== undefined) {
      f64[WORD.ltp + 3] = number('timestamp', timestamp, strict);
      present |= 0b1000;
    }
    this.#writeHead(0, topic, MODE.LTP, present);
  }

  /**
   * Writes one tick as image `index` of the scratch. Nothing is published if it throws.
   *
   * It goes once through what the tick has and asks for nothing by name: as quick for ticks of a hundred hidden
   * classes as for one. The objects that `{ ...tick, symbol }` makes have a hidden class each, and each name
   * asked of such an object costs 100 to 200 ns.
   *
   * @param symbol - {@link SYMBOL_IN_TICK} for ticks that have theirs inside; the topic's number if the mode is `known`
   * @param known - the tick's mode, of a topic handle. Nobody else has a number: one in place of a symbol is refused
   * @throws `ERR_INVALID_SYMBOL`, `ERR_INVALID_FIELD`, `ERR_BOOK_TOO_DEEP`, `ERR_TOO_MANY_TOPICS`, `ERR_SHM_FULL`
   */
  // oxfmt-ignore
  write(index: number, symbol: string | number | typeof SYMBOL_IN_TICK, data: MarketData, known?: Mode): void {
    const at = index * this.#stride;
    const f64 = this.#f64;
    const strict = this.#strict;
    if (typeof data !== 'object' || data === null) throw invalid('a tick', data, 'an object with its fields');
    const prototype: unknown = Object.getPrototypeOf(data);
    const whole = prototype === this.#prototype || this.#hasNoFields(prototype) ? data : copyOf(data);
    let present = 0;
    let exchange = this.#exchange;
    let own: string | undefined;
    let mode: number | undefined;
    let depth: MarketDepth | undefined;
    let synonyms: readonly number[] | undefined;
    let members: TickMembers | undefined;
    let ageMs: number | undefined;
    let oldestAgeMs: number | undefined;
    for (const name in whole) {
      const value: unknown = whole[name as FieldName];
      let bit: number;
      let word: number;
      switch (name) {
        case 'symbol': own = value as string; continue;
        case 'exchange': exchange = (value as string | undefined) ?? exchange; continue;
        case 'type': mode = value as Mode | undefined; continue;
        case 'depth': depth = value as MarketDepth | undefined; continue;
        case 'synonyms': synonyms = value as readonly number[] | undefined; continue;
        case 'members': members = value as TickMembers | undefined; continue;
        case 'ageMs': ageMs = value as number | undefined; continue;
        case 'oldestAgeMs': oldestAgeMs = value as number | undefined; continue;
        case 'ltp': bit = 0; word = 4; break;
        case 'volume': bit = 1; word = 5; break;
        case 'ltt': bit = 2; word = 6; break;
        case 'timestamp': bit = 3; word = 7; break;
        case 'open': bit = 4; word = 16; break;
        case 'high': bit = 5; word = 17; break;
        case 'low': bit = 6; word = 18; break;
        case 'close': bit = 7; word = 19; break;
        case 'prevClose': bit = 8; word = 20; break;
        case 'averagePrice': bit = 9; word = 21; break;
        case 'lastQuantity': bit = 10; word = 22; break;
        case 'oi': bit = 11; word = 23; break;
        case 'bid': bit = 12; word = 24; break;
        case 'ask': bit = 13; word = 25; break;
        case 'bidQty': bit = 14; word = 26; break;
        case 'askQty': bit = 15; word = 27; break;
        case 'totalBuyQuantity': bit = 16; word = 28; break;
        case 'totalSellQuantity': bit = 17; word = 29; break;
        case 'change': bit = 18; word = 30; break;
        case 'changePercent': bit = 19; word = 31; break;
        case 'upperCircuit': bit = 20; word = 32; break;
        case 'lowerCircuit': bit = 21; word = 33; break;
        case 'week52High': bit = 22; word = 34; break;
        case 'week52Low': bit = 23; word = 35; break;
        case 'oiDayHigh': bit = 24; word = 36; break;
        case 'oiDayLow': bit = 25; word = 37; break;
        case 'oiChange': bit = 26; word = 38; break;
        case 'seq': bit = 27; word = 39; break;
        case 'turnover': bit = 28; word = 40; break;
        case 'instrumentToken': bit = 29; word = 41; break;
        case 'tradable': bit = 30; word = 42; break;
        case 'exchangeTimestamp': bit = 31; word = 43; break;
        default: continue;
      }
      if (value === undefined) continue;
      f64[at + word] = number(name, value, strict);
      present |= 1 << bit;
    }
    let counts = depth === undefined ? 0 : this.#writeDepth(at + IMAGE.levels, depth);
    if (synonyms !== undefined) counts |= this.#writeSynonyms(at, synonyms);
    const emptyBook = depth !== undefined && depth.buy.length + depth.sell.length === 0;
    if (emptyBook || members !== undefined || ageMs !== undefined) {
      counts |= this.#writeAnnex(at, depth, { emptyBook, members, ageMs, oldestAgeMs });
    }
    mode = known ?? mode;
    mode ??= depth !== undefined ? MODE.DEPTH : (present & ~LTP_FIELDS) !== 0 ? MODE.QUOTE : MODE.LTP;
    if (mode !== 1 && mode !== 2 && mode !== 3) throw invalid('type', mode, '1 (LTP), 2 (quote) or 3 (depth)');
    const topic = known !== undefined ? (symbol as number) : this.#topics.of(exchange, symbol === SYMBOL_IN_TICK ? own! : (symbol as string));
    this.#writeHead(at, topic, mode | counts, present);
  }

  #writeHead(at: number, topic: number, meta: number, present: number): void {
    const i32 = this.#i32;
    i32[2 * (at + WORD.meta)] = topic;
    i32[2 * (at + WORD.meta) + 1] = meta;
    i32[2 * (at + WORD.presence) + 1] = present;
  }

  /** Both words are written anew; without them the meta word says that there are none, whatever they hold. */
  #writeSynonyms(at: number, synonyms: readonly number[]): number {
    if (!Array.isArray(synonyms)) throw invalid('synonyms', synonyms, 'a list of numbers');
    const i32 = this.#i32;
    const first = 2 * (at + WORD.sequence);
    const second = 2 * (at + WORD.publishNs);
    i32[first] = i32[first + 1] = i32[second] = i32[second + 1] = 0;
    let count = 0;
    for (const number of synonyms as readonly number[]) {
      if (!Number.isInteger(number) || number < 0 || number >= 64 * SYNONYM_WORDS) {
        throw invalid('a synonym', number, `a whole number from 0 to ${64 * SYNONYM_WORDS - 1}`);
      }
      const half = (number < 64 ? first : second) + ((number >>> 5) & 1);
      i32[half] = i32[half]! | (1 << (number & 31));
      count = Math.max(count, number < 64 ? 1 : 2);
    }
    return count << META.synonymsShift;
  }

  /** Behind the levels. */
  #writeAnnex(at: number, depth: MarketDepth | undefined, content: AnnexContent): number {
    const levels = depth === undefined ? 0 : depth.buy.length + depth.sell.length;
    return this.#annex.write(at + IMAGE.levels + LEVEL_WORDS * levels, content) << META.annexShift;
  }

  /** False for prototypes with getters, as a subscriber's view of a tick has. */
  #hasNoFields(prototype: unknown): boolean {
    if (prototype !== null && NAMES.some((name) => name in (prototype as object))) return false;
    this.#prototype = prototype;
    return true;
  }

  #writeDepth(at: number, depth: MarketDepth): number {
    const { buy, sell } = depth;
    if (!Array.isArray(buy) || !Array.isArray(sell)) throw invalid('depth', depth, '{ buy: [...], sell: [...] }');
    const deepest = Math.max(buy.length, sell.length);
    if (deepest > this.#depthLevels) {
      throw new OpenAlgoShmError(
        'ERR_BOOK_TOO_DEEP',
        `a book of ${deepest} levels a side does not fit a ring made for ${this.#depthLevels}: create the ring with depthLevels ${deepest} or publish fewer levels`,
      );
    }
    const sells = this.#writeSide(at, 'buy', buy);
    this.#writeSide(sells, 'sell', sell);
    return (buy.length << META.buysShift) | (sell.length << META.sellsShift);
  }

  #writeSide(at: number, side: string, levels: readonly DepthLevel[]): number {
    const f64 = this.#f64;
    for (let i = 0; i < levels.length; i++, at += LEVEL_WORDS) {
      const level = levels[i]!;
      if (typeof level !== 'object' || level === null)
        throw invalid(`depth.${side}[${i}]`, level, '{ price, quantity, orders }');
      f64[at] = number('depth price', level.price, this.#strict);
      f64[at + 1] = number('depth quantity', level.quantity, this.#strict);
      f64[at + 2] = level.orders === undefined ? 0 : number('depth orders', level.orders, this.#strict);
    }
    return at;
  }
}

/** The same data in an object of its own. */
function copyOf(data: MarketData): MarketData {
  const copy: Record<string, unknown> = {};
  for (const name of NAMES) {
    const value = (data as Tick)[name];
    if (value !== undefined) copy[name] = value;
  }
  return copy;
}

function number(name: string, value: unknown, strict: boolean): number {
  if (typeof value === 'number' && (value - value === 0 || !strict)) return value;
  throw invalid(name, value, 'a finite number');
}

function invalid(name: string, value: unknown, expected: string): OpenAlgoShmError {
  const found =
    typeof value === 'string' ? `'${value}'` : typeof value === 'object' ? JSON.stringify(value) : String(value);
  return new OpenAlgoShmError(
    'ERR_INVALID_FIELD',
    `${name} is ${found}, expected ${expected}; leave out what is not known`,
  );
}
