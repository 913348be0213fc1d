import type { FeedSources } from './feed-sources.ts';
import type { LaneStats, RingStats } from '../shm/ring-buffer.ts';
import type { MarketState } from './market-hours.ts';

/** Why no ticks can be expected. */
export type HealthReason = 'ring_gone' | 'delivery_failed' | 'no_publisher' | 'source_gone' | 'stale_feed';

/** Whether ticks come as they should, and why none come. */
export interface Health {
  /** `ok` also where there are reasons, while the market is closed or has just opened. */
  status: 'ok' | 'unavailable';
  /** Why no ticks can be expected. */
  reasons: { code: HealthReason; message: string }[];
  /** Age of the newest tick of any publisher, ms; null if there was none. */
  lastTickAgeMs: number | null;
  /** Whether the market is open; undefined without the option `marketHours`. */
  market?: 'open' | 'closed';
  /** When it opens next, ms since 1970; undefined while it is open. */
  marketOpensAtMs?: number;
}

/** Whether the process itself works: what a restart may mend. */
export interface Liveness {
  status: 'ok' | 'unavailable';
  reasons: { code: 'delivery_failed'; message: string }[];
}

const DELIVERY_FAILED = {
  code: 'delivery_failed',
  message: 'a delivery thread has failed and is not running again yet; see the log',
} as const;

/** Judges the process, whatever the feeds do. */
export function assessProcess(areThreadsRunning: boolean): Liveness {
  return areThreadsRunning ? { status: 'ok', reasons: [] } : { status: 'unavailable', reasons: [DELIVERY_FAILED] };
}

/** What is the proxy's own fault, at any hour. */
const OWN_FAULTS: ReadonlySet<HealthReason> = new Set(['ring_gone', 'delivery_failed']);

/**
 * What a health is worth at this hour: silence, and feeds or sources that are not there, are no fault while the market is
 * closed or has just opened.
 *
 * @param openingGraceMs time after an opening in which ticks may fail to come.
 */
export function atThisHour(health: Health, market: MarketState | undefined, openingGraceMs: number): Health {
  if (market === undefined) return health;
  const isQuiet = !market.isOpen || market.openForMs < openingGraceMs;
  const isExcused = isQuiet && !health.reasons.some(({ code }) => OWN_FAULTS.has(code));
  return {
    ...health,
    status: isExcused ? 'ok' : health.status,
    market: market.isOpen ? 'open' : 'closed',
    ...(market.opensAtMs !== undefined && { marketOpensAtMs: market.opensAtMs }),
  };
}

/**
 * Judges what the ring shows.
 *
 * @param ring undefined when it cannot be looked at.
 * @param nowNs now on the clock of `process.hrtime`.
 * @param staleAfterMs silence that counts as stale; 0 for never.
 * @param sources what the feeds say of their own sources.
 * @param areThreadsRunning whether all delivery threads run.
 */
export function assess(
  ring: RingStats | undefined,
  nowNs: number,
  staleAfterMs: number,
  sources: FeedSources,
  areThreadsRunning: boolean,
): Health {
  const publishers = ring?.publishers ?? [];
  const lastTickAgeMs = newestAge(publishers, nowNs);
  const unavailable = (code: HealthReason, message: string): Health => {
    return { status: 'unavailable', reasons: [{ code, message }], lastTickAgeMs };
  };
  if (ring === undefined || !ring.current) {
    return unavailable(
      'ring_gone',
      'the shared memory was removed or replaced; the proxy attaches to it again by itself',
    );
  }
  if (!areThreadsRunning) {
    return unavailable(DELIVERY_FAILED.code, DELIVERY_FAILED.message);
  }
  const feeds = publishers.filter((publisher) => publisher.alive).map(({ publisher }) => publisher);
  if (feeds.length === 0) {
    return unavailable('no_publisher', `nobody publishes to the ring ${ring.name}; start a feed`);
  }
  if (feeds.every((feed) => sources.troubleOf(feed) !== undefined)) {
    const [feed = ''] = feeds;
    return unavailable('source_gone', `the feed ${feed} has lost its source: ${sources.troubleOf(feed) ?? ''}`);
  }
  if (staleAfterMs > 0 && lastTickAgeMs !== null && lastTickAgeMs > staleAfterMs) {
    return unavailable('stale_feed', `the last tick is ${Math.round(lastTickAgeMs / 1000)} s old`);
  }
  return { status: 'ok', reasons: [], lastTickAgeMs };
}

function newestAge(publishers: readonly LaneStats[], nowNs: number): number | null {
  const newest = Math.max(0, ...publishers.map((publisher) => publisher.lastPublishNs));
  return newest === 0 ? null : Math.max(0, (nowNs - newest) / 1e6);
}
