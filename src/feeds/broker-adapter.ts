import { EventEmitter } from 'node:events';
import { OpenAlgoShmError } from '../errors.ts';
import type { Tick } from '../message.ts';
import { InterestReader, type InterestChange } from '../shm/interest.ts';
import type { RingOptions } from '../shm/options.ts';
import type { SubscriptionResult } from '../shm/subscription-results.ts';
import type { PublisherStats } from '../shm/publisher.ts';
import { TickNormaliser, type RawTick } from './dialect.ts';
import { FollowingPublisher } from './following-publisher.ts';
import { LiveEvents } from './live-events.ts';
import { hasSymbol } from './tick-lines.ts';

export interface BrokerAdapterOptions extends RingOptions {
  /** Exchange of ticks that name none. Default `NSE`. */
  exchange?: string;
  /** Offset from UTC of dates and times that name none, as `Z` or `±hh:mm`. Default `+05:30`, India's. */
  utcOffset?: string;
  /**
   * Whether the adapter tells the result of every subscription, with {@link SharedMemoryBrokerAdapter.accept} and
   * {@link SharedMemoryBrokerAdapter.refuse}: clients then wait a moment for it. Default false.
   */
  answers?: boolean;
}

export interface BrokerAdapterStats extends PublisherStats {
  /** Ticks that were refused whole: no object, a bad symbol, nothing in them that could be read. */
  ticksInvalid: number;
  /** Keys that no field answers to, and how often each was seen. */
  unknownKeys: Record<string, number>;
  /** Keys whose values could not be read and were left out, and how often. */
  unreadableKeys: Record<string, number>;
  /** What could not be told to the proxies beside ticks. */
  eventsDropped: number;
}

type Topic = Pick<InterestChange, 'exchange' | 'symbol' | 'mode'>;

/** What clients begin and cease to want, each topic and mode once however many want it. */
export interface BrokerAdapterEvents {
  /** Comes again for a topic in mode 3 when the deepest book that anybody wants changes. */
  subscribe: [InterestChange];
  unsubscribe: [InterestChange];
}

/**
 * Where a broker's adapter hands over its ticks, just as they are: with any of the names that OpenAlgo's adapters and
 * Kite's ticker use, times in seconds or ms, numbers as text. The ring is opened with the first tick; if it is removed
 * later, the adapter goes over to the one that has its name within a second.
 *
 * An adapter that listens to `subscribe` and `unsubscribe` hears what the clients of all proxies want: at first all
 * that is wanted already, within a second, and every change from then on.
 *
 * @example
 * const adapter = new SharedMemoryBrokerAdapter('zerodha');
 * adapter.on('subscribe', ({ exchange, symbol, mode, depth }) => ticker.subscribe(exchange, symbol, mode, depth));
 * adapter.on('unsubscribe', ({ exchange, symbol, mode }) => ticker.unsubscribe(exchange, symbol, mode));
 * adapter.publishTickData('RELIANCE', { last_price: 1402.5, volume: 5_000, exchange: 'NSE' });
 * adapter.stop();
 */
export class SharedMemoryBrokerAdapter extends EventEmitter<BrokerAdapterEvents> {
  /** The broker's name, which clients see as `broker`. */
  readonly brokerName: string;
  readonly #publisher: FollowingPublisher;
  readonly #normaliser: TickNormaliser;
  readonly #ringName: string | undefined;
  readonly #answers: boolean;
  readonly #eventCounters = { orderUpdates: 0, eventsDropped: 0 };
  #interest: InterestReader | undefined;
  #events: LiveEvents | undefined;
  #ticksInvalid = 0;

  /** @throws OpenAlgoShmError `ERR_INVALID_ARGUMENT` for a name that is no text or empty; `ERR_INVALID_OPTION` */
  constructor(brokerName: string, options: BrokerAdapterOptions = {}) {
    super();
    if (typeof brokerName !== 'string' || brokerName === '') {
      throw new OpenAlgoShmError(
        'ERR_INVALID_ARGUMENT',
        `brokerName must be the broker's name, got ${String(brokerName)}`,
      );
    }
    this.brokerName = brokerName;
    this.#publisher = new FollowingPublisher({ ...options, publisherName: brokerName, nonFinite: 'pass' });
    this.#normaliser = new TickNormaliser(options, { carries: true });
    this.#ringName = options.name;
    this.#answers = options.answers ?? false;
    (this as EventEmitter).on('newListener', (event) => {
      if (event === 'subscribe' || event === 'unsubscribe') this.#listen();
    });
  }

  /**
   * Opens the ring and takes a lane. Without it the first tick does so, and again after {@link stop}.
   * @throws OpenAlgoShmError `ERR_NO_FREE_LANE` and those of opening a ring
   */
  start(): this {
    this.#publisher.start();
    if (this.listenerCount('subscribe') + this.listenerCount('unsubscribe') > 0) this.#listen();
    return this;
  }

  /** Every topic and mode that clients want now; nothing before the first listener. */
  wanted(): InterestChange[] {
    return this.#interest?.wanted() ?? [];
  }

