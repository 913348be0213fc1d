import type { Mode } from '../message.ts';
import { type Delivery, LEAVE } from '../shm/delivery.ts';
import type { TopicName } from '../shm/topic-words.ts';
import { ALL_MODES, modeBit } from './modes.ts';
import { Recipient } from './recipient.ts';
import { modeOfKey, subscriptionKey, topicOfKey } from './subscription-key.ts';

/** What all clients together want of an instrument, or of an exchange with the symbol `*`. */
export interface Interest extends TopicName {
  /** Bit m for mode m; 0 once nobody wants it any more. */
  modes: number;
  /** The deepest book that anyone asks for, levels a side; 0 where nobody wants a book. */
  depth: number;
}

/** Hears of every change of what all clients together want. */
export type InterestListener = (interest: Interest) => void;

/** Changes of a client's subscriptions, by `subscriptionKey`: the new interval in ms, undefined ends one. */
export type Changes = ReadonlyMap<number, number | undefined>;

interface Wish {
  /** Clients per mode. */
  clients: [ltp: number, quote: number, depth: number];
  depth: number;
  /** Those who want any of it: most topics that nobody trades are one client's alone. */
  recipients: Recipient | Set<Recipient> | undefined;
  /** It had never ticked when it was first wanted. */
  isUnknown: boolean;
}

/** Shortest time between two counts of the topics that have never ticked, ms. */
const COUNT_INTERVAL_MS = 1_000;

/** Who wants what: counts the clients of each (topic, mode), and tells delivery and the feeds. */
export class Subscriptions {
  readonly #delivery: Delivery;
  readonly #wishes = new Map<number, Wish>();
  readonly #listeners: InterestListener[] = [];
  #count = 0;
  #unknown = 0;
  #countedAt = -Infinity;

  constructor(delivery: Delivery) {
    this.#delivery = delivery;
  }

  /** Number of (client, topic, mode). */
  get count(): number {
    return this.#count;
  }

  /** Number of topics, wildcards included, that somebody wants. */
  get topicCount(): number {
    return this.#wishes.size;
  }

  /** Number of wanted topics that have never ticked; those that have since they were asked for may be among them. */
  get unknownTopicCount(): number {
    return this.#unknown;
  }

