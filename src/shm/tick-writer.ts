import { OpenAlgoShmError } from '../errors.ts';
import { MODE, type DepthLevel, type FieldName, type MarketData, type MarketDepth } from '../message.ts';
import { LEVEL_WORDS, SUMMARY, WORD } from './layout.ts';
import { TOPIC_WORDS, TopicWords } from './topic-words.ts';

/** Presence bits of the fields that an LTP tick has: ltp, volume, ltt, timestamp, seq. */
const LTP_FIELDS = 0b1111 | (1 << 27);

/** Writes ticks as slots into the buffer that the native publisher reads. */
export class TickWriter {
  readonly #f64: Float64Array;
  readonly #i32: Int32Array;
  readonly #slotWords: number;
  readonly #depthLevels: number;
  readonly #strict: boolean;
  readonly #topics = new TopicWords();

  /**
   * @param scratch - Whole slots of `slotWords` numbers.
   * @param strict - Whether NaN and infinities are refused; else they travel, and clients see `null`.
   */
  constructor(scratch: Float64Array, slotWords: number, depthLevels: number, strict: boolean) {
    this.#f64 = scratch;
    this.#i32 = new Int32Array(scratch.buffer);
    this.#slotWords = slotWords;
    this.#depthLevels = depthLevels;
    this.#strict = strict;
  }

  /**
   * Writes one tick into slot `index` of the scratch. Nothing is published if it throws.
   *
   * @throws `ERR_INVALID_SYMBOL`, `ERR_INVALID_FIELD`, `ERR_BOOK_TOO_DEEP`
   */
  write(index: number, exchange: string, symbol: string, data: MarketData): void {
    const at = index * this.#slotWords;
    const topic = this.#topics.of(exchange, symbol);
    const f64 = this.#f64;
    for (let i = 0, to = at + WORD.topic; i < TOPIC_WORDS; i++, to++) f64[to] = topic[i]!;
    const present = isPlain(data) ? this.#writeOwnFields(at, data) : this.#writeFields(at, data);
    const { depth } = data;
    let sides = 0;
    if (depth !== undefined) sides = this.#writeDepth(at + WORD.levels, depth);
    const mode =
      data.type ?? (depth !== undefined ? MODE.DEPTH : (present & ~LTP_FIELDS) !== 0 ? MODE.QUOTE : MODE.LTP);
    if (mode !== 1 && mode !== 2 && mode !== 3) throw invalid('type', mode, '1 (LTP), 2 (quote) or 3 (depth)');
    this.#i32[2 * (at + WORD.summary)] = present;
    this.#i32[2 * (at + WORD.summary) + 1] = (mode << SUMMARY.modeShift) | sides;
  }

  /**
   * Only what is there, found by a switch: as quick for ticks of a hundred different make-ups as for one.
   * Objects that were made by spreading are all of different make-up to V8, and to look up 32 names in
   * each of those takes 1,400 ns, this 30.
   */
  // oxfmt-ignore
  #writeOwnFields(at: number, data: MarketData): number {
    const f64 = this.#f64;
    const strict = this.#strict;
    let present = 0;
    for (const name in data) {
      let bit: number;
      let word: number;
      switch (name) {
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
      const value = data[name as FieldName];
      if (value === undefined) continue;
      f64[at + word] = number(name, value, strict);
      present |= 1 << bit;
    }
    return present;
  }

