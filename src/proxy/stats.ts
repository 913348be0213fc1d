import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks';
import type { Audiences } from './audiences.ts';
import type { Clients } from './clients.ts';
import type { Counters } from './counters.ts';
import { LATENCY_BOUNDS_NS, type LatencyHistogram } from './latency-histogram.ts';
import type { OrderUpdates } from './events.ts';
import type { Monitor } from './monitor.ts';
import type { StatsReport } from './schemas.ts';
import type { Subscriptions } from './subscriptions.ts';
import type { LaneStats, RingStats, TickSource } from './tick-source.ts';

const EVENT_LOOP_RESOLUTION_MS = 20;
/** Clients that the figures show one by one. */
export const SHOWN_CLIENTS = 20;

/** Where the figures come from. */
export interface StatsSources {
  source: TickSource;
  monitor: Monitor;
  clients: Clients;
  audiences: Audiences;
  subscriptions: Subscriptions;
  orders: OrderUpdates;
  counters: Counters;
  /** Events of feeds that were not understood, or lost. */
  feedEvents: () => { unknown: number; lost: number };
  deliveryLatency: LatencyHistogram;
  /** Name of the proxy's own reader in the ring. */
  readerName: string;
}

/** Puts the figures of the proxy together. */
export class Stats {
  readonly #sources: StatsSources;
  readonly #startedAt = performance.now();
  readonly #eventLoop: IntervalHistogram = monitorEventLoopDelay({ resolution: EVENT_LOOP_RESOLUTION_MS });

  constructor(sources: StatsSources) {
    this.#sources = sources;
    this.#eventLoop.enable();
  }

  stop(): void {
    this.#eventLoop.disable();
  }

  report(): StatsReport {
    const { monitor, clients, audiences, subscriptions, orders, counters, deliveryLatency, feedEvents } = this.#sources;
    const ring = monitor.look();
    const { rss, heapUsed, external } = process.memoryUsage();
    return {
      uptime_seconds: (performance.now() - this.#startedAt) / 1000,
      ring: ring === undefined ? null : this.#ring(ring),
      publishers: (ring?.publishers ?? []).map((publisher) => this.#publisher(publisher)),
      subscribers: ring === undefined ? [] : this.#subscribers(ring),
      workers: [],
      workers_missing: 0,
      workers_replaced: 0,
      clients: {
        connected: clients.count,
        connected_total: counters.connected,
        conflated: clients.conflatedCount,
        audiences: audiences.size,
        order_updates: orders.size,
        furthest_behind: clients.furthestBehind(SHOWN_CLIENTS),
      },
      subscriptions: {
        total: subscriptions.count,
        topics: subscriptions.topicCount,
        refused: counters.subscriptionsRefused,
        refusal_notices: counters.refusalNotices,
      },
      messages: {
        sent: counters.sent,
        conflated: counters.conflated,
        dropped: this.#sources.source.droppedTicks,
        received: counters.received,
        batches: counters.batches,
      },
      feed_events: feedEvents(),
      delivery_latency_ns: deliveryLatency.percentiles(),
      delivery_latency_histogram: {
        bounds_ns: [...LATENCY_BOUNDS_NS],
        counts: [...deliveryLatency.counts],
        sum_ns: deliveryLatency.sum,
      },
      refused: { total: counters.refusedTotal, ...counters.refused },
      event_loop_delay_ms: this.#eventLoopDelay(),
      memory: { rss, heap_used: heapUsed, external },
    };
  }

  #ring(ring: RingStats): NonNullable<StatsReport['ring']> {
    return {
      name: ring.name,
      attached: ring.current,
      reattached: this.#sources.monitor.reattached,
      bytes: ring.bytes,
      lanes: ring.lanes,
      lanes_used: ring.publishers.filter((publisher) => publisher.alive).length,
      capacity: ring.capacity,
      topics: ring.topics,
      depth_levels: ring.depthLevels,
      policy: ring.policy,
    };
  }

  #publisher(lane: LaneStats): StatsReport['publishers'][number] {
    const age = Number(process.hrtime.bigint()) - lane.lastPublishNs;
    return {
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
      rate: this.#sources.monitor.rateOf(lane.lane),
      last_publish_age_ms: lane.lastPublishNs === 0 ? null : age / 1e6,
    };
  }

  // The proxy's own reader is told from others of the same name by its process.
  #subscribers(ring: RingStats): StatsReport['subscribers'] {
    const { source, readerName } = this.#sources;
    const own = source.stats();
    const others = ring.subscribers.filter((other) => other.pid !== process.pid || other.name !== readerName);
    const { p50, p99, p999, max, count } = source.latency();
    return [
      {
        name: readerName,
        pid: process.pid,
        messages_received: own.messagesReceived,
        messages_lost: own.messagesLost,
        messages_corrupt: own.messagesCorrupt,
        lag: own.lag,
        latency_ns: { p50, p99, p999, max, count },
      },
      ...others.map((other) => ({
        name: other.name,
        pid: other.pid,
        messages_received: other.messagesReceived,
        messages_lost: other.messagesLost,
        messages_corrupt: other.messagesCorrupt,
        lag: other.lag,
      })),
    ];
  }

  // The monitor's samples contain its own period; what is above it is delay.
  #eventLoopDelay(): StatsReport['event_loop_delay_ms'] {
    const delay = (ns: number): number => Math.max(0, (Number.isFinite(ns) ? ns : 0) / 1e6 - EVENT_LOOP_RESOLUTION_MS);
    const histogram = this.#eventLoop;
    return {
      mean: delay(histogram.mean),
      p50: delay(histogram.percentile(50)),
      p99: delay(histogram.percentile(99)),
      max: delay(histogram.max),
    };
  }
}
