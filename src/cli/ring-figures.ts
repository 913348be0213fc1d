import type { StatsReport } from '../proxy/schemas.ts';
import { FORMAT_VERSION, type RingStats } from '../shm/ring-buffer.ts';

/** The part of a proxy's figures that the ring itself shows, in the same form. */
export type RingReport = Pick<StatsReport, 'ring' | 'subscribers'> & {
  publishers: Omit<StatsReport['publishers'][number], 'rate'>[];
};

/** The figures of a ring in the form of `GET /stats`. */
export function ringReport(stats: RingStats, nowNs: number): RingReport {
  return {
    ring: {
      name: stats.name,
      attached: stats.current,
      reattached: 0,
      bytes: stats.bytes,
      lanes: stats.lanes,
      lanes_used: stats.publishers.filter(({ alive }) => alive).length,
      capacity: stats.capacity,
      topics: stats.topics,
      depth_levels: stats.depthLevels,
      policy: stats.policy,
    },
    publishers: stats.publishers.map((lane) => ({
      name: lane.publisher,
      lane: lane.lane,
      pid: lane.pid,
      alive: lane.alive,
      messages_published: lane.messagesPublished,
      messages_rejected: lane.messagesRejected,
      lines_published: lane.linesPublished,
      topics: lane.topics,
      topics_refused: lane.topicsRefused,
      avg_latency_ns: lane.avgLatencyNs,
      last_publish_age_ms: lane.lastPublishNs === 0 ? null : Math.max(0, nowNs - lane.lastPublishNs) / 1e6,
    })),
    subscribers: stats.subscribers.map((consumer) => ({
      name: consumer.name,
      pid: consumer.pid,
      messages_received: consumer.messagesReceived,
      messages_lost: consumer.messagesLost,
      messages_corrupt: consumer.messagesCorrupt,
      lag: consumer.lag,
    })),
  };
}

/** What to say of a segment's version behind its name: nothing of our own. */
export function olderVersion(version: number): string {
  return version === FORMAT_VERSION ? '' : ` (format version ${version}, this is ${FORMAT_VERSION})`;
}
