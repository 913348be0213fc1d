import type { Mode } from '../message.ts';
import type { Delivery } from '../shm/delivery.ts';
import { type LeaveLine, type SubscriptionLine, failedLine, leftLine, subscribedLine } from './answers.ts';
import type { Counters } from './counters.ts';
import { ALL_MODES, modesOf } from './modes.ts';
import type { Recipient } from './recipient.ts';
import {
  type RequestedInstrument,
  type SubscribeRequest,
  type UnsubscribeRequest,
  WILDCARD,
  readInstrument,
  readLeave,
} from './requests.ts';
import { modeOfKey, subscriptionKey, topicOfKey } from './subscription-key.ts';
import type { Changes, Subscriptions } from './subscriptions.ts';

/** Entries of a list between two pauses. */
const ENTRIES_A_TURN = 1_000;

/** A line of a subscribe that was carried out. */
export interface WantedLine {
  /** Its place among the lines. */
  line: number;
  /** The number of the topic or wildcard. */
  topic: number;
  mode: Mode;
  instrument: RequestedInstrument;
  /** The deepest book that anybody has asked for before, levels a side. */
  bookDepthBefore: number;
}

/** What a subscribe comes to, before it is applied. */
export interface Plan {
  lines: SubscriptionLine[];
  wanted: WantedLine[];
  changes: Changes;
  /** Numbers that are held for it, until it is let go. */
  held: number[];
  /** Topics among them that have never ticked. */
  unknownTopics: number;
}

/** How the subscriber is set up. */
export interface SubscriberOptions {
  /** (topic, mode) pairs of a client. */
  maxSubscriptions: number;
  /** Topics of a client that have never ticked. */
  maxUnknownTopics: number;
}

/** Topics that have never ticked, of all clients together, up to which each client may have its full number. */
const AMPLE_UNKNOWN = 16_384;
/** What the clients share of further ones: each gets an eighth of what is left at once. */
const MOST_UNKNOWN = 32_768;
const SHARE = 8;

/** Works out what a client's subscribe and unsubscribe ask for, line by line, pausing in long lists. */
export class Subscriber {
  readonly #subscriptions: Subscriptions;
  readonly #delivery: Delivery;
  readonly #counters: Counters;
  readonly #options: SubscriberOptions;
  /** One text for all lines that are refused for this reason: lists may have thousands. */
  readonly #unknownRefusal: string;
  readonly #capacityReached: string;

  constructor(subscriptions: Subscriptions, delivery: Delivery, counters: Counters, options: SubscriberOptions) {
    this.#subscriptions = subscriptions;
    this.#delivery = delivery;
    this.#counters = counters;
    this.#options = options;
    this.#unknownRefusal = `More than ${options.maxUnknownTopics} instruments that have never ticked, or too many of all clients; unsubscribe some, or try again later`;
    this.#capacityReached = `Maximum capacity reached: ${options.maxSubscriptions} subscriptions a client. Unsubscribe some first.`;
  }

