import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks';
import type { Delivery, DeliveryLatencies, DeliveryThreadFigures, LatencyPercentiles } from '../shm/delivery.ts';
import type { LaneStats, RingStats } from '../shm/ring-buffer.ts';
import type { Clients } from './clients.ts';
import type { Counters } from './counters.ts';
import type { OrderUpdates } from './events.ts';
import type { Monitor } from './monitor.ts';
import type { StatsReport } from './schemas.ts';
import type { FeedSources } from './feed-sources.ts';
import type { Subscriptions } from './subscriptions.ts';
import type { UnservedTopics } from './unserved-topics.ts';

/**
 * Each look wakes the event loop: more often would be most of what an idle proxy takes. A delay shorter than this may fall
 * between two looks and be missed.
 */
const EVENT_LOOP_RESOLUTION_MS = 200;
/** Clients that the figures show one by one. */
const SHOWN_CLIENTS = 20;

/** A thread's figures, with its latencies: each look at those copies a histogram. */
type Thread = DeliveryThreadFigures & { latencies: DeliveryLatencies };

/** Where the figures come from. */
export interface StatsSources {
  delivery: Delivery;
  monitor: Monitor;
  clients: Clients;
  subscriptions: Subscriptions;
  orders: OrderUpdates;
  counters: Counters;
  sources: FeedSources;
  unserved: UnservedTopics;
  /** Events of feeds that were not understood, or lost. */
  feedEvents: () => { unknown: number; lost: number };
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
    const { delivery, monitor, clients, subscriptions, orders, counters, sources, unserved, feedEvents } =
      this.#sources;
    const ring = monitor.look();
    const threads = delivery.threads().map((figures, index) => ({ ...figures, latencies: delivery.latencies(index) }));
    const sum = (figure: (thread: Thread) => number): number =>
      threads.reduce((total, thread) => total + figure(thread), 0);
    const latencies = delivery.latencies();
    const { rss, heapUsed, external } = process.memoryUsage();
    return {
      uptime_seconds: (performance.now() - this.#startedAt) / 1000,
      ring: ring === undefined ? null : this.#ring(ring),
      publishers: (ring?.publishers ?? []).map((publisher) => this.#publisher(publisher)),
      subscribers: ring === undefined ? [] : this.#subscribers(ring, threads),
      threads: threads.map((thread, index) => this.#thread(thread, index)),
      clients: {
        connected: clients.count,
        connected_total: counters.connected,
        conflated: sum(({ conflatedClients }) => conflatedClients),
        audiences: sum(({ audiences }) => audiences),
        order_updates: orders.size,
        furthest_behind: clients.furthestBehind(SHOWN_CLIENTS),
      },
      subscriptions: {
        total: subscriptions.count,
        topics: subscriptions.topicCount,
        without_source: unserved.count(),
        refused: counters.subscriptionsRefused,
        refusal_notices: counters.refusalNotices,
      },
      messages: {
        sent: sum(({ sent }) => sent),
        conflated: sum(({ conflated }) => conflated),
        // Every thread reads all ticks.
        dropped: Math.max(...threads.map(({ dropped }) => dropped)),
        received: counters.received,
        held_back: counters.heldBack,
        batches: sum(({ batches }) => batches),
      },
      feed_events: { ...feedEvents(), source_losses: sources.losses },
      delivery_latency_ns: percentilesOf(latencies.delivery),
      delivery_latency_histogram: {
        bounds_ns: latencies.boundsNs,
        counts: latencies.counts,
        sum_ns: latencies.sumNs,
      },
      refused: { total: counters.refusedTotal, ...counters.refused },
      event_loop_delay_ms: this.#eventLoopDelay(),
      memory: { rss, heap_used: heapUsed, external },
    };
  }

  #thread(thread: Thread, index: number): StatsReport['threads'][number] {
    return {
      number: index + 1,
      name: thread.name,
      clients: thread.clients,
      messages_received: thread.received,
      messages_lost: thread.lost,
      lag: thread.lag,
      audiences: thread.audiences,
      batches: thread.batches,
      sent: thread.sent,
      conflated: thread.conflated,
      conflated_clients: thread.conflatedClients,
      restarts: thread.restarts,
      delivery_latency_ns: percentilesOf(thread.latencies.delivery),
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

  // The threads' own readers are told from others of the same name by their process.
  #subscribers(ring: RingStats, threads: readonly Thread[]): StatsReport['subscribers'] {
    const isOwn = (name: string, pid: number): boolean => {
      return pid === process.pid && threads.some((thread) => thread.name === name);
    };
    const own = threads.map((thread) => ({
      name: thread.name,
      pid: process.pid,
      messages_received: thread.received,
      messages_lost: thread.lost,
      messages_corrupt: thread.corrupt,
      lag: thread.lag,
      latency_ns: percentilesOf(thread.latencies.read),
    }));
    const others = ring.subscribers.filter(({ name, pid }) => !isOwn(name, pid));
    return [
      ...own,
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

function percentilesOf({ p50, p99, p999, max, count }: LatencyPercentiles): StatsReport['delivery_latency_ns'] {
  return { p50, p99, p999, max, count };
}
