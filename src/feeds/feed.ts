import { OpenAlgoShmError } from '../errors.ts';
import type { Tick } from '../message.ts';
import type { RingOptions } from '../shm/options.ts';
import type { RingInfo } from '../shm/ring-buffer.ts';
import { FollowingPublisher } from './following-publisher.ts';
import { pause } from './pace.ts';

/** What every feed counts. */
export interface FeedCounters {
  /** Ticks that went into the ring. */
  published: number;
  /** Times that a full lossless ring made the feed wait. */
  stalls: number;
}

/** Something that publishes ticks into a ring until it is stopped or has no more. It runs once. */
export interface Feed<Counters extends FeedCounters = FeedCounters> {
  /** The publisher's name, which clients see as the broker. */
  readonly name: string;
  /** True from `start` until the lane is given back. */
  readonly running: boolean;
  readonly counters: Readonly<Counters>;
  /** Resolves when the feed has ended, by itself or by `stop`; rejects with what made it fail. */
  readonly done: Promise<void>;
  /**
   * Takes a lane of the ring and begins to publish.
   * @throws OpenAlgoShmError where the ring cannot be opened; `ERR_INVALID_ARGUMENT` at a second start
   */
  start(): this;
  /** Ends the feed; resolves when its lane is given back, rejects with what made the feed fail before. */
  stop(): Promise<void>;
}

/** Options that all feeds share, beside the ring's own. */
export interface FeedOptions extends RingOptions {
  /** The publisher's name, which clients see as the broker. Default: the kind of feed. */
  publisherName?: string;
}

const FIRST_STALL_MS = 1;
const LONGEST_STALL_MS = 10;

/** A feed that makes its ticks itself: all but where they come from. */
export abstract class PublishingFeed<Counters extends FeedCounters> implements Feed<Counters> {
  readonly counters: Counters;
  readonly done: Promise<void>;
  #name: string;
  readonly #publisher: FollowingPublisher;
  readonly #ending = new AbortController();
  readonly #settle: { resolve: () => void; reject: (reason: unknown) => void };
  #state: 'new' | 'running' | 'ended' = 'new';

  protected constructor(options: FeedOptions & { publisherName: string; exchange?: string }, counters: Counters) {
    this.#name = options.publisherName;
    this.counters = counters;
    this.#publisher = new FollowingPublisher({ ...options, nonFinite: 'pass' });
    let settle = { resolve: () => {}, reject: (_reason: unknown) => {} };
    this.done = new Promise((resolve, reject) => {
      settle = { resolve, reject };
    });
    this.#settle = settle;
  }

  get name(): string {
    return this.#name;
  }

  get running(): boolean {
    return this.#state === 'running';
  }

  /** Publishes into this ring until there is no more, or until the signal is aborted. */
  protected abstract run(ring: RingInfo, signal: AbortSignal): Promise<void>;

  start(): this {
    if (this.#state !== 'new') {
      throw new OpenAlgoShmError('ERR_INVALID_ARGUMENT', `feed ${this.name} has been started before; make a new one`);
    }
    const ring = this.#publisher.start().ringInfo as RingInfo;
    this.#state = 'running';
    this.run(ring, this.#ending.signal)
      .finally(() => this.#end())
      .then(this.#settle.resolve, this.#settle.reject);
    return this;
  }

  async stop(): Promise<void> {
    this.#ending.abort();
    if (this.#state === 'new') {
      this.#state = 'ended';
      this.#settle.resolve();
    }
    await this.done;
  }

  /** Levels a side that the ring has room for now. */
  protected get depthLevels(): number {
    return this.#publisher.ringInfo?.depthLevels ?? 0;
  }

  /** Publishes all of them, in order; waits while a lossless ring is full. Ends early only when the feed is stopped. */
  protected async publish(ticks: readonly Tick[]): Promise<void> {
    let rest = ticks;
    let stall = FIRST_STALL_MS;
    while (rest.length > 0 && !this.#ending.signal.aborted) {
      const taken = this.#publisher.publishBatch(rest.map((tick) => this.#fitted(tick)));
      this.counters.published += taken;
      if (taken === rest.length) return;
      rest = rest.slice(taken);
      if (taken > 0) stall = FIRST_STALL_MS;
      this.counters.stalls++;
      await pause(stall, this.#ending.signal);
      stall = Math.min(stall * 2, LONGEST_STALL_MS);
    }
  }

  /**
   * Publishes one tick if the ring takes it now: who follows a live market cannot wait.
   * @throws OpenAlgoShmError as {@link SharedMemoryPublisher.publishMarketData}
   */
  protected offer(tick: Tick): boolean {
    return this.#publisher.publishMarketData(tick.symbol, tick);
  }

  /**
   * Goes on as another publisher, whose name clients see as the broker from now on.
   * @throws OpenAlgoShmError where that cannot be; the name stays as it was
   */
  protected rename(publisherName: string): void {
    if (publisherName === this.#name) return;
    this.#publisher.rename(publisherName);
    this.#name = publisherName;
  }

  /** The ring may have been made anew, by others, with less room than the one that the feed began with. */
  #fitted(tick: Tick): Tick {
    const { depth } = tick;
    const levels = this.depthLevels;
    if (depth === undefined || Math.max(depth.buy.length, depth.sell.length) <= levels) return tick;
    return { ...tick, depth: { buy: depth.buy.slice(0, levels), sell: depth.sell.slice(0, levels) } };
  }

  #end(): void {
    this.#state = 'ended';
    this.#publisher.stop();
  }
}