  /** What a subscribe comes to. Equal entries count once. To be applied or not, and then to be let go by {@link letGo}. */
  *plan(recipient: Recipient, request: SubscribeRequest, depth: number, broker: string): Generator<void, Plan> {
    const lines: SubscriptionLine[] = [];
    const changes = new Map<number, number>();
    const wanted: WantedLine[] = [];
    const seen = new Set<string>();
    const plan: Plan = { lines, wanted, changes, held: [], unknownTopics: 0 };
    const unknownRoom = this.#unknownRoom(recipient, request.entries.length);
    let room = this.#options.maxSubscriptions - recipient.subscriptions.size;
    let isWhole = false;
    try {
      for (const [index, entry] of request.entries.entries()) {
        if (index > 0 && index % ENTRIES_A_TURN === 0) yield;
        const instrument = readInstrument(entry);
        const name = nameOf(instrument);
        if (seen.has(name)) continue;
        seen.add(name);
        const topic = this.#topicOf(recipient, instrument, plan, room > 0, unknownRoom);
        for (const mode of request.modes) {
          if (typeof topic === 'string') {
            lines.push(failedLine(instrument, topic, broker));
            continue;
          }
          if (topic === undefined) {
            lines.push(this.#beyondCapacity(instrument, broker));
            continue;
          }
          const key = subscriptionKey(topic, mode);
          const isNew = !changes.has(key) && !recipient.subscriptions.has(key);
          if (isNew && room <= 0) {
            lines.push(this.#beyondCapacity(instrument, broker));
            continue;
          }
          if (isNew) room -= 1;
          changes.set(key, request.intervalMs);
          const bookDepthBefore = this.#subscriptions.bookDepthOf(topic);
          wanted.push({ line: lines.length, topic, mode, instrument, bookDepthBefore });
          lines.push(subscribedLine(instrument, mode, depth, broker));
        }
      }
      isWhole = true;
      return plan;
    } finally {
      if (!isWhole) this.letGo(plan);
    }
  }

  /** Lets go of the topics of a plan: after it was applied, or where it is not. */
  letGo({ held }: Plan): void {
    for (const topic of held.splice(0)) this.#subscriptions.letGo(topic);
  }

  /** Applies a plan. @param depth levels a side that the client asked for. */
  apply(recipient: Recipient, { changes }: Plan, depth: number): void {
    this.#subscriptions.apply(recipient, changes, depth);
  }

  /**
   * Sends the last values of what a plan subscribes to.
   *
   * @param oldestMs values older than this are left out; undefined for none.
   */
  sendSnapshots(recipient: Recipient, { wanted }: Plan, oldestMs: number | undefined): void {
    if (wanted.length === 0) return;
    const pairs = Int32Array.from(wanted.flatMap(({ topic, mode }) => [topic, mode]));
    this.#delivery.sendSnapshots(recipient.connection.client, pairs, oldestMs);
  }

  /** Number of last values that a plan can bring at most. */
  snapshotCount({ wanted }: Plan): number {
    const ofWildcard = this.#delivery.tickedCount();
    return wanted.reduce((count, { instrument }) => count + (instrument.symbol === WILDCARD ? ofWildcard : 1), 0);
  }

  /** Unsubscribes; what was never subscribed to counts as left. `left` has the keys. */
  *unsubscribe(
    recipient: Recipient,
    request: UnsubscribeRequest,
    broker: string,
  ): Generator<void, { successful: LeaveLine[]; failures: LeaveLine[]; left: number[] }> {
    const left: number[] = [];
    if (request.all) return { successful: this.#leaveAll(recipient, broker), failures: [], left };
    const successful: LeaveLine[] = [];
    const failures: LeaveLine[] = [];
    const changes = new Map<number, undefined>();
    const seen = new Set<string>();
    for (const [index, entry] of request.entries.entries()) {
      if (index > 0 && index % ENTRIES_A_TURN === 0) yield;
      const leave = readLeave(entry, request.modesMask);
      const name = `${leave.modesMask} ${nameOf(leave)}`;
      if (seen.has(name)) continue;
      seen.add(name);
      if (leave.error !== undefined) {
        failures.push(failedLine(leave, leave.error, broker));
        continue;
      }
      successful.push(leftLine(leave, broker));
      const topic = this.#subscriptions.knownTopicOf(leave);
      if (topic === undefined) continue;
      for (const mode of modesOf(leave.modesMask)) left.push(subscriptionKey(topic, mode));
    }
    for (const key of left) if (recipient.subscriptions.has(key)) changes.set(key, undefined);
    this.#subscriptions.apply(recipient, changes);
    return { successful, failures, left };
  }

  /** Ends all that a client wants. */
  release(recipient: Recipient): void {
    this.#subscriptions.release(recipient);
  }

  #leaveAll(recipient: Recipient, broker: string): LeaveLine[] {
    const lines: LeaveLine[] = [];
    const topics = new Map<number, Mode[]>();
    for (const key of recipient.subscriptions.keys()) {
      const modes = topics.get(topicOfKey(key));
      if (modes === undefined) topics.set(topicOfKey(key), [modeOfKey(key)]);
      else modes.push(modeOfKey(key));
    }
    for (const [topic, modes] of topics) {
      const line = leftLine(this.#subscriptions.nameOf(topic), broker);
      for (const _mode of modes) lines.push(line);
    }
    this.#subscriptions.release(recipient);
    return lines;
  }

  #beyondCapacity(instrument: RequestedInstrument, broker: string): SubscriptionLine {
    this.#counters.refuse('too_many_subscriptions');
    return failedLine(instrument, this.#capacityReached, broker);
  }

  // A number that is made stays until the one it is made for wants it no more: without room there is none to make.
  #topicOf(
    recipient: Recipient,
    instrument: RequestedInstrument,
    plan: Plan,
    hasRoom: boolean,
    unknownRoom: number,
  ): number | string | undefined {
    if (instrument.error !== undefined) return instrument.error;
    try {
      const hasUnknownRoom = plan.unknownTopics < unknownRoom;
      const mayBeNew = hasRoom && hasUnknownRoom;
      if (!mayBeNew && this.#subscriptions.knownTopicOf(instrument) === undefined) {
        if (!hasRoom) return undefined;
        this.#counters.refuse('too_many_unknown_topics');
        return this.#unknownRefusal;
      }
      const topic = this.#subscriptions.hold(instrument);
      plan.held.push(topic);
      const isMine = ALL_MODES.some((mode) => recipient.subscriptions.has(subscriptionKey(topic, mode)));
      if (!isMine && !this.#delivery.hasTicked(topic)) plan.unknownTopics += 1;
      return topic;
    } catch (error) {
      return (error as Error).message;
    }
  }

  // Topics that have ticked since they were asked for are found when there may be no room. That takes 0.2 µs for each, so
  // it is done so seldom that it takes a fiftieth of the time.
  #unknownRoom(recipient: Recipient, entries: number): number {
    const { maxUnknownTopics } = this.#options;
    const now = performance.now();
    const mayBeFull = recipient.unknownTopics + entries > maxUnknownTopics;
    if (mayBeFull && now - recipient.unknownCountedAt >= recipient.subscriptions.size / 100) {
      recipient.unknownCountedAt = now;
      const topics = new Set([...recipient.subscriptions.keys()].map(topicOfKey));
      recipient.unknownTopics = 0;
      for (const topic of topics) if (!this.#delivery.hasTicked(topic)) recipient.unknownTopics += 1;
    }
    const own = maxUnknownTopics - recipient.unknownTopics;
    if (this.#subscriptions.unknownTopicCount < AMPLE_UNKNOWN) return own;
    this.#subscriptions.recountUnknown(now);
    const left = MOST_UNKNOWN - this.#subscriptions.unknownTopicCount;
    return left > MOST_UNKNOWN - AMPLE_UNKNOWN ? own : Math.min(own, Math.floor(left / SHARE));
  }
}

function nameOf({ exchange, symbol }: RequestedInstrument): string {
  return typeof exchange === 'string' && typeof symbol === 'string'
    ? `${exchange}\0${symbol}`
    : JSON.stringify([exchange, symbol]);
}
