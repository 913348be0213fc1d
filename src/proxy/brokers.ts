import type { Identity } from './auth.ts';
import type { FeedSources } from './feed-sources.ts';
import type { Monitor } from './monitor.ts';

/** Stands in for a broker's name while there is none. */
const NO_BROKER = 'openalgo-shm';

/** The brokers behind the ticks, as answers name them: as the feeds do, else they are the publishers of the ring. */
export class Brokers {
  readonly #monitor: Monitor;
  readonly #sources: FeedSources;
  readonly #broker: string | undefined;
  readonly #supported: readonly string[] | undefined;

  constructor(
    monitor: Monitor,
    sources: FeedSources,
    broker: string | undefined,
    supported: readonly string[] | undefined,
  ) {
    this.#monitor = monitor;
    this.#sources = sources;
    this.#broker = broker;
    this.#supported = supported;
  }

  /** The broker of a user. */
  of(identity: Identity | undefined): string {
    return this.#broker ?? identity?.broker ?? this.supported()[0] ?? NO_BROKER;
  }

  /** All brokers. */
  supported(): readonly string[] {
    if (this.#supported !== undefined) return this.#supported;
    const ofPublishers = this.#feeds().map((feed) => this.#sources.brokerOf(feed) ?? feed);
    return [...new Set([...ofPublishers, ...this.#sources.brokers()])];
  }

  /** Whether anybody publishes whose source is there. */
  areConnected(): boolean {
    return this.#feeds().some((feed) => this.#sources.troubleOf(feed) === undefined);
  }

  /** Why no ticks can come now, as all feeds say of their sources; undefined if some may. */
  trouble(): string | undefined {
    const trouble = this.#sources.trouble();
    return trouble === undefined || this.areConnected() ? undefined : trouble;
  }

  /** Levels a side that a client can get at most. */
  depthOf(requested: number): number {
    const levels = this.#monitor.ring()?.depthLevels ?? requested;
    return Math.min(requested, levels);
  }

  #feeds(): string[] {
    const publishers = this.#monitor.ring()?.publishers ?? [];
    return publishers.filter(({ alive }) => alive).map(({ publisher }) => publisher);
  }
}
