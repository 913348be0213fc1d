import { OpenAlgoShmError } from '../errors.ts';
import { EventPublisher, type RingEvent } from '../shm/events.ts';
import { resultEvents, type SubscriptionResult } from '../shm/subscription-results.ts';
import { SILENT, isSample, type FeedLog } from './feed-log.ts';

/** How often a feed repeats whether its source is there, so that a proxy that starts late knows, ms. */
const REPEAT_MS = 1_000;

/** Events of results that go out in one go, and the time until the next, ms: the ring holds some 200, and a proxy must get to read them. */
const EVENTS_AT_ONCE = 16;
const BETWEEN_MS = 2;

/** What a feed counts of its events. */
export interface EventCounters {
  /** Order updates that went to the proxies. */
  orderUpdates: number;
  /** Events that were not passed on: they were too long, or the ring could not be written. */
  eventsDropped: number;
}

/** What a feed says of its source beside whether it is there. */
export interface SourceOptions {
  /** Whether it tells the result of every subscription: proxies' clients then wait for it. Default false. */
  answers?: boolean;
  /** Name of the broker, where it is not the feed's own. */
  broker?: string;
}

/**
 * What a live feed tells the proxies beside ticks: order updates, whether its own source is there, and what became of
 * subscriptions.
 */
export class LiveEvents {
  readonly #publisher: EventPublisher;
  readonly #counters: EventCounters;
  readonly #log: FeedLog;
  readonly #source: SourceOptions;
  #feed: string;
  #trouble: string | undefined;
  #owners: readonly string[] | undefined;
  #told = false;
  readonly #timer: NodeJS.Timeout;
  /** Results that have not gone out yet. */
  #results: SubscriptionResult[] = [];
  #sending: NodeJS.Timeout | undefined;

  /** @throws those of opening a ring */
  constructor(
    ringName: string | undefined,
    feed: string,
    counters: EventCounters,
    log: FeedLog = SILENT,
    source: SourceOptions = {},
  ) {
    this.#publisher = new EventPublisher({ ownerName: feed, ...(ringName !== undefined && { name: ringName }) });
    this.#feed = feed;
    this.#counters = counters;
    this.#log = log;
    this.#source = source;
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

  /**
   * The feed's source is there.
   *
   * @param owners the names of its one user, where it has one: one made of the key, and the source's own
   */
  up(feed: string, owners?: readonly string[]): void {
    this.#feed = feed;
    this.#owners = owners;
    this.#trouble = undefined;
    this.#tell();
  }

  /** The feed's source is away: results that have not gone out yet are of no worth. */
  down(reason: string): void {
    this.#results = [];
    this.#trouble = reason;
    this.#tell();
  }

  /** Tells what became of subscriptions. Those of one turn of the event loop go out together, many of them in steps. */
  results(results: readonly SubscriptionResult[]): void {
    for (const result of results) this.#results.push(result);
    if (this.#results.length > 0) this.#sending ??= setTimeout(() => this.#sendResults(), 0);
  }

  close(): void {
    clearInterval(this.#timer);
    clearTimeout(this.#sending);
    this.#publisher.close();
  }

  #sendResults(): void {
    this.#sending = undefined;
    let sent = 0;
    let events = 0;
    for (const event of resultEvents(this.#feed, this.#results)) {
      this.#publish(event);
      sent += (event['results'] as unknown[]).length;
      if (++events === EVENTS_AT_ONCE) break;
    }
    this.#results = this.#results.slice(sent);
    if (this.#results.length > 0) this.#sending = setTimeout(() => this.#sendResults(), BETWEEN_MS);
  }

  #tell(): void {
    this.#told = true;
    const trouble = this.#trouble?.slice(0, 500);
    const { answers, broker } = this.#source;
    this.#publish({
      type: 'feed_source',
      feed: this.#feed,
      up: trouble === undefined,
      ...(trouble && { reason: trouble }),
      ...(answers && { answers }),
      ...(broker && { broker }),
      ...(this.#owners && { owners: this.#owners }),
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
