import type { FeedSources } from './feed-sources.ts';
import type { LaneStats, RingStats } from '../shm/ring-buffer.ts';

/** Why no ticks can be expected. */
export type HealthReason = 'ring_gone' | 'delivery_failed' | 'no_publisher' | 'source_gone' | 'stale_feed';

/** Whether ticks can be expected, and why not. */
export interface Health {
  status: 'ok' | 'unavailable';
  reasons: { code: HealthReason; message: string }[];
  /** Age of the newest tick of any publisher, ms; null if there was none. */
  lastTickAgeMs: number | null;
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
    return unavailable('delivery_failed', 'a delivery thread has failed and is not running again yet; see the log');
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
