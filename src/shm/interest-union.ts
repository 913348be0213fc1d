import type { Mode } from '../message.ts';
import type { Round, Wish } from './interest-message.ts';

/** What a feed is told: a topic is wanted in a mode, or no longer. */
export interface InterestChange {
  exchange: string;
  symbol: string;
  mode: Mode;
  /** Deepest book that anybody wants, levels a side; 0 for modes without a book. */
  depth: number;
}

/** Told of every change; a mode that is wanted already comes again when the deepest book wanted changes. */
export interface InterestListener {
  subscribe(change: InterestChange): void;
  unsubscribe(change: InterestChange): void;
  /** One more proxy wants a topic in a mode that others want already. */
  wantToo?(change: InterestChange): void;
}

/** Topics that are kept of one proxy: a faulty one must not fill the memory. */
const MOST_TOPICS = 262_144;
/** Rounds in which a wish may be missing: messages can be lost. */
const MISSING_ROUNDS = 3;
const MODES: readonly Mode[] = [1, 2, 3];
const DEPTH_MODE = 3;

interface Wanted {
  modes: number;
  depth: number;
}

interface Topic {
  readonly exchange: string;
  readonly symbol: string;
  readonly wishes: Map<number, Wanted & { round: number }>;
  union: Wanted;
}

interface Proxy {
  session: number;
  readonly topics: Set<Topic>;
}

/** The interest of all proxies together, from the messages of each. A proxy is known by its lane. */
export class InterestUnion {
  readonly #listener: InterestListener;
  readonly #topics = new Map<string, Topic>();
  readonly #proxies = new Map<number, Proxy>();

  constructor(listener: InterestListener) {
    this.#listener = listener;
  }

  /** Every (topic, mode) that is wanted. */
  *wanted(): Generator<InterestChange> {
    for (const topic of this.#topics.values()) {
      for (const mode of MODES) if (has(topic.union, mode)) yield changeOf(topic, topic.union, mode);
    }
  }

  /** Lanes of the proxies that want something, or did. */
  get lanes(): Iterable<number> {
    return this.#proxies.keys();
  }

  /** One proxy's wish. */
  apply(lane: number, wish: Wish, round: Round): void {
    const proxy = this.#proxy(lane, round.session);
    const key = `${wish.exchange}\0${wish.symbol}`;
    let topic = this.#topics.get(key);
    if (wish.modes !== 0 && proxy.topics.size >= MOST_TOPICS && (topic === undefined || !proxy.topics.has(topic)))
      return;
    if (topic === undefined) {
      if (wish.modes === 0) return;
      const { exchange, symbol } = wish;
      topic = { exchange, symbol, wishes: new Map(), union: { modes: 0, depth: 0 } };
      this.#topics.set(key, topic);
    }
    const { modes: unionBefore } = topic.union;
    const added = wish.modes & ~(topic.wishes.get(lane)?.modes ?? 0);
    if (wish.modes === 0) {
      proxy.topics.delete(topic);
      topic.wishes.delete(lane);
    } else {
      proxy.topics.add(topic);
      topic.wishes.set(lane, { modes: wish.modes, depth: wish.depth, round: round.round });
    }
    this.#settle(topic);
    if ((added & unionBefore) !== 0) this.#tellWantedToo(topic, added & unionBefore);
  }

  /** The end of a proxy's round: what it has not repeated for three rounds is no longer wanted. */
  endRound(lane: number, round: Round): void {
    const proxy = this.#proxy(lane, round.session);
    for (const topic of proxy.topics) {
      // Rounds wrap around. One that seems to lie ahead is no round of this proxy.
      const missing = (round.round - (topic.wishes.get(lane)?.round ?? 0)) >>> 0;
      if (missing >= MISSING_ROUNDS) this.#withdraw(topic, lane, proxy);
    }
  }

  /** Forgets a proxy. */
  drop(lane: number): void {
    const proxy = this.#proxies.get(lane);
    if (proxy === undefined) return;
    for (const topic of proxy.topics) this.#withdraw(topic, lane, proxy);
    this.#proxies.delete(lane);
  }

  #proxy(lane: number, session: number): Proxy {
    const known = this.#proxies.get(lane);
    if (known?.session === session) return known;
    // The lane changed hands between two messages.
    this.drop(lane);
    const proxy = { session, topics: new Set<Topic>() };
    this.#proxies.set(lane, proxy);
    return proxy;
  }

  #withdraw(topic: Topic, lane: number, proxy: Proxy): void {
    proxy.topics.delete(topic);
    topic.wishes.delete(lane);
    this.#settle(topic);
  }

  #tellWantedToo(topic: Topic, modes: number): void {
    for (const mode of MODES)
      if (has({ modes, depth: 0 }, mode)) this.#listener.wantToo?.(changeOf(topic, topic.union, mode));
  }

  #settle(topic: Topic): void {
    const before = topic.union;
    const after = { modes: 0, depth: 0 };
    for (const wish of topic.wishes.values()) {
      after.modes |= wish.modes;
      if (has(wish, DEPTH_MODE)) after.depth = Math.max(after.depth, wish.depth);
    }
    if (after.modes === before.modes && after.depth === before.depth) return;
    topic.union = after;
    if (after.modes === 0) this.#topics.delete(`${topic.exchange}\0${topic.symbol}`);
    for (const mode of MODES) {
      const isNew = has(after, mode) && !has(before, mode);
      const isDeeper = mode === DEPTH_MODE && has(after, mode) && after.depth !== before.depth;
      if (isNew || isDeeper) this.#listener.subscribe(changeOf(topic, after, mode));
      else if (has(before, mode) && !has(after, mode)) this.#listener.unsubscribe(changeOf(topic, before, mode));
    }
  }
}

function has({ modes }: Wanted, mode: Mode): boolean {
  return (modes & (1 << mode)) !== 0;
}

function changeOf({ exchange, symbol }: Topic, { depth }: Wanted, mode: Mode): InterestChange {
  return { exchange, symbol, mode, depth: mode === DEPTH_MODE ? depth : 0 };
}
