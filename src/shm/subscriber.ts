import { NativeRing, NativeSubscriber } from './native-binding.ts';
import { OpenAlgoShmError } from '../errors.ts';
import type { Tick } from '../message.ts';
import { HEAD_WORDS, longestRest } from './layout.ts';
import { closeOnError, native } from './native.ts';
import { nativeOptions, type RingOptions } from './options.ts';
import { ringStats, type RingInfo, type RingStats } from './ring-buffer.ts';
import { TickBatch } from './tick-batch.ts';
import { TopicTable } from './topic-table.ts';

/** Options of a subscriber. */
export interface SubscriberOptions extends RingOptions {
  /** Name that monitors see, at most 48 bytes. Default `subscriber`. */
  subscriberName?: string;
  /** Begin with what is published from now on (default), or with the oldest that is surely still there. */
  from?: 'newest' | 'oldest';
  /** Whether monitors see it and a lossless ring waits for it. Default: if there is room, and always if the ring is lossless. */
  register?: boolean;
  /** Whether to create the ring where there is none. Default true; else `start` throws `ERR_SHM_NOT_FOUND`. */
  create?: boolean;
}

/** Figures of a subscriber. */
export interface SubscriberStats {
  messagesReceived: number;
  /** Messages that were overwritten before it read them. */
  messagesLost: number;
  /** Messages that could not be one, skipped. */
  messagesCorrupt: number;
  /** Messages published and not yet read. */
  lag: number;
  registered: boolean;
}

/** Most messages of one poll. */
const MAX_BATCH = 256;

interface Joined {
  readonly ring: NativeRing;
  readonly info: RingInfo;
  readonly subscriber: NativeSubscriber;
  readonly pollInto: (max: number) => number;
  readonly batch: TickBatch;
}

/**
 * Reads every tick of a ring, in three ways: `poll` when it suits you, `onBatch` when there is something,
 * or `for await`. A subscriber that falls a whole ring behind loses messages, and counts them.
 *
 * @example
 * const subscriber = new SharedMemorySubscriber().start();
 * for await (const tick of subscriber) console.log(tick.symbol, tick.ltp);
 */
export class SharedMemorySubscriber implements AsyncIterable<Tick> {
  readonly #options: SubscriberOptions;
  #joined: Joined | undefined;
  #wake: (() => void) | undefined;

  /** @throws `ERR_INVALID_OPTION` */
  constructor(options: SubscriberOptions = {}) {
    nativeOptions(options);
    this.#options = { ...options };
  }

