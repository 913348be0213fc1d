import { OpenAlgoShmError } from '../errors.ts';
import { EventPublisher, type RingEvent } from '../shm/events.ts';
import { SILENT, isSample, type FeedLog } from './feed-log.ts';

/** How often a feed repeats whether its source is there, so that a proxy that starts late knows, ms. */
const REPEAT_MS = 1_000;

/** What a feed counts of its events. */
export interface EventCounters {
  /** Order updates that went to the proxies. */
  orderUpdates: number;
  /** Order updates that were too long to pass on. */
  eventsDropped: number;
}

/** What a live feed tells the proxies beside ticks: order updates, and whether its own source is there. */
export class LiveEvents {
  readonly #publisher: EventPublisher;
  readonly #counters: EventCounters;
  readonly #log: FeedLog;
  #feed: string;
  #trouble: string | undefined;
  #told = false;
  readonly #timer: NodeJS.Timeout;

  /** @throws those of opening a ring */
  constructor(ringName: string | undefined, feed: string, counters: EventCounters, log: FeedLog = SILENT) {
    this.#publisher = new EventPublisher({ ownerName: feed, ...(ringName !== undefined && { name: ringName }) });
    this.#feed = feed;
    this.#counters = counters;
    this.#log = log;
    this.#timer = setInterval(() => {
      if (this.#told) this.#tell();
    }, REPEAT_MS).unref();
  }

  /**
   * Passes an order update on.
   *
   * @param owners whose it is: the sessions of any of them get it
   */
  order(update: object, owners: readonly string[]): void {
    if (this.#publish({ type: 'order_update', owners, update })) this.#counters.orderUpdates++;
  }

  /** The feed's source is there. */
  up(feed: string): void {
    this.#feed = feed;
    this.#trouble = undefined;
    this.#tell();
  }

  /** The feed's source is away. */
  down(reason: string): void {
    this.#trouble = reason;
    this.#tell();
  }

  close(): void {
    clearInterval(this.#timer);
    this.#publisher.close();
  }

  #tell(): void {
    this.#told = true;
    const trouble = this.#trouble?.slice(0, 500);
    this.#publish({
      type: 'feed_source',
      feed: this.#feed,
      up: trouble === undefined,
      ...(trouble && { reason: trouble }),
    });
  }

  #publish(event: RingEvent): boolean {
    try {
      this.#publisher.publish(event);
      return true;
    } catch (error) {
      if (!(error instanceof OpenAlgoShmError)) throw error;
      const count = ++this.#counters.eventsDropped;
      if (isSample(count)) this.#log.warn(`${count} events dropped so far: ${error.message}`);
      return false;
    }
  }
}
