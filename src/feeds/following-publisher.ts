import { OpenAlgoShmError } from '../errors.ts';
import type { MarketData, Tick } from '../message.ts';
import { withoutWaiting } from '../shm/options.ts';
import { SharedMemoryPublisher, type PublisherOptions, type PublisherStats } from '../shm/publisher.ts';
import type { RingInfo } from '../shm/ring-buffer.ts';

/** How often it looks whether its ring was made anew, ms. */
const LOOK_MS = 1_000;

/** A publisher that runs all day: when its ring was removed, it goes over to the one that has the name then. */
export class FollowingPublisher {
  #options: PublisherOptions;
  #publisher: SharedMemoryPublisher;
  #earlier = { published: 0, rejected: 0 };
  #looking: NodeJS.Timeout | undefined;

  /** @throws `ERR_INVALID_OPTION` */
  constructor(options: PublisherOptions) {
    this.#options = options;
    this.#publisher = new SharedMemoryPublisher(options);
  }

  /** The shape of the ring that it publishes to; undefined unless running. */
  get ringInfo(): RingInfo | undefined {
    return this.#publisher.ringInfo;
  }

  /** @throws as {@link SharedMemoryPublisher.start} */
  start(): this {
    this.#publisher.start();
    this.#looking ??= setInterval(() => this.#follow(), LOOK_MS).unref();
    return this;
  }

  /** @throws as {@link SharedMemoryPublisher.publishMarketData} */
  publishMarketData(symbol: string, data: MarketData): boolean {
    return this.#publisher.publishMarketData(symbol, data);
  }

  /** @throws as {@link SharedMemoryPublisher.publishBatch} */
  publishBatch(ticks: readonly Tick[]): number {
    return this.#publisher.publishBatch(ticks);
  }

  /** Counts are of all rings that it has published to. */
  getStats(): PublisherStats {
    const stats = this.#publisher.getStats();
    stats.messagesPublished += this.#earlier.published;
    stats.messagesRejected += this.#earlier.rejected;
    return stats;
  }

  /** Goes on under another name, or if that cannot be, under its own. @throws as {@link start} */
  rename(publisherName: string): void {
    const options = { ...this.#options, publisherName };
    const before = this.#publisher;
    // Its own lane may be the only one that is free.
    before.stop();
    try {
      this.#replace(new SharedMemoryPublisher(options).start());
      this.#options = options;
    } catch (error) {
      before.start();
      throw error;
    }
  }

  /** Gives the lane back. Idempotent; `start` works again. */
  stop(): void {
    clearInterval(this.#looking);
    this.#looking = undefined;
    this.#publisher.stop();
  }

  /** Stops, and removes the ring's name. True if there was one. */
  cleanup(): boolean {
    this.stop();
    return this.#publisher.cleanup();
  }

  #follow(): void {
    if (this.#publisher.isCurrent()) return;
    try {
      this.#replace(withoutWaiting(() => new SharedMemoryPublisher(this.#options).start()));
    } catch (error) {
      // It cannot be joined yet; the next look tries again.
      if (!(error instanceof OpenAlgoShmError)) throw error;
    }
  }

  #replace(successor: SharedMemoryPublisher): void {
    const { messagesPublished, messagesRejected } = this.#publisher.getStats();
    this.#earlier.published += messagesPublished;
    this.#earlier.rejected += messagesRejected;
    this.#publisher.stop();
    this.#publisher = successor;
  }
}
