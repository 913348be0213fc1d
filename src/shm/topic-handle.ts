import { MODE, type MarketData, type Mode } from '../message.ts';
import type { OpenLane, PublisherLane } from './publisher-lane.ts';
import type { LtpFields } from './tick-writer.ts';

/** The fields of a tick whose topic and mode are known. */
export type TopicData = Omit<MarketData, 'type' | 'exchange'>;

/**
 * One topic of a publisher, for callers that publish it often: its name is checked and looked up once. It stays
 * valid when the publisher is stopped and started again.
 *
 * @example
 * const reliance = publisher.topic('RELIANCE', 'NSE');
 * reliance.ltp(1402.5, { volume: 5000, timestamp: Date.now() });
 * reliance.quote({ ltp: 1402.5, open: 1398, high: 1405, low: 1391 });
 * reliance.depth({ depth: { buy: [{ price: 1402.45, quantity: 100 }], sell: [] } });
 */
export class TopicHandle {
  readonly symbol: string;
  readonly exchange: string;
  readonly #publisher: PublisherLane;
  /** The lane in whose table the number is. */
  #lane: OpenLane | undefined;
  #number = 0;

  /** @internal Made by `SharedMemoryPublisher.topic`. */
  constructor(publisher: PublisherLane, symbol: string, exchange: string) {
    this.#publisher = publisher;
    this.symbol = symbol;
    this.exchange = exchange;
    this.#enter();
  }

  /**
   * Publishes an LTP tick. Returns false if a lossless ring is full.
   *
   * @throws `ERR_INVALID_FIELD`, `ERR_CLOSED`; after a restart of the publisher also what `topic` throws
   */
  ltp(price: number, fields?: LtpFields): boolean {
    const publisher = this.#publisher;
    const lane = publisher.current;
    if (lane === undefined || lane !== this.#lane) return this.#afterRestart(() => this.ltp(price, fields));
    lane.writer.writeLtp(this.#number, price, fields);
    return publisher.commitOne(lane);
  }

  /**
   * Publishes a quote. Returns false if a lossless ring is full.
   *
   * @throws as {@link ltp}, and `ERR_BOOK_TOO_DEEP`
   */
  quote(data: TopicData): boolean {
    return this.#tick(data, MODE.QUOTE);
  }

  /**
   * Publishes an order book, and the other fields that are given. Returns false if a lossless ring is full.
   *
   * @throws as {@link ltp}, and `ERR_BOOK_TOO_DEEP`
   */
  depth(data: TopicData): boolean {
    return this.#tick(data, MODE.DEPTH);
  }

  #tick(data: TopicData, mode: Mode): boolean {
    const publisher = this.#publisher;
    const lane = publisher.current;
    if (lane === undefined || lane !== this.#lane) return this.#afterRestart(() => this.#tick(data, mode));
    lane.writer.write(0, this.#number, data, mode);
    return publisher.commitOne(lane);
  }

  #afterRestart(publish: () => boolean): boolean {
    this.#enter();
    return publish();
  }

  /** Has the topic's number in the lane that the publisher has now. */
  #enter(): void {
    const lane = this.#publisher.running();
    this.#number = lane.topics.of(this.exchange, this.symbol);
    this.#lane = lane;
  }
}