  /** Counts the topics anew that have never ticked: at most once a second, as it takes 0.2 µs for each. */
  recountUnknown(now: number): void {
    if (now - this.#countedAt < COUNT_INTERVAL_MS) return;
    this.#countedAt = now;
    for (const [topic, wish] of this.#wishes) {
      if (!wish.isUnknown || !this.#delivery.hasTicked(topic)) continue;
      wish.isUnknown = false;
      this.#unknown -= 1;
    }
  }

  /** Calls back on every change of the common interest. */
  onInterest(listener: InterestListener): void {
    this.#listeners.push(listener);
  }

  /** All that is wanted now. */
  *interests(): Generator<Interest> {
    for (const [topic, { clients, depth }] of this.#wishes) {
      yield { ...this.nameOf(topic), modes: modesOf(clients), depth };
    }
  }

  /**
   * The number of an instrument or a wildcard that is about to be wanted. It is its own until {@link letGo} is called for
   * each time that it was asked for, and nobody wants it.
   *
   * @throws {OpenAlgoShmError} `ERR_INVALID_SYMBOL`, `ERR_INVALID_ARGUMENT` when there are too many already.
   */
  hold({ exchange, symbol }: TopicName): number {
    return this.#delivery.holdTopic(exchange, symbol);
  }

  /** Looks a number up without creating it. */
  knownTopicOf({ exchange, symbol }: TopicName): number | undefined {
    return this.#delivery.findTopic(exchange, symbol);
  }

  /** Lets go of a number that was held. */
  letGo(topic: number): void {
    this.#delivery.releaseTopic(topic);
  }

  /** What a wanted number stands for. */
  nameOf(topic: number): TopicName {
    return this.#delivery.topicName(topic) ?? { exchange: '', symbol: '' };
  }

  /** The deepest book that is asked for of an instrument, levels a side; 0 where nobody wants its book. */
  bookDepthOf(topic: number): number {
    return this.#wishes.get(topic)?.depth ?? 0;
  }

  /** Clients that want something of a topic. */
  clientsOf(topic: number): Iterable<Recipient> {
    const recipients = this.#wishes.get(topic)?.recipients;
    return recipients instanceof Recipient ? [recipients] : (recipients ?? []);
  }

  /**
   * Changes what a client wants.
   *
   * @param depth levels a side that the client asked for.
   */
  apply(recipient: Recipient, changes: Changes, depth = 0): void {
    if (changes.size === 0) return;
    const told = new Int32Array(3 * changes.size);
    let at = 0;
    for (const [key, interval] of changes) {
      told[at++] = topicOfKey(key);
      told[at++] = modeOfKey(key);
      told[at++] = interval ?? LEAVE;
      const topic = topicOfKey(key);
      if (!this.#wishes.has(topic)) this.#begin(topic);
    }
    // Before a number that nobody wants any more is let go.
    this.#delivery.change(recipient.connection.client, told);
    this.#recountAll(recipient, changes, depth);
  }

  /** Ends all that a client wants, and nothing of what others do. */
  release(recipient: Recipient): void {
    this.#delivery.release(recipient.connection.client);
    this.#recountAll(recipient, new Map([...recipient.subscriptions.keys()].map((key) => [key, undefined])), 0);
    recipient.clear();
  }

  #begin(topic: number): void {
    const isUnknown = !this.#delivery.hasTicked(topic);
    if (isUnknown) this.#unknown += 1;
    this.#delivery.holdAgain(topic);
    this.#wishes.set(topic, { clients: [0, 0, 0], depth: 0, recipients: undefined, isUnknown });
  }

  #recountAll(recipient: Recipient, changes: Changes, depth: number): void {
    const before = new Map<number, [modes: number, depth: number]>();
    for (const [key, interval] of changes) {
      const topic = topicOfKey(key);
      const wish = this.#wishes.get(topic);
      if (wish === undefined) continue;
      if (!before.has(topic)) before.set(topic, [modesOf(wish.clients), wish.depth]);
      this.#recount(recipient, key, wish, interval);
      // What a client of prices names as its depth is no wish for a book.
      if (wish.clients[2] === 0) wish.depth = 0;
      else if (modeOfKey(key) === 3 && interval !== undefined) wish.depth = Math.max(wish.depth, depth);
    }
    this.#tellListeners(before);
  }

  #recount(recipient: Recipient, key: number, wish: Wish, interval: number | undefined): void {
    const step = Number(interval !== undefined) - Number(recipient.subscriptions.has(key));
    const topic = topicOfKey(key);
    const wanted = step > 0 && wantsAny(recipient, topic);
    recipient.set(key, interval);
    if (step === 0) return;
    wish.clients[modeOfKey(key) - 1]! += step;
    this.#count += step;
    if (step > 0) {
      add(wish, recipient);
      if (!wanted && this.#isUnknown(topic, wish)) recipient.unknownTopics += 1;
    } else if (!wantsAny(recipient, topic)) {
      remove(wish, recipient);
      if (this.#isUnknown(topic, wish)) recipient.unknownTopics -= 1;
    }
  }

  #isUnknown(topic: number, wish: Wish): boolean {
    return wish.isUnknown && !this.#delivery.hasTicked(topic);
  }

  #tellListeners(before: ReadonlyMap<number, [modes: number, depth: number]>): void {
    const changed: Interest[] = [];
    for (const [topic, [modesBefore, depthBefore]] of before) {
      const wish = this.#wishes.get(topic) as Wish;
      const modes = modesOf(wish.clients);
      if (modes !== modesBefore || (modes !== 0 && wish.depth !== depthBefore)) {
        changed.push({ ...this.nameOf(topic), modes, depth: wish.depth });
      }
      if (modes === 0) this.#end(topic);
    }
    for (const interest of changed) {
      for (const listener of this.#listeners) listener(interest);
    }
  }

  #end(topic: number): void {
    if (this.#wishes.get(topic)?.isUnknown) this.#unknown -= 1;
    this.#wishes.delete(topic);
    this.#delivery.releaseTopic(topic);
  }
}

function modesOf(clients: readonly number[]): number {
  return ALL_MODES.reduce((mask, mode) => (clients[mode - 1]! > 0 ? mask | modeBit(mode) : mask), 0);
}

function wantsAny(recipient: Recipient, topic: number): boolean {
  return ALL_MODES.some((mode: Mode) => recipient.subscriptions.has(subscriptionKey(topic, mode)));
}

function add(wish: Wish, recipient: Recipient): void {
  const { recipients } = wish;
  if (recipients === undefined || recipients === recipient) wish.recipients = recipient;
  else if (recipients instanceof Recipient) wish.recipients = new Set([recipients, recipient]);
  else recipients.add(recipient);
}

function remove(wish: Wish, recipient: Recipient): void {
  if (wish.recipients === recipient) wish.recipients = undefined;
  else if (wish.recipients instanceof Set) wish.recipients.delete(recipient);
}
