import type { Mode } from '../message.ts';
import type { Audiences } from './audiences.ts';
import { type Interests, type WildcardKeys, modesMaskOf } from './interests.ts';
import { ALL_MODES, modeBit, modesOf } from './modes.ts';
import type { Recipient } from './recipient.ts';
import { WILDCARD } from './requests.ts';
import type { TickSource, TopicName } from './tick-source.ts';

/** What all clients together want of an instrument, or of an exchange with the symbol `*`. */
export interface Interest extends TopicName {
  /** Bit m for mode m; 0 once nobody wants it any more. */
  modes: number;
  /** Most levels a side that anyone asked for. */
  depth: number;
}

/** Hears of every change of what all clients together want. */
export type InterestListener = (interest: Interest) => void;

interface Wish {
  /** Clients per mode; index 0 is unused. */
  clients: [number, number, number, number];
  depth: number;
}

/** Who wants what: counts the clients of each (topic, mode) and tells the source. */
export class Subscriptions {
  readonly #source: TickSource;
  readonly #audiences: Audiences;
  readonly #wildcards: WildcardKeys;
  readonly #wishes = new Map<number, Wish>();
  readonly #listeners: InterestListener[] = [];
  #count = 0;

  constructor(source: TickSource, audiences: Audiences, wildcards: WildcardKeys) {
    this.#source = source;
    this.#audiences = audiences;
    this.#wildcards = wildcards;
  }

  /** Number of (client, topic, mode). */
  get count(): number {
    return this.#count;
  }

  /** Number of topics, wildcards included, that somebody wants. */
  get topicCount(): number {
    return this.#wishes.size;
  }

  /** Calls back on every change of the common interest. */
  onInterest(listener: InterestListener): void {
    this.#listeners.push(listener);
  }

  /** All that is wanted now. */
  *interests(): Generator<Interest> {
    for (const [key, wish] of this.#wishes) {
      yield { ...this.nameOf(key), modes: maskOf(wish), depth: wish.depth };
    }
  }

  /**
   * The key of an instrument or a wildcard.
   *
   * @throws {OpenAlgoShmError} `ERR_INVALID_SYMBOL`, `ERR_INVALID_ARGUMENT` when there are too many already.
   */
  keyOf({ exchange, symbol }: TopicName): number {
    return symbol === WILDCARD ? this.#wildcards.of(exchange) : this.#source.topic(exchange, symbol);
  }

  /** What a key stands for. */
  nameOf(key: number): TopicName {
    if (key < 0) return { exchange: this.#wildcards.exchangeOf(key), symbol: WILDCARD };
    return this.#source.topicName(key) ?? { exchange: '', symbol: '' };
  }

  /**
   * Changes what a client wants: for each key its new interest, 0 for none.
   *
   * @param depth levels a side that the client asked for.
   */
  apply(recipient: Recipient, changes: Interests, depth = 0): void {
    const before = recipient.interests;
    for (const [key, value] of changes) {
      this.#recount(recipient, key, modesMaskOf(before.get(key) ?? 0), modesMaskOf(value), depth);
    }
    this.#audiences.change(recipient, changes);
  }

  /** Ends all that a client wants, and nothing of what others do. */
  release(recipient: Recipient): void {
    for (const [key, value] of recipient.interests) this.#recount(recipient, key, modesMaskOf(value), 0, 0);
    this.#audiences.remove(recipient);
  }

  #recount(recipient: Recipient, key: number, before: number, after: number, depth: number): void {
    const wish = this.#wishes.get(key) ?? { clients: [0, 0, 0, 0], depth: 0 };
    const maskBefore = maskOf(wish);
    const depthBefore = wish.depth;
    for (const mode of modesOf(before ^ after)) {
      const step = (after & modeBit(mode)) === 0 ? -1 : 1;
      wish.clients[mode] += step;
      recipient.subscriptionCount += step;
      this.#count += step;
    }
    wish.depth = Math.max(wish.depth, depth);
    const mask = maskOf(wish);
    if (mask === 0) this.#wishes.delete(key);
    else this.#wishes.set(key, wish);
    if (mask !== maskBefore) this.#tellSource(key, mask);
    if (mask !== maskBefore || wish.depth !== depthBefore) this.#tellListeners(key, mask, wish.depth);
  }

  #tellSource(key: number, mask: number): void {
    if (key < 0) this.#source.wantExchange(this.#wildcards.exchangeOf(key), mask);
    else this.#source.want(key, mask);
  }

  #tellListeners(key: number, modes: number, depth: number): void {
    if (this.#listeners.length === 0) return;
    const interest = { ...this.nameOf(key), modes, depth };
    for (const listener of this.#listeners) listener(interest);
  }
}

function maskOf(wish: Wish): number {
  return ALL_MODES.reduce<number>((mask, mode: Mode) => (wish.clients[mode] > 0 ? mask | modeBit(mode) : mask), 0);
}
