import type { Mode } from '../message.ts';
import { type LeaveLine, type SubscriptionLine, failedLine, leftLine, subscribedLine } from './answers.ts';
import type { Counters } from './counters.ts';
import { Frames, frameKey } from './frames.ts';
import { interest, intervalOf, variantsOf } from './interests.ts';
import { modesOf } from './modes.ts';
import type { Recipient } from './recipient.ts';
import { type RequestedInstrument, type SubscribeRequest, type UnsubscribeRequest, WILDCARD } from './requests.ts';
import type { Subscriptions } from './subscriptions.ts';
import type { TickSource } from './tick-source.ts';
import { type Format, modesOfVariants, variantOf, variantsOfModes } from './variants.ts';

/** Most topics whose last ticks a wildcard's subscriber gets at once. */
const MAX_WILDCARD_SNAPSHOTS = 10_000;

/** A line of a subscribe that was carried out. */
export interface WantedLine {
  /** Its place among the lines. */
  line: number;
  /** The number of the topic; that of a wildcard is negative. */
  key: number;
  mode: Mode;
  instrument: RequestedInstrument;
  /** The deepest book that anybody has asked for before, levels a side. */
  bookDepthBefore: number;
}

/** How the subscriber is set up. */
export interface SubscriberOptions {
  /** (topic, mode) pairs of a client. */
  maxSubscriptions: number;
  /** Whether last ticks are given at once. */
  snapshot: boolean;
}

/** Carries out what a client's subscribe and unsubscribe ask for, line by line. */
export class Subscriber {
  readonly #subscriptions: Subscriptions;
  readonly #source: TickSource;
  readonly #counters: Counters;
  readonly #options: SubscriberOptions;

  constructor(subscriptions: Subscriptions, source: TickSource, counters: Counters, options: SubscriberOptions) {
    this.#subscriptions = subscriptions;
    this.#source = source;
    this.#counters = counters;
    this.#options = options;
  }

  /** Subscribes; the snapshots are to be sent after an answer that goes out at once. */
  subscribe(
    recipient: Recipient,
    request: SubscribeRequest,
    depth: number,
    broker: string,
  ): { lines: SubscriptionLine[]; wanted: WantedLine[]; snapshots: Frames | undefined } {
    const lines: SubscriptionLine[] = [];
    const changes = new Map<number, number>();
    const wanted: WantedLine[] = [];
    const { format } = recipient.connection;
    let room = this.#options.maxSubscriptions - recipient.subscriptionCount;
    for (const instrument of request.instruments) {
      const key = this.#keyOf(instrument, room > 0);
      for (const mode of request.modes) {
        if (typeof key === 'string') {
          lines.push(failedLine(instrument, key, broker));
          continue;
        }
        const variant = variantOf(mode, format);
        const variants = key === undefined ? 0 : variantsOf(changes.get(key) ?? recipient.interests.get(key) ?? 0);
        const isNew = ((variants >> variant) & 1) === 0;
        if (key === undefined || (isNew && room === 0)) {
          this.#counters.refuse('too_many_subscriptions');
          lines.push(failedLine(instrument, this.#capacityReached(), broker));
          continue;
        }
        if (isNew) room -= 1;
        changes.set(key, interest(variants | (1 << variant), request.intervalMs));
        const bookDepthBefore = this.#subscriptions.bookDepthOf(key);
        wanted.push({ line: lines.length, key, mode, instrument, bookDepthBefore });
        lines.push(subscribedLine(instrument, mode, depth, broker));
      }
    }
    this.#subscriptions.apply(recipient, changes, depth);
    return { lines, wanted, snapshots: this.#options.snapshot ? this.#snapshots(wanted, format) : undefined };
  }

  /** Unsubscribes; what was never subscribed to counts as left. `left` has the topics and the modes' masks. */
  unsubscribe(
    recipient: Recipient,
    request: UnsubscribeRequest,
    broker: string,
  ): { successful: LeaveLine[]; failures: LeaveLine[]; left: [topic: number, modesMask: number][] } {
    const left: [number, number][] = [];
    if (request.all) return { successful: this.#leaveAll(recipient, broker), failures: [], left };
    const successful: LeaveLine[] = [];
    const failures: LeaveLine[] = [];
    const changes = new Map<number, number>();
    const { format } = recipient.connection;
    for (const leave of request.leaves) {
      if (leave.error !== undefined) {
        failures.push(failedLine(leave, leave.error, broker));
        continue;
      }
      successful.push(leftLine(leave, broker));
      const key = this.#subscriptions.knownKeyOf(leave);
      if (key === undefined) continue;
      left.push([key, leave.modesMask]);
      const value = changes.get(key) ?? recipient.interests.get(key) ?? 0;
      changes.set(key, interest(variantsOf(value) & ~variantsOfModes(leave.modesMask, format), intervalOf(value)));
    }
    this.#subscriptions.apply(recipient, changes);
    return { successful, failures, left };
  }

  /** Ends all that a client wants. */
  release(recipient: Recipient): void {
    this.#subscriptions.release(recipient);
  }

  #leaveAll(recipient: Recipient, broker: string): LeaveLine[] {
    const lines: LeaveLine[] = [];
    for (const [key, value] of recipient.interests) {
      const name = this.#subscriptions.nameOf(key);
      for (const _mode of modesOf(modesOfVariants(variantsOf(value)))) lines.push(leftLine(name, broker));
    }
    this.#subscriptions.release(recipient);
    return lines;
  }

  // A key that is made stays until the one it is made for wants it no more: without room there is none to make.
  #keyOf(instrument: RequestedInstrument, hasRoom: boolean): number | string | undefined {
    if (instrument.error !== undefined) return instrument.error;
    try {
      return hasRoom ? this.#subscriptions.keyOf(instrument) : this.#subscriptions.knownKeyOf(instrument);
    } catch (error) {
      return (error as Error).message;
    }
  }

  #snapshots(wanted: readonly WantedLine[], format: Format): Frames | undefined {
    const keys: number[] = [];
    const buffers: Buffer[] = [];
    for (const { key, mode, instrument } of wanted) {
      const variant = variantOf(mode, format);
      for (const topic of this.#topicsOf(key, instrument)) {
        const frame = this.#source.snapshot(topic, variant);
        if (frame === null) continue;
        keys.push(frameKey(topic, variant));
        buffers.push(frame);
      }
    }
    return keys.length === 0 ? undefined : Frames.ofBuffers(keys, buffers);
  }

  *#topicsOf(key: number, { exchange }: RequestedInstrument): Generator<number> {
    if (key >= 0) return yield key;
    for (const topic of this.#source.ticked(0, MAX_WILDCARD_SNAPSHOTS)) {
      if (exchange === WILDCARD || this.#source.topicName(topic)?.exchange === exchange) yield topic;
    }
  }

  #capacityReached(): string {
    const { maxSubscriptions } = this.#options;
    return `Maximum capacity reached: ${maxSubscriptions} subscriptions a client. Unsubscribe some first.`;
  }
}
