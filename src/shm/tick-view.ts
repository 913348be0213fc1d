import {
  FIELDS,
  type DepthLevel,
  type FieldName,
  type MarketDepth,
  type Mode,
  type Tick,
  type TickMembers,
} from '../message.ts';
import { AnnexView } from './annex.ts';
import { countBits, LEVEL_WORDS, META, REST_FIELDS, WORD } from './layout.ts';
import type { TopicName } from './topic-words.ts';

/** The drained messages of a subscriber, and what is needed to read them. */
export interface DrainedMessages {
  readonly f64: Float64Array;
  readonly i32: Int32Array;
  /** First of the words that the heads leave out. */
  readonly rest: number;
  topic(lane: number, number: number): TopicName;
  publisherOf(lane: number): string;
}

/**
 * One message in a subscriber's buffer, read field by field on access. Valid until the next poll; its publisher is known until the subscriber is closed;
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
    return (this.#int(WORD.meta, 1) >>> META.laneShift) & 0xff;
  }

  /** Number of the message in its lane, without gaps. Exact below 2^53. */
  get sequence(): number {
    return this.#wide(WORD.sequence);
  }

  /** Publish time, ns of `process.hrtime`'s clock; with an `ageMs`, set back by that, to 0 at most. */
  get publishNs(): number {
    return this.#wide(WORD.publishNs);
  }

  get mode(): Mode {
    const mode = this.#int(WORD.meta, 1) & META.modeMask;
    return mode === 2 || mode === 3 ? mode : 1;
  }

  get ltp(): number | undefined {
    return this.#headField(0);
  }
  get volume(): number | undefined {
    return this.#headField(1);
  }
  get ltt(): number | undefined {
    return this.#headField(2);
  }
  get timestamp(): number | undefined {
    return this.#headField(3);
  }
  get open(): number | undefined {
    return this.#restField(4);
  }
  get high(): number | undefined {
    return this.#restField(5);
  }
  get low(): number | undefined {
    return this.#restField(6);
  }
  get close(): number | undefined {
    return this.#restField(7);
  }
  get prevClose(): number | undefined {
    return this.#restField(8);
  }
  get averagePrice(): number | undefined {
    return this.#restField(9);
  }
  get lastQuantity(): number | undefined {
    return this.#restField(10);
  }
  get oi(): number | undefined {
    return this.#restField(11);
  }
  get bid(): number | undefined {
    return this.#restField(12);
  }
  get ask(): number | undefined {
    return this.#restField(13);
  }
  get bidQty(): number | undefined {
    return this.#restField(14);
  }
  get askQty(): number | undefined {
    return this.#restField(15);
  }
  get totalBuyQuantity(): number | undefined {
    return this.#restField(16);
  }
  get totalSellQuantity(): number | undefined {
    return this.#restField(17);
  }
  get change(): number | undefined {
    return this.#restField(18);
  }
  get changePercent(): number | undefined {
    return this.#restField(19);
  }
  get upperCircuit(): number | undefined {
    return this.#restField(20);
  }
  get lowerCircuit(): number | undefined {
    return this.#restField(21);
  }
  get week52High(): number | undefined {
    return this.#restField(22);
  }
  get week52Low(): number | undefined {
    return this.#restField(23);
  }
  get oiDayHigh(): number | undefined {
    return this.#restField(24);
  }
  get oiDayLow(): number | undefined {
    return this.#restField(25);
  }
  get oiChange(): number | undefined {
    return this.#restField(26);
  }
  get seq(): number | undefined {
    return this.#restField(27);
  }
  get turnover(): number | undefined {
    return this.#restField(28);
  }
  get instrumentToken(): number | undefined {
    return this.#restField(29);
  }
  get tradable(): number | undefined {
    return this.#restField(30);
  }
  get exchangeTimestamp(): number | undefined {
    return this.#restField(31);
  }

  /** The order book; absent if the tick has none. */
  get depth(): MarketDepth | undefined {
    const meta = this.#int(WORD.meta, 1);
    const buys = (meta >>> META.buysShift) & 0xff;
    const sells = meta >>> META.sellsShift;
    if (buys + sells === 0 && this.#annex()?.hasEmptyBook !== true) return undefined;
    const at = this.#behindFields();
    return { buy: this.#levels(at, buys), sell: this.#levels(at + buys * LEVEL_WORDS, sells) };
  }

  /** What the adapter wrote that no field says in the same form, by its keys. */
  get members(): TickMembers | undefined {
    return this.#annex()?.members();
  }

  /** Of the last value of another source, such as another proxy: how old it was when it was published here, ms. */
  get ageMs(): number | undefined {
    return this.#annex()?.ages?.ageMs;
  }

  /** With an `ageMs`: how old its oldest value was then, ms. */
  get oldestAgeMs(): number | undefined {
    return this.#annex()?.ages?.oldestAgeMs;
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
    const annex = this.#annex();
    if (annex === undefined) return tick;
    const members = annex.members();
    return { ...tick, ...(members !== undefined && { members }), ...annex.ages };
  }

  #annex(): AnnexView | undefined {
    const meta = this.#int(WORD.meta, 1);
    const words = 2 * ((meta >>> META.annexShift) & 0xf);
    if (words === 0) return undefined;
    const levels = ((meta >>> META.buysShift) & 0xff) + (meta >>> META.sellsShift);
    return new AnnexView(this.#messages.i32, this.#behindFields() + levels * LEVEL_WORDS, words);
  }

  #topic(): TopicName {
    return this.#messages.topic(this.lane, this.#int(WORD.meta, 0));
  }

  #headField(bit: number): number | undefined {
    return (this.#int(WORD.presence, 1) >>> bit) & 1 ? this.#messages.f64[this.#at + WORD.ltp + bit] : undefined;
  }

  /** The fields behind the head lie densely, in the order of their bits. */
  #restField(bit: number): number | undefined {
    const present = this.#int(WORD.presence, 1);
    if (((present >>> bit) & 1) === 0) return undefined;
    return this.#messages.f64[this.#restAt() + countBits(present & REST_FIELDS & ((1 << bit) - 1))];
  }

  /** First of the words behind the head. */
  #restAt(): number {
    return this.#messages.rest + this.#int(WORD.presence, 0);
  }

  #behindFields(): number {
    return this.#restAt() + countBits(this.#int(WORD.presence, 1) & REST_FIELDS);
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