  /**
   * Attaches to the ring as it is, or creates it, and joins. Does nothing if it has joined already.
   *
   * @throws `ERR_NO_FREE_CONSUMER`, `ERR_SHM_NOT_FOUND`, `ERR_SHM_MISMATCH` (it carries something else than ticks), `ERR_SHM_NAME`, `ERR_SHM_FULL`, `ERR_SHM_PERMISSION`, `ERR_SHM_VERSION`, `ERR_SHM_LAYOUT`, `ERR_SHM_BUSY`
   */
  start(): this {
    if (this.#joined !== undefined) return this;
    const { subscriberName = 'subscriber', from = 'newest', register } = this.#options;
    const ring = this.#attach();
    const info = ring.info() as RingInfo;
    const heads = HEAD_WORDS * MAX_BATCH;
    const f64 = new Float64Array(heads + longestRest(info.depthLevels) * MAX_BATCH);
    const subscriber = closeOnError(
      ring,
      () => new NativeSubscriber(ring, subscriberName, from === 'oldest', register, MAX_BATCH, f64),
    );
    const topics = new TopicTable(subscriber, info.lanes);
    const messages = {
      f64,
      i32: new Int32Array(f64.buffer),
      rest: heads,
      topic: (lane: number, number: number) => topics.at(lane, number),
      publisherOf: (lane: number) => subscriber.publisherOf(lane),
    };
    const pollInto = subscriber.pollInto();
    this.#joined = { ring, info, subscriber, pollInto, batch: new TickBatch(messages) };
    return this;
  }

  /**
   * Reads up to `max` messages (at most 256), without waiting; the batch is valid until the next poll.
   *
   * @throws `ERR_CLOSED`
   */
  poll(max: number = MAX_BATCH): TickBatch {
    const { pollInto, batch } = this.#open();
    return batch.fill(pollInto(max > MAX_BATCH ? MAX_BATCH : max));
  }

  /**
   * Calls back on the event loop with all there is, as often as there is something. One wake-up serves any
   * number of messages. An exception in the callback goes to the process, as from any event handler.
   *
   * @throws `ERR_CLOSED`
   */
  onBatch(callback: (batch: TickBatch) => void): void {
    const { subscriber } = this.#open();
    const drain = (): void => {
      if (this.#joined?.subscriber !== subscriber) return;
      try {
        const batch = this.poll();
        if (batch.length > 0) callback(batch);
      } finally {
        if (this.#joined?.subscriber === subscriber) subscriber.arm();
      }
    };
    native(() => subscriber.onReady(this.#options.wait ?? 'adaptive', drain));
  }

  /** Every tick from now on, as copies. Ends when the subscriber is closed or the loop is left. */
  async *[Symbol.asyncIterator](): AsyncIterator<Tick> {
    const { subscriber } = this.#open();
    let ready = Promise.resolve();
    const sleep = (): void => {
      ready = new Promise((resolve) => (this.#wake = resolve));
    };
    sleep();
    native(() => subscriber.onReady(this.#options.wait ?? 'adaptive', () => this.#wake?.()));
    try {
      while (this.#joined?.subscriber === subscriber) {
        const ticks = Array.from(this.poll(), (tick) => tick.toTick());
        yield* ticks;
        if (ticks.length > 0 || this.#joined?.subscriber !== subscriber) continue;
        sleep();
        subscriber.arm();
        await ready;
      }
    } finally {
      this.#wake = undefined;
      if (this.#joined?.subscriber === subscriber) subscriber.silence();
    }
  }

  /** @throws `ERR_CLOSED` */
  getStats(): SubscriberStats {
    const { subscriber } = this.#open();
    return native(() => subscriber.stats());
  }

  /**
   * The whole ring: all publishers and subscribers.
   *
   * @throws `ERR_CLOSED`
   */
  ringStats(): RingStats {
    return ringStats(this.#open().ring.stats());
  }

  /** False while it reads a ring whose name was removed or leads to a newer one: time to close, and start again. */
  isCurrent(): boolean {
    const joined = this.#joined;
    return joined === undefined || native(() => joined.ring.isCurrent());
  }

  /** The shape of the ring; undefined unless it has joined. */
  get ringInfo(): RingInfo | undefined {
    return this.#joined?.info;
  }

  /** Leaves the ring. Idempotent; `start` joins again. */
  close(): void {
    const joined = this.#joined;
    if (joined === undefined) return;
    this.#joined = undefined;
    // The last batch may still be read, and a name that was not asked for yet would be gone.
    for (const tick of joined.batch) void tick.symbol;
    joined.subscriber.close();
    joined.ring.close();
    this.#wake?.();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #attach(): NativeRing {
    const options = nativeOptions(this.#options);
    if (this.#options.create !== false) return native(() => NativeRing.createOrAttach(options));
    const ring = native(() => NativeRing.open(options.name));
    if (ring.info().kind === 'ticks') return ring;
    ring.close();
    throw new OpenAlgoShmError(
      'ERR_SHM_MISMATCH',
      `ring '${options.name}' carries something else than ticks: give the name of a ring of ticks`,
    );
  }

  #open(): Joined {
    if (this.#joined === undefined) {
      throw new OpenAlgoShmError('ERR_CLOSED', 'the subscriber is not running: call start() first');
    }
    return this.#joined;
  }
}
