import type { Audiences } from './audiences.ts';
import { type Interests, type WildcardKeys, variantsOf } from './interests.ts';
import { modeBit } from './modes.ts';
import type { Recipient } from './recipient.ts';
import { WILDCARD } from './requests.ts';
import type { TickSource, TopicName } from './tick-source.ts';
import { modesOfVariants } from './variants.ts';

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
  /** Clients per variant. */
  clients: number[];
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
      yield { ...this.nameOf(key), modes: modesOfVariants(maskOf(wish)), depth: wish.depth };
    }
  }

  /**
   * The key of an instrument or a wildcard that is about to be wanted: until nobody wants it any more.
   *
   * @throws {OpenAlgoShmError} `ERR_INVALID_SYMBOL`, `ERR_INVALID_ARGUMENT` when there are too many already.
   */
  keyOf({ exchange, symbol }: TopicName): number {
    return symbol === WILDCARD ? this.#wildcards.of(exchange) : this.#source.topic(exchange, symbol);
  }

  /** The same of what there is already: whoever asks for what nobody knows, and does not want it, makes no key of it. */
  knownKeyOf({ exchange, symbol }: TopicName): number | undefined {
    return symbol === WILDCARD ? this.#wildcards.find(exchange) : this.#source.findTopic(exchange, symbol);
  }

  /** What a key stands for. */
  nameOf(key: number): TopicName {
    if (key < 0) return { exchange: this.#wildcards.exchangeOf(key), symbol: WILDCARD };
    return this.#source.topicName(key) ?? { exchange: '', symbol: '' };
  }

  /** The deepest book that is asked for of an instrument, levels a side; 0 where nobody wants its book. */
  bookDepthOf(key: number): number {
    const wish = this.#wishes.get(key);
    if (wish === undefined || (modesOfVariants(maskOf(wish)) & modeBit(3)) === 0) return 0;
    return wish.depth;
  }

  /**
   * Changes what a client wants: for each key its new interest, 0 for none.
   *
   * @param depth levels a side that the client asked for.
   */
  apply(recipient: Recipient, changes: Interests, depth = 0): void {
    const before = recipient.interests;
    const changed: Interest[] = [];
    for (const [key, value] of changes) {
      this.#recount(recipient, key, variantsOf(before.get(key) ?? 0), variantsOf(value), depth, changed);
    }
    this.#audiences.change(recipient, changes);
    this.#tellListeners(changed);
  }

  /** Ends all that a client wants, and nothing of what others do. */
  release(recipient: Recipient): void {
    const changed: Interest[] = [];
    for (const [key, value] of recipient.interests) this.#recount(recipient, key, variantsOf(value), 0, 0, changed);
    this.#audiences.remove(recipient);
    this.#tellListeners(changed);
  }

  #recount(recipient: Recipient, key: number, before: number, after: number, depth: number, changed: Interest[]): void {
    const wish = this.#wishes.get(key) ?? { clients: [], depth: 0 };
    const maskBefore = maskOf(wish);
    const depthBefore = wish.depth;
    for (const variant of bitsOf(before ^ after)) {
      const step = ((after >> variant) & 1) === 0 ? -1 : 1;
      wish.clients[variant] = (wish.clients[variant] ?? 0) + step;
      recipient.subscriptionCount += step;
      this.#count += step;
    }
    wish.depth = Math.max(wish.depth, depth);
    const mask = maskOf(wish);
    if (mask === 0) this.#wishes.delete(key);
    else this.#wishes.set(key, wish);
    const isNews = mask !== maskBefore || (mask !== 0 && wish.depth !== depthBefore);
    if (isNews && this.#listeners.length > 0) {
      changed.push({ ...this.nameOf(key), modes: modesOfVariants(mask), depth: wish.depth });
    }
    // The last: what is wanted no more may be forgotten, and its key may become another's.
    if (mask !== maskBefore) this.#tellSource(key, mask);
  }

  #tellSource(key: number, mask: number): void {
    if (key >= 0) return this.#source.want(key, mask);
    this.#source.wantExchange(this.#wildcards.exchangeOf(key), mask);
    if (mask === 0) this.#wildcards.forget(key);
  }

  #tellListeners(changed: readonly Interest[]): void {
    for (const interest of changed) {
      for (const listener of this.#listeners) listener(interest);
    }
  }
}

function maskOf(wish: Wish): number {
  return wish.clients.reduce((mask, clients, variant) => (clients > 0 ? mask | (1 << variant) : mask), 0);
}

function bitsOf(mask: number): number[] {
  const bits: number[] = [];
  for (let bit = 0; mask >> bit !== 0; bit++) if (((mask >> bit) & 1) === 1) bits.push(bit);
  return bits;
}
