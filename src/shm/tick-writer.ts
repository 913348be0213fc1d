import { OpenAlgoShmError } from '../errors.ts';
import {
  FIELDS,
  MODE,
  type DepthLevel,
  type FieldName,
  type MarketData,
  type MarketDepth,
  type Tick,
} from '../message.ts';
import { LEVEL_WORDS, SUMMARY, WORD } from './layout.ts';
import { TOPIC_WORDS, TopicWords } from './topic-words.ts';

/** Presence bits of the fields that an LTP tick has: ltp, volume, ltt, timestamp, seq. */
const LTP_FIELDS = 0b1111 | (1 << 27);

/** All that is read of a tick. */
const NAMES = [...FIELDS.map(([name]) => name), 'symbol', 'exchange', 'type', 'depth'] as const;

/** In place of a symbol: the tick has it inside. */
export const OWN_SYMBOL: unique symbol = Symbol('own symbol');

/** How a publisher's ticks are written. */
export interface TickWriterOptions {
  /** Exchange of ticks that do not name theirs. */
  exchange: string;
  /** Most levels a side. */
  depthLevels: number;
  /** Whether NaN and infinities are refused; else they travel, and clients see `null`. */
  strict: boolean;
}

/** Writes ticks as slots into the buffer that the native publisher reads. */
export class TickWriter {
  readonly #f64: Float64Array;
  readonly #i32: Int32Array;
  readonly #slotWords: number;
  readonly #exchange: string;
  readonly #depthLevels: number;
  readonly #strict: boolean;
  readonly #topics = new TopicWords();
  /** A prototype without fields: objects that inherit from it have all of theirs themselves. */
  #prototype: unknown = Object.prototype;

  /** @param scratch - Whole slots of `slotWords` numbers. */
  constructor(scratch: Float64Array, slotWords: number, options: TickWriterOptions) {
    this.#f64 = scratch;
    this.#i32 = new Int32Array(scratch.buffer);
    this.#slotWords = slotWords;
    this.#exchange = options.exchange;
    this.#depthLevels = options.depthLevels;
    this.#strict = options.strict;
  }

  /**
   * Writes one tick into slot `index` of the scratch. Nothing is published if it throws.
   *
   * It goes once through what the tick has and asks for nothing by name: as quick for ticks of a hundred
   * different make-ups as for one. To V8 the objects that `{ ...tick, symbol }` makes are all of different
   * make-up, and each name asked of such a one costs 100 to 200 ns.
   *
   * @param symbol - {@link OWN_SYMBOL} for ticks that have theirs inside
   * @throws `ERR_INVALID_SYMBOL`, `ERR_INVALID_FIELD`, `ERR_BOOK_TOO_DEEP`
   */
  // oxfmt-ignore
  write(index: number, symbol: string | typeof OWN_SYMBOL, data: MarketData): void {
    const at = index * this.#slotWords;
    const f64 = this.#f64;
    const strict = this.#strict;
    const prototype: unknown = Object.getPrototypeOf(data);
    const whole = prototype === this.#prototype || this.#hasNoFields(prototype) ? data : copyOf(data);
    let present = 0;
    let exchange = this.#exchange;
    let own: string | undefined;
    let mode: number | undefined;
    let depth: MarketDepth | undefined;
    for (const name in whole) {
      let bit: number;
      let word: number;
      switch (name) {
        case 'symbol': own = (whole as Tick)[name]; continue;
        case 'exchange': exchange = whole[name] ?? exchange; continue;
        case 'type': mode = whole[name]; continue;
        case 'depth': depth = whole[name]; continue;
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
      const value = whole[name as FieldName];
      if (value === undefined) continue;
      f64[at + word] = number(name, value, strict);
      present |= 1 << bit;
    }
    const topic = this.#topics.of(exchange, symbol === OWN_SYMBOL ? own! : symbol);
    for (let i = 0, to = at + WORD.topic; i < TOPIC_WORDS; i++, to++) f64[to] = topic[i]!;
    const sides = depth === undefined ? 0 : this.#writeDepth(at + WORD.levels, depth);
    mode ??= depth !== undefined ? MODE.DEPTH : (present & ~LTP_FIELDS) !== 0 ? MODE.QUOTE : MODE.LTP;
    if (mode !== 1 && mode !== 2 && mode !== 3) throw invalid('type', mode, '1 (LTP), 2 (quote) or 3 (depth)');
    this.#i32[2 * (at + WORD.summary)] = present;
    this.#i32[2 * (at + WORD.summary) + 1] = (mode << SUMMARY.modeShift) | sides;
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
    return (buy.length << SUMMARY.buysShift) | (sell.length << SUMMARY.sellsShift);
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
