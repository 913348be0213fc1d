import type { RingInfo } from '../shm/ring-buffer.ts';
import { PublishingFeed, type FeedCounters, type FeedOptions } from './feed.ts';
import { SimulatedMarket, type SimulatedMarketOptions } from './market.ts';
import { checkPace, giveTurn, pause, RatePace } from './pace.ts';

export interface SimulatedFeedOptions extends FeedOptions, SimulatedMarketOptions {
  /** Ticks a second, or `max` for as many as this process can make. Default 100. */
  rate?: number | 'max';
}

/** Most ticks that go into the ring before others on the event loop have a turn. */
const SLICE = 512;

/** Publishes a {@link SimulatedMarket}: shares, indices, futures and options, as LTP, quote and depth ticks. */
export class SimulatedFeed extends PublishingFeed<FeedCounters> {
  readonly #options: SimulatedFeedOptions;
  #market: SimulatedMarket;
  readonly #rate: number | 'max';

  /** @throws OpenAlgoShmError `ERR_INVALID_OPTION` */
  constructor(options: SimulatedFeedOptions = {}) {
    super({ ...options, publisherName: options.publisherName ?? 'simulated' }, { published: 0, stalls: 0 });
    this.#rate = checkPace('rate', options.rate ?? 100);
    this.#options = options;
    this.#market = new SimulatedMarket(options);
  }

  /** Symbol and exchange of every instrument of the market. */
  get instruments(): SimulatedMarket['instruments'] {
    return this.#market.instruments;
  }

  protected async run(ring: RingInfo, signal: AbortSignal): Promise<void> {
    // Who came first decided how deep the ring's books are.
    this.#market = new SimulatedMarket({ ...this.#options, depthLevels: ring.depthLevels });
    if (this.#rate === 'max') await this.#runFlatOut(signal);
    else await this.#runAtRate(this.#rate, signal);
  }

  async #runFlatOut(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.publish(this.#market.take(SLICE));
      await giveTurn();
    }
  }

  async #runAtRate(rate: number, signal: AbortSignal): Promise<void> {
    const pace = new RatePace(rate, performance.now());
    while (!signal.aborted) {
      for (let due = pace.take(performance.now()); due > 0 && !signal.aborted; due -= SLICE) {
        await this.publish(this.#market.take(Math.min(due, SLICE)));
        await giveTurn();
      }
      await pause(pace.untilNext(performance.now()), signal);
    }
  }
}
