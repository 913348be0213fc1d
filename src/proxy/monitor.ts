import type { FastifyBaseLogger } from 'fastify';
import type { FeedSources } from './feed-sources.ts';
import { type Health, type Liveness, assess, assessProcess, atThisHour } from './health.ts';
import type { MarketHours, MarketState } from './market-hours.ts';
import type { RingStats } from '../shm/ring-buffer.ts';
import type { Delivery } from '../shm/delivery.ts';

/** How often the ring is looked at, ms. */
const ROUND_MS = 1_000;

/** How long a look at the ring holds, ms. */
const FRESH_MS = 5;

interface Sample {
  takenAt: number;
  ring: RingStats | undefined;
}

/** When ticks are expected. */
export interface MonitorOptions {
  /** Silence that counts as stale, ms; 0 for never. */
  staleAfterMs: number;
  /** Undefined where ticks are expected at any hour. */
  market: MarketHours | undefined;
  /** Time after an opening in which they may fail to come, ms. */
  openingGraceMs: number;
}

/** What the monitor does when something has happened. */
export interface MonitorEvents {
  /** The health is another than before. */
  onHealthChanged(health: Health): void;
}

/** Looks at the ring once a second: its figures and rates, its health, and whether it must be attached to anew. */
export class Monitor {
  readonly #delivery: Delivery;
  readonly #options: MonitorOptions;
  readonly #sources: FeedSources;
  readonly #events: MonitorEvents;
  readonly #log: FastifyBaseLogger;
  #previous: Sample;
  #latest: Sample;
  #looked: Sample;
  #state: string | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** How often the ring was attached to anew. */
  reattached = 0;

  constructor(
    delivery: Delivery,
    options: MonitorOptions,
    sources: FeedSources,
    events: MonitorEvents,
    log: FastifyBaseLogger,
  ) {
    this.#delivery = delivery;
    this.#options = options;
    this.#sources = sources;
    this.#events = events;
    this.#log = log;
    this.#looked = this.#latest = this.#previous = this.#sample();
  }

  start(): void {
    this.health();
    this.#timer = setInterval(() => this.#round(), ROUND_MS);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** The ring's figures, at most 5 ms old; undefined when it cannot be looked at. */
  ring(): RingStats | undefined {
    if (performance.now() - this.#looked.takenAt > FRESH_MS) this.#looked = this.#sample();
    return this.#looked.ring;
  }

  /** The ring's figures now; undefined when it cannot be looked at. */
  look(): RingStats | undefined {
    this.#looked = this.#sample();
    return this.#looked.ring;
  }

  /** Whether ticks come as they should now. A change is told to whoever asked for it before this returns. */
  health(): Health {
    const { staleAfterMs, openingGraceMs } = this.#options;
    const now = Number(process.hrtime.bigint());
    const seen = assess(this.look(), now, staleAfterMs, this.#sources, this.#areThreadsRunning());
    const health = atThisHour(seen, this.#market(), openingGraceMs);
    this.#reportChange(health);
    return health;
  }

  /** Whether the process itself works, whatever the feeds do. */
  liveness(): Liveness {
    return assessProcess(this.#areThreadsRunning());
  }

  /** True while the market is open, and where its hours are not known. */
  isMarketOpen(): boolean {
    return this.#market()?.isOpen ?? true;
  }

  /** Messages per second of a lane in the last round. */
  rateOf(lane: number): number {
    const seconds = (this.#latest.takenAt - this.#previous.takenAt) / 1000;
    const [before, after] = [this.#previous, this.#latest].map((sample) => published(sample.ring, lane));
    if (before === undefined || after === undefined || seconds <= 0) return 0;
    return Math.max(0, (after - before) / seconds);
  }

  #market(): MarketState | undefined {
    return this.#options.market?.at(Date.now());
  }

  #areThreadsRunning(): boolean {
    return this.#delivery.threads().every(({ isRunning }) => isRunning);
  }

  #round(): void {
    try {
      this.#previous = this.#latest;
      this.#latest = this.#sample();
      this.health();
      if (!this.#delivery.isCurrent()) this.#reattach();
    } catch (error) {
      this.#log.error({ err: error }, 'the ring could not be looked at');
    }
  }

  #reportChange(health: Health): void {
    const state = stateOf(health);
    if (state === this.#state) return;
    this.#state = state;
    const { status, reasons, market } = health;
    this.#log.info({ status, reasons, market }, 'the health of the feed has changed');
    this.#events.onHealthChanged(health);
  }

  #reattach(): void {
    try {
      this.#delivery.reattach();
    } catch (error) {
      this.#log.warn({ err: error }, 'the ring is gone and cannot be attached to yet; trying again');
      return;
    }
    this.reattached += 1;
    this.#log.info({ ring: this.#delivery.ringInfo().name }, 'attached to the ring anew');
  }

  #sample(): Sample {
    try {
      return { takenAt: performance.now(), ring: this.#delivery.ringStats() };
    } catch (error) {
      this.#log.warn({ err: error }, 'the figures of the ring cannot be read');
      return { takenAt: performance.now(), ring: undefined };
    }
  }
}

function stateOf(health: Health): string {
  return [health.status, health.market, ...health.reasons.map((reason) => reason.code)].join();
}

function published(ring: RingStats | undefined, lane: number): number | undefined {
  return ring?.publishers.find((publisher) => publisher.lane === lane)?.messagesPublished;
}
