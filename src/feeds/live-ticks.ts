import { OpenAlgoShmError, type ErrorCode } from '../errors.ts';
import type { MarketDepth, Mode, Tick } from '../message.ts';
import type { Fault, RawRecord } from './dialect-values.ts';
import { TickNormaliser, type TickNormaliserOptions } from './dialect.ts';
import { SILENT, isSample, type FeedLog } from './feed-log.ts';
import type { FeedCounters } from './feed.ts';

/** What a feed of live ticks counts. */
export interface LiveCounters extends FeedCounters {
  /** Messages from outside, of any kind. */
  received: number;
  /** Messages that could not be understood. */
  malformed: number;
  /** Ticks that the ring refused: a full lossless one, or one without room for a new topic. A live market does not wait. */
  dropped: number;
  /** Books that were deeper than the ring has room for, and were cut to it. */
  booksCut: number;
  /** Values that could not be read and were left out of their ticks, by their keys. The first 256 keys are kept. */
  unreadableKeys: Record<string, number>;
}

/** Whose tick it is, where that stands beside the tick. */
export interface TickAddress {
  symbol: string;
  exchange: string;
  mode: Mode;
}

/** How old a last value is, ms. */
export interface CarriedAge {
  /** Its newest tick. */
  newestMs: number;
  /** Its oldest value. */
  oldestMs: number;
}

const SHOWN_CHARACTERS = 300;
/** Errors of a sound tick for which the ring has no room. */
const OF_THE_RING: ReadonlySet<ErrorCode> = new Set(['ERR_TOO_MANY_TOPICS', 'ERR_SHM_FULL']);

/** All at zero. */
export function liveCounters(): LiveCounters {
  return { published: 0, stalls: 0, received: 0, malformed: 0, dropped: 0, booksCut: 0, unreadableKeys: {} };
}

/** Brings the raw ticks of a live source into a ring. Whatever comes, it goes on, and counts what it could not use. */
export class LiveTicks {
  readonly #counters: LiveCounters;
  readonly #depthLevels: () => number;
  readonly #offer: (tick: Tick) => boolean;
  readonly #log: FeedLog;
  readonly #normaliser: TickNormaliser;

  /**
   * @param depthLevels levels a side that the ring has room for now
   * @param offer publishes a tick, false where the ring is full
   */
  constructor(
    counters: LiveCounters,
    depthLevels: () => number,
    offer: (tick: Tick) => boolean,
    log: FeedLog = SILENT,
    options: TickNormaliserOptions = {},
  ) {
    this.#counters = counters;
    this.#depthLevels = depthLevels;
    this.#offer = offer;
    this.#log = log;
    this.#normaliser = new TickNormaliser(options, {
      carries: true,
      onFault: (key, fault) => this.#leaveOut(key, fault),
    });
  }

  /** Keys that no field answers to, and how often each was seen. */
  get unknownKeys(): ReadonlyMap<string, number> {
    return this.#normaliser.unknownKeys;
  }

  /**
   * Publishes one tick. What stands beside it wins over what stands inside.
   *
   * @param age of a last value that the source has kept, and that is no tick of now
   */
  publish(raw: RawRecord, { symbol, exchange, mode }: TickAddress, age?: CarriedAge): void {
    try {
      // Completed in place: copies of ticks cost the ring's writer dear.
      const tick = this.#normaliser.normalise(raw, { symbol, exchange, mode }) as Tick;
      tick.symbol = symbol;
      tick.exchange = exchange;
      tick.type = mode;
      if (age !== undefined) {
        tick.ageMs = age.newestMs;
        tick.oldestAgeMs = age.oldestMs;
      }
      if (tick.depth !== undefined) tick.depth = this.#fit(tick.depth, symbol);
      if (this.#offer(tick)) this.#counters.published++;
      else this.#drop('the ring is full');
    } catch (error) {
      if (!(error instanceof OpenAlgoShmError)) throw error;
      if (OF_THE_RING.has(error.code)) this.#drop(error.message);
      else this.malformed(error.message, raw);
    }
  }

  /** Counts a message that could not be understood, and shows a sample of them. */
  malformed(reason: string, message: unknown): void {
    const count = ++this.#counters.malformed;
    if (!isSample(count)) return;
    const text = typeof message === 'string' ? message : JSON.stringify(message);
    const shown = text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}…` : text;
    this.#log.warn(`${count} malformed so far; this one: ${reason}: ${shown}`);
  }

  /** One bad value never costs the others of its tick. */
  #leaveOut(key: string, fault: Fault): void {
    const { unreadableKeys } = this.#counters;
    const count = this.#normaliser.unreadableKeys.get(key);
    if (count === undefined) return;
    unreadableKeys[key] = count;
    if (isSample(count)) this.#log.warn(`${key} left out, ${count} so far: ${fault.toError().message}`);
  }

  #drop(reason: string): void {
    const count = ++this.#counters.dropped;
    if (isSample(count)) this.#log.warn(`${reason}: ${count} ticks dropped so far`);
  }

  #fit(depth: MarketDepth, symbol: string): MarketDepth {
    const levels = this.#depthLevels();
    const deepest = Math.max(depth.buy.length, depth.sell.length);
    if (deepest <= levels) return depth;
    const count = ++this.#counters.booksCut;
    if (isSample(count)) {
      this.#log.warn(
        `${count} books cut to the ring's ${levels} levels so far; ${symbol} has ${deepest}: make the ring with more depth levels`,
      );
    }
    return { buy: depth.buy.slice(0, levels), sell: depth.sell.slice(0, levels) };
  }
}
