import { hasCode } from '../errors.ts';
import type { MarketData, Tick } from '../message.ts';
import { native } from './native.ts';
import { nativeOptions, type RingOptions } from './options.ts';
import { BATCH, PublisherLane, type OpenLane } from './publisher-lane.ts';
import { LockFreeRingBuffer, removeCompanions, ringStats, type RingInfo } from './ring-buffer.ts';
import { SYMBOL_IN_TICK } from './tick-writer.ts';
import { TopicHandle } from './topic-handle.ts';

/** Options of a publisher. */
export interface PublisherOptions extends RingOptions {
  /** Name that monitors and clients (as `broker`) see, at most 48 bytes. Default `publisher`. */
  publisherName?: string;
  /** Exchange of ticks that do not name theirs. Default `NSE`. */
  exchange?: string;
  /** What to do with NaN and infinities: refuse them (default), or pass them on, which clients see as `null`. */
  nonFinite?: 'reject' | 'pass';
}

/** Figures of a publisher. */
export interface PublisherStats {
  name: string;
  ring: string;
  /** True between start and stop. */
  running: boolean;
  /** Its lane; absent unless running. */
  lane?: number;
  messagesPublished: number;
  /** Messages that a full lossless ring refused. */
  messagesRejected: number;
  /** Average duration of a publish in the native core, ns, of a sample of one in 64. 0 before the first. */
  avgLatencyNs: number;
}

/**
 * Publishes ticks into a ring: the owner of one of its lanes.
 *
 * @example
 * const publisher = new SharedMemoryPublisher();
 * publisher.start();
 * publisher.publishMarketData('RELIANCE', { type: 1, ltp: 150.25, volume: 1000 });
 * publisher.stop();
 */
export class SharedMemoryPublisher {
  readonly #options: PublisherOptions;
  readonly #name: string;
  readonly #exchange: string;
  readonly #lane = new PublisherLane();
  #avgLatencyNs = 0;

  /** @throws `ERR_INVALID_OPTION` */
  constructor(options: PublisherOptions = {}) {
    nativeOptions(options);
    this.#options = { ...options };
    this.#name = options.publisherName ?? 'publisher';
    this.#exchange = options.exchange ?? 'NSE';
  }

  /**
   * Attaches to the ring as it is, or creates it, and takes a lane. Does nothing if it runs already.
   *
   * @throws `ERR_NO_FREE_LANE`, `ERR_SHM_NAME`, `ERR_SHM_FULL`, `ERR_SHM_PERMISSION`, `ERR_SHM_VERSION`, `ERR_SHM_LAYOUT`, `ERR_SHM_BUSY`
   */
  start(): this {
    if (this.#lane.current === undefined) {
      const strict = this.#options.nonFinite !== 'pass';
      this.#lane.open(this.#name, nativeOptions(this.#options), { exchange: this.#exchange, strict });
    }
    return this;
  }

  /**
   * The fast way to publish one topic often: its name is checked and looked up once, not per tick.
   *
   * @param exchange - Default: the publisher's `exchange` option
   * @throws `ERR_INVALID_SYMBOL`, `ERR_TOO_MANY_TOPICS`, `ERR_SHM_FULL`, `ERR_CLOSED` (not started)
   */
  topic(symbol: string, exchange: string = this.#exchange): TopicHandle {
    return new TopicHandle(this.#lane, symbol, exchange);
  }

  /**
   * Publishes one tick. Never waits. Returns false if a lossless ring is full.
   *
   * @throws `ERR_INVALID_SYMBOL`, `ERR_INVALID_FIELD`, `ERR_BOOK_TOO_DEEP`, `ERR_TOO_MANY_TOPICS` (the ring's
   * `topics` option), `ERR_SHM_FULL` (of a new topic), `ERR_CLOSED` (not started)
   */
  publishMarketData(symbol: string, data: MarketData): boolean {
    const lane = this.#lane.running();
    lane.writer.write(0, symbol, data);
    return this.#lane.commitOne(lane);
  }

  /**
   * Publishes ticks, 64 in a call to the core. Returns how many were published: all, unless a lossless
   * ring is full. If a tick is invalid, those before it in its group of 64 are published and it throws.
   *
   * @throws as {@link publishMarketData}
   */
  publishBatch(ticks: readonly Tick[]): number {
    const lane = this.#lane.running();
    let done = 0;
    while (done < ticks.length) {
      const size = Math.min(BATCH, ticks.length - done);
      const taken = this.#publishSlice(lane, ticks, done, size);
      done += taken;
      if (taken < size) break;
    }
    return done;
  }

  getStats(): PublisherStats {
    const { current: lane, published, rejected } = this.#lane;
    if (lane !== undefined) this.#readLatency(lane);
    return {
      name: this.#name,
      ring: nativeOptions(this.#options).name,
      running: lane !== undefined,
      ...(lane === undefined ? {} : { lane: lane.publisher.lane }),
      messagesPublished: published,
      messagesRejected: rejected,
      avgLatencyNs: this.#avgLatencyNs,
    };
  }

  /** The shape of the ring it publishes to; undefined unless running. */
  get ringInfo(): RingInfo | undefined {
    return this.#lane.current?.info;
  }

  /** False while it publishes to a ring whose name was removed or leads to a newer one: time to stop, and start again. */
  isCurrent(): boolean {
    const lane = this.#lane.current;
    return lane === undefined || native(() => lane.ring.isCurrent());
  }

  /** Gives the lane back. The ring and what is in it stay. Idempotent; `start` works again. */
  stop(): void {
    const lane = this.#lane.current;
    if (lane === undefined) return;
    this.#readLatency(lane);
    this.#lane.close();
  }

  /**
   * Stops, and removes the ring's name; processes that have it mapped keep it. The small rings beside it go too, unless
   * somebody living holds them. True if there was one.
   */
  cleanup(): boolean {
    this.stop();
    const { name } = nativeOptions(this.#options);
    try {
      const ring = LockFreeRingBuffer.open(name);
      const removed = ring.unlink();
      ring.close();
      return removed;
    } catch (error) {
      if (!hasCode(error, 'ERR_SHM_NOT_FOUND')) throw error;
      removeCompanions(name);
      return false;
    }
  }

  [Symbol.dispose](): void {
    this.stop();
  }

  #publishSlice(lane: OpenLane, ticks: readonly Tick[], from: number, size: number): number {
    let written = 0;
    let taken = 0;
    try {
      for (; written < size; written++) lane.writer.write(written, SYMBOL_IN_TICK, ticks[from + written]!);
    } finally {
      if (written > 0) taken = lane.commit(written) ?? written;
      this.#lane.published += taken;
      this.#lane.rejected += written - taken;
    }
    return taken;
  }

  #readLatency({ ring, publisher }: OpenLane): void {
    const own = ringStats(ring.stats()).publishers.find(({ lane }) => lane === publisher.lane);
    this.#avgLatencyNs = own?.avgLatencyNs ?? 0;
  }
}