  /**
   * Publishes a tick. Symbol and exchange given here win over those inside the tick. A value that cannot be read is left
   * out and counted.
   *
   * @returns false where a lossless ring is full, and the tick is not published
   * @throws OpenAlgoShmError `ERR_INVALID_FIELD` for what is no object or holds nothing that can be read; `ERR_INVALID_SYMBOL`; `ERR_BOOK_TOO_DEEP`; those of
   *   {@link start}
   */
  publishTickData(symbol: string, tick: RawTick, exchange?: string): boolean {
    this.#publisher.start();
    return this.#counted(() => {
      const data = this.#normaliser.normalise(tick, { symbol, exchange });
      if (exchange !== undefined) data.exchange = exchange;
      return this.#publisher.publishMarketData(symbol, data);
    });
  }

  /**
   * Publishes ticks that have their symbols inside, in order. If one cannot be understood, none is published.
   *
   * @returns how many were published: all, unless a lossless ring is full
   * @throws OpenAlgoShmError as {@link publishTickData}
   */
  publishTicks(ticks: readonly RawTick[]): number {
    this.#publisher.start();
    return this.#counted(() => this.#publisher.publishBatch(ticks.map((tick, index) => this.#withSymbol(tick, index))));
  }

  /**
   * The broker has taken a subscription. For adapters with the option `answers`.
   *
   * @param depth levels a side that will come, of a subscription in mode 3; default: as many as were asked for
   * @throws OpenAlgoShmError `ERR_INVALID_OPTION` without the option
   */
  accept(change: InterestChange, depth?: number): void {
    const levels = change.mode === 3 ? (depth ?? change.depth) : undefined;
    this.#tell(change, { status: 'success', ...(levels !== undefined && { depth: levels }) });
  }

  /**
   * The broker has refused a subscription, at once or later in the day: the clients are told, and it ends. For adapters
   * with the option `answers`.
   *
   * @param reason in the broker's words; of a long one the first 200 characters are told
   * @throws OpenAlgoShmError `ERR_INVALID_OPTION` without the option
   */
  refuse(change: InterestChange, reason: string): void {
    this.#tell(change, { status: 'error', message: reason });
  }

  /**
   * The session at the broker is gone: nothing that was accepted holds any more, and clients see that the feed is down.
   * For adapters with the option `answers`.
   *
   * @throws OpenAlgoShmError `ERR_INVALID_OPTION` without the option
   */
  down(reason: string): void {
    this.#requireAnswers();
    this.#events?.down(reason);
  }

  /**
   * The session at the broker is back: subscribe all that is {@link wanted} again, and tell the results. Without it an
   * adapter counts as up from its start. For adapters with the option `answers`.
   *
   * @throws OpenAlgoShmError `ERR_INVALID_OPTION` without the option
   */
  up(): void {
    this.#requireAnswers();
    this.#events?.up(this.brokerName);
  }

  getStats(): BrokerAdapterStats {
    return {
      ...this.#publisher.getStats(),
      ticksInvalid: this.#ticksInvalid,
      eventsDropped: this.#eventCounters.eventsDropped,
      unknownKeys: Object.fromEntries(this.#normaliser.unknownKeys),
      unreadableKeys: Object.fromEntries(this.#normaliser.unreadableKeys),
    };
  }

  /** Gives the lane back and hears no more of what is wanted, until the next {@link start}. The ring and what is in it stay. Idempotent. */
  stop(): void {
    this.#interest?.close();
    this.#interest = undefined;
    this.#events?.close();
    this.#events = undefined;
    this.#publisher.stop();
  }

  /** Stops, and removes the ring's name. True if there was one. */
  cleanup(): boolean {
    this.stop();
    return this.#publisher.cleanup();
  }

  [Symbol.dispose](): void {
    this.stop();
  }

  #listen(): void {
    if (this.#answers && this.#events === undefined) {
      this.#events = new LiveEvents(this.#ringName, this.brokerName, this.#eventCounters, undefined, { answers: true });
      this.up();
    }
    this.#interest ??= new InterestReader(
      {
        subscribe: (change) => this.emit('subscribe', change),
        unsubscribe: (change) => {
          this.emit('unsubscribe', change);
          if (this.#answers) this.#tell(change, { status: 'ended' });
        },
      },
      { ownerName: this.brokerName, ...(this.#ringName !== undefined && { name: this.#ringName }) },
    );
  }

  /** Results that come after the adapter was stopped have nowhere to go. */
  #tell({ exchange, symbol, mode }: InterestChange, result: Omit<SubscriptionResult, keyof Topic>): void {
    this.#requireAnswers();
    this.#events?.results([{ exchange, symbol, mode, ...result }]);
  }

  #requireAnswers(): void {
    if (this.#answers) return;
    throw new OpenAlgoShmError(
      'ERR_INVALID_OPTION',
      'this adapter tells no results; create it with the option answers: true',
    );
  }

  #withSymbol(raw: RawTick, index: number): Tick {
    const tick = this.#normaliser.normalise(raw);
    if (hasSymbol(tick)) return tick;
    throw new OpenAlgoShmError('ERR_INVALID_SYMBOL', `tick ${index} of the batch has no symbol inside`);
  }

  #counted<T>(publish: () => T): T {
    try {
      return publish();
    } catch (error) {
      if (error instanceof OpenAlgoShmError) this.#ticksInvalid++;
      throw error;
    }
  }
}
