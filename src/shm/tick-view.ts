import { FIELDS, type DepthLevel, type FieldName, type MarketDepth, type Mode, type Tick } from '../message.ts';
import { LEVEL_WORDS, SUMMARY, WORD } from './layout.ts';
import { TopicNames, type TopicName } from './topic-words.ts';

/** The drained messages of a subscriber, and what is needed to read them. */
export interface DrainedMessages {
  readonly f64: Float64Array;
  readonly i32: Int32Array;
  readonly topics: TopicNames;
  publisherOf(lane: number): string;
}

/**
 * One message in a subscriber's buffer, read field by field on access. Valid until the next poll;
 * {@link TickView.toTick} makes a copy that stays.
 */
export class TickView {
  readonly #messages: DrainedMessages;
  readonly #at: number;

  constructor(messages: DrainedMessages, at: number) {
    this.#messages = messages;
    this.#at = at;
  }

  get symbol(): string {
    return this.#topic().symbol;
  }

  get exchange(): string {
    return this.#topic().exchange;
  }

  /** Name of the publisher. */
  get publisher(): string {
    return this.#messages.publisherOf(this.lane);
  }

  /** The lane that it came through; sequences count within a lane. */
  get lane(): number {
    return this.#int(WORD.extent, 1) >>> 16;
  }

  /** Number of the message in its lane, without gaps. Exact below 2^53. */
  get sequence(): number {
    return this.#wide(WORD.sequence);
  }

  /** Publish time, ns of `process.hrtime`'s clock. */
  get publishNs(): number {
    return this.#wide(WORD.publishNs);
  }

  get mode(): Mode {
    const mode = (this.#int(WORD.summary, 1) >>> SUMMARY.modeShift) & 0xff;
    return mode === 2 || mode === 3 ? mode : 1;
  }

  get ltp(): number | undefined {
    return this.#field(0, 4);
  }
  get volume(): number | undefined {
    return this.#field(1, 5);
  }
  get ltt(): number | undefined {
    return this.#field(2, 6);
  }
  get timestamp(): number | undefined {
    return this.#field(3, 7);
  }
  get open(): number | undefined {
    return this.#field(4, 16);
  }
  get high(): number | undefined {
    return this.#field(5, 17);
  }
  get low(): number | undefined {
    return this.#field(6, 18);
  }
  get close(): number | undefined {
    return this.#field(7, 19);
  }
  get prevClose(): number | undefined {
    return this.#field(8, 20);
  }
  get averagePrice(): number | undefined {
    return this.#field(9, 21);
  }
  get lastQuantity(): number | undefined {
    return this.#field(10, 22);
  }
  get oi(): number | undefined {
    return this.#field(11, 23);
  }
  get bid(): number | undefined {
    return this.#field(12, 24);
  }
  get ask(): number | undefined {
    return this.#field(13, 25);
  }
  get bidQty(): number | undefined {
    return this.#field(14, 26);
  }
  get askQty(): number | undefined {
    return this.#field(15, 27);
  }
  get totalBuyQuantity(): number | undefined {
    return this.#field(16, 28);
  }
  get totalSellQuantity(): number | undefined {
    return this.#field(17, 29);
  }
  get change(): number | undefined {
    return this.#field(18, 30);
  }
  get changePercent(): number | undefined {
    return this.#field(19, 31);
  }
  get upperCircuit(): number | undefined {
    return this.#field(20, 32);
  }
  get lowerCircuit(): number | undefined {
    return this.#field(21, 33);
  }
  get week52High(): number | undefined {
    return this.#field(22, 34);
  }
  get week52Low(): number | undefined {
    return this.#field(23, 35);
  }
  get oiDayHigh(): number | undefined {
    return this.#field(24, 36);
  }
  get oiDayLow(): number | undefined {
    return this.#field(25, 37);
  }
  get oiChange(): number | undefined {
    return this.#field(26, 38);
  }
  get seq(): number | undefined {
    return this.#field(27, 39);
  }
  get turnover(): number | undefined {
    return this.#field(28, 40);
  }
  get instrumentToken(): number | undefined {
    return this.#field(29, 41);
  }
  get tradable(): number | undefined {
    return this.#field(30, 42);
  }
  get exchangeTimestamp(): number | undefined {
    return this.#field(31, 43);
  }

  /** The order book; absent if the tick has none. */
  get depth(): MarketDepth | undefined {
    const summary = this.#int(WORD.summary, 1);
    const room = this.#slotLevels();
    const buys = Math.min((summary >>> SUMMARY.buysShift) & 0xff, room);
    const sells = Math.min((summary >>> SUMMARY.sellsShift) & 0xff, room - buys);
    if (buys + sells === 0 && this.mode !== 3) return undefined;
    const at = this.#at + WORD.levels;
    return { buy: this.#levels(at, buys), sell: this.#levels(at + buys * LEVEL_WORDS, sells) };
  }

  /** A copy with the fields that are present. */
  toTick(): Tick {
    const tick: Tick = { symbol: this.symbol, exchange: this.exchange, type: this.mode };
    for (const [name] of FIELDS) {
      const value = this[name as FieldName];
      if (value !== undefined) tick[name as FieldName] = value;
    }
    const { depth } = this;
    if (depth !== undefined) tick.depth = depth;
    return tick;
  }

  #topic(): TopicName {
    return this.#messages.topics.at(this.#messages.i32, 2 * (this.#at + WORD.topic));
  }

  #field(bit: number, word: number): number | undefined {
    return (this.#int(WORD.summary, 0) >>> bit) & 1 ? this.#messages.f64[this.#at + word] : undefined;
  }

  /** Levels on both sides together that lie within the extent: another process may have written any count. */
  #slotLevels(): number {
    return Math.floor((this.#int(WORD.extent, 1) & 0xffff) / LEVEL_WORDS);
  }

  #levels(at: number, count: number): DepthLevel[] {
    const { f64 } = this.#messages;
    return Array.from({ length: count }, (_, i) => ({
      price: f64[at + i * LEVEL_WORDS]!,
      quantity: f64[at + i * LEVEL_WORDS + 1]!,
      orders: f64[at + i * LEVEL_WORDS + 2]!,
    }));
  }

  #int(word: number, half: 0 | 1): number {
    return this.#messages.i32[2 * (this.#at + word) + half]!;
  }

  #wide(word: number): number {
    return (this.#int(word, 0) >>> 0) + (this.#int(word, 1) >>> 0) * 2 ** 32;
  }
}