  /** For objects whose fields may be inherited getters, such as a subscriber's view of a tick. */
  // oxfmt-ignore
  #writeFields(at: number, data: MarketData): number {
    const f64 = this.#f64;
    const strict = this.#strict;
    let present = 0;
    let v: number | undefined;
    if ((v = data.ltp) !== undefined) { f64[at + 4] = number('ltp', v, strict); present |= 1 << 0; }
    if ((v = data.volume) !== undefined) { f64[at + 5] = number('volume', v, strict); present |= 1 << 1; }
    if ((v = data.ltt) !== undefined) { f64[at + 6] = number('ltt', v, strict); present |= 1 << 2; }
    if ((v = data.timestamp) !== undefined) { f64[at + 7] = number('timestamp', v, strict); present |= 1 << 3; }
    if ((v = data.open) !== undefined) { f64[at + 16] = number('open', v, strict); present |= 1 << 4; }
    if ((v = data.high) !== undefined) { f64[at + 17] = number('high', v, strict); present |= 1 << 5; }
    if ((v = data.low) !== undefined) { f64[at + 18] = number('low', v, strict); present |= 1 << 6; }
    if ((v = data.close) !== undefined) { f64[at + 19] = number('close', v, strict); present |= 1 << 7; }
    if ((v = data.prevClose) !== undefined) { f64[at + 20] = number('prevClose', v, strict); present |= 1 << 8; }
    if ((v = data.averagePrice) !== undefined) { f64[at + 21] = number('averagePrice', v, strict); present |= 1 << 9; }
    if ((v = data.lastQuantity) !== undefined) { f64[at + 22] = number('lastQuantity', v, strict); present |= 1 << 10; }
    if ((v = data.oi) !== undefined) { f64[at + 23] = number('oi', v, strict); present |= 1 << 11; }
    if ((v = data.bid) !== undefined) { f64[at + 24] = number('bid', v, strict); present |= 1 << 12; }
    if ((v = data.ask) !== undefined) { f64[at + 25] = number('ask', v, strict); present |= 1 << 13; }
    if ((v = data.bidQty) !== undefined) { f64[at + 26] = number('bidQty', v, strict); present |= 1 << 14; }
    if ((v = data.askQty) !== undefined) { f64[at + 27] = number('askQty', v, strict); present |= 1 << 15; }
    if ((v = data.totalBuyQuantity) !== undefined) { f64[at + 28] = number('totalBuyQuantity', v, strict); present |= 1 << 16; }
    if ((v = data.totalSellQuantity) !== undefined) { f64[at + 29] = number('totalSellQuantity', v, strict); present |= 1 << 17; }
    if ((v = data.change) !== undefined) { f64[at + 30] = number('change', v, strict); present |= 1 << 18; }
    if ((v = data.changePercent) !== undefined) { f64[at + 31] = number('changePercent', v, strict); present |= 1 << 19; }
    if ((v = data.upperCircuit) !== undefined) { f64[at + 32] = number('upperCircuit', v, strict); present |= 1 << 20; }
    if ((v = data.lowerCircuit) !== undefined) { f64[at + 33] = number('lowerCircuit', v, strict); present |= 1 << 21; }
    if ((v = data.week52High) !== undefined) { f64[at + 34] = number('week52High', v, strict); present |= 1 << 22; }
    if ((v = data.week52Low) !== undefined) { f64[at + 35] = number('week52Low', v, strict); present |= 1 << 23; }
    if ((v = data.oiDayHigh) !== undefined) { f64[at + 36] = number('oiDayHigh', v, strict); present |= 1 << 24; }
    if ((v = data.oiDayLow) !== undefined) { f64[at + 37] = number('oiDayLow', v, strict); present |= 1 << 25; }
    if ((v = data.oiChange) !== undefined) { f64[at + 38] = number('oiChange', v, strict); present |= 1 << 26; }
    if ((v = data.seq) !== undefined) { f64[at + 39] = number('seq', v, strict); present |= 1 << 27; }
    if ((v = data.turnover) !== undefined) { f64[at + 40] = number('turnover', v, strict); present |= 1 << 28; }
    if ((v = data.instrumentToken) !== undefined) { f64[at + 41] = number('instrumentToken', v, strict); present |= 1 << 29; }
    if ((v = data.tradable) !== undefined) { f64[at + 42] = number('tradable', v, strict); present |= 1 << 30; }
    if ((v = data.exchangeTimestamp) !== undefined) { f64[at + 43] = number('exchangeTimestamp', v, strict); present |= 1 << 31; }
    return present;
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

function isPlain(data: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(data);
  return prototype === Object.prototype || prototype === null;
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
