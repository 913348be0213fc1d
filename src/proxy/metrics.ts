import { Counter, Gauge, type Histogram, Registry, collectDefaultMetrics } from 'prom-client';
import { latencyMetric } from './latency-metric.ts';
import type { Proxy } from './proxy.ts';
import type { StatsReport } from './schemas.ts';
import type { RingStats } from '../shm/ring-buffer.ts';

/** Type of the text that Prometheus reads. */
export const METRICS_TYPE = Registry.PROMETHEUS_CONTENT_TYPE;

/** What a scrape sees. */
interface Sight {
  report: StatsReport;
  ring: RingStats | undefined;
  isMarketOpen: boolean;
}

/** A value, and the labels that it has. */
type Sample = [value: number, labels?: Record<string, string>];

interface MetricDefinition {
  kind: 'counter' | 'gauge';
  name: string;
  help: string;
  labels?: readonly string[];
  samples(sight: Sight): Sample[];
}

const SECONDS_PER_NS = 1e-9;
const SECONDS_PER_MS = 1e-3;
/** Longest timer that Node.js has, ms. */
const NEVER_MS = 2 ** 31 - 1;
const LANE = ['lane', 'publisher'] as const;
const CONSUMER = ['consumer', 'name'] as const;
const THREAD = ['thread'] as const;

/**
 * The figures of a proxy for Prometheus. Labels are bounded by the threads, by the ring's lanes and consumers, and by
 * the reasons for refusals; a lane or consumer that is gone has no series any more.
 */
export class Metrics {
  readonly #registry = new Registry();
  readonly #proxy: Proxy;
  #sight: Sight;

  constructor(proxy: Proxy) {
    this.#proxy = proxy;
    this.#sight = this.#look();
    // The proxy has its own monitor of the event loop; another one would wake it once more.
    collectDefaultMetrics({ register: this.#registry, eventLoopMonitoringPrecision: NEVER_MS });
    for (const { name } of this.#registry.getMetricsAsArray()) {
      if (name.startsWith('nodejs_eventloop_lag_')) this.#registry.removeSingleMetric(name);
    }
    for (const definition of DEFINITIONS) this.#add(definition);
    this.#registry.registerMetric(
      latencyMetric(
        'openalgo_shm_delivery_latency_seconds',
        'Time from the publishers’ stamps until written to the last client; sampled',
        () => this.#sight.report.delivery_latency_histogram,
      ) as unknown as Histogram,
    );
  }

  /** The figures of now as Prometheus reads them. */
  text(): Promise<string> {
    this.#sight = this.#look();
    return this.#registry.metrics();
  }

  #look(): Sight {
    const proxy = this.#proxy;
    return { report: proxy.stats(), ring: proxy.ring(), isMarketOpen: proxy.isMarketOpen() };
  }

  #add({ kind, name, help, labels = [], samples }: MetricDefinition): void {
    const sight = (): Sight => this.#sight;
    const configuration = { name: `openalgo_shm_${name}`, help, labelNames: labels, registers: [] };
    const metric =
      kind === 'gauge'
        ? new Gauge({
            ...configuration,
            collect() {
              this.reset();
              for (const [value, labels = {}] of samples(sight())) this.set(labels, value);
            },
          })
        : new Counter({
            ...configuration,
            collect() {
              this.reset();
              for (const [value, labels = {}] of samples(sight())) this.inc(labels, value);
            },
          });
    this.#registry.registerMetric(metric);
  }
}

const DEFINITIONS: readonly MetricDefinition[] = [
  gauge('ring_size_bytes', 'Size of the segment', ({ report }) => report.ring?.bytes),
  gauge('ring_lanes', 'Publishers that the ring has room for', ({ report }) => report.ring?.lanes),
  gauge('ring_lanes_used', 'Publishers alive', ({ report }) => report.ring?.lanes_used),
  gauge('ring_slots_per_lane', 'Lines of a lane: LTP ticks that it holds', ({ report }) => report.ring?.capacity),
  gauge('ring_topics_per_lane', 'Topics that one publisher can name', ({ report }) => report.ring?.topics),
  ...publisherMetrics(),
  ...consumerMetrics(),
  ...threadMetrics(),
  gauge('uptime_seconds', 'Time since the proxy started', ({ report }) => report.uptime_seconds),
  gauge('market_open', '1 while the market is open, and where its hours are not set', ({ isMarketOpen }) =>
    Number(isMarketOpen),
  ),
  gauge('ring_attached', '1 while the ring’s name leads to the segment that is read', ({ report }) =>
    Number(report.ring?.attached ?? false),
  ),
  counter('ring_reattached_total', 'Times that the ring was attached to anew', ({ report }) => report.ring?.reattached),
  counter('ring_reads_total', 'Reads of the ring that brought something', ({ report }) => report.messages.batches),
  {
    kind: 'gauge',
    name: 'read_latency_percentile_seconds',
    help: 'Time from the publishers’ stamps to the read by a thread of this proxy, since the start',
    labels: ['thread', 'percentile'],
    samples: ({ report }) =>
      ownReaders(report).flatMap((latency, index): Sample[] => {
        if (latency.count === 0) return [];
        const thread = String(index + 1);
        return [
          [latency.p50 * SECONDS_PER_NS, { thread, percentile: '50' }],
          [latency.p99 * SECONDS_PER_NS, { thread, percentile: '99' }],
          [latency.p999 * SECONDS_PER_NS, { thread, percentile: '99.9' }],
        ];
      }),
  },
  {
    kind: 'gauge',
    name: 'event_loop_delay_seconds',
    help: 'How late JavaScript came to its work, since the start',
    labels: ['percentile'],
    samples: ({ report: { event_loop_delay_ms: delay } }) => [
      [delay.p50 * SECONDS_PER_MS, { percentile: '50' }],
      [delay.p99 * SECONDS_PER_MS, { percentile: '99' }],
    ],
  },
  gauge('clients', 'Clients connected', ({ report }) => report.clients.connected),
  gauge('clients_conflated', 'Clients that get only newest ticks now', ({ report }) => report.clients.conflated),
  counter('client_connections_total', 'Clients that have connected', ({ report }) => report.clients.connected_total),
  counter('client_messages_total', 'Messages of clients', ({ report }) => report.messages.received),
  counter(
    'clients_held_back_total',
    'Times that a client was not read for a moment, since it had sent more messages than it may',
    ({ report }) => report.messages.held_back,
  ),
  gauge('subscriptions', 'Subscriptions: client, topic and mode', ({ report }) => report.subscriptions.total),
  gauge('subscribed_topics', 'Topics that somebody wants', ({ report }) => report.subscriptions.topics),
  gauge(
    'subscribed_topics_without_source',
    'Topics that somebody wants in a mode which no feed has taken; NaN while no feed tells',
    ({ report }) => report.subscriptions.without_source ?? Number.NaN,
  ),
  counter(
    'subscriptions_refused_total',
    'Subscriptions that ended because the broker refused them',
    ({ report }) => report.subscriptions.refused,
  ),
  counter(
    'subscription_refusal_notices_total',
    'Refused subscriptions whose clients had been told success before',
    ({ report }) => report.subscriptions.refusal_notices,
  ),
  counter(
    'feed_events_unknown_total',
    'Events of feeds that were not understood',
    ({ report }) => report.feed_events.unknown,
  ),
  counter(
    'feed_events_lost_total',
    'Events of feeds that were overwritten before they were read',
    ({ report }) => report.feed_events.lost,
  ),
  counter(
    'feed_source_losses_total',
    'Times that the source of a feed went away',
    ({ report }) => report.feed_events.source_losses,
  ),
  counter('ticks_sent_total', 'Ticks handed to clients', ({ report }) => report.messages.sent),
  counter(
    'ticks_conflated_total',
    'Ticks that newer ones took the place of',
    ({ report }) => report.messages.conflated,
  ),
  counter(
    'ticks_dropped_total',
    'Ticks read and not kept, because more instruments tick than are kept',
    ({ report }) => report.messages.dropped,
  ),
  counter(
    'ticks_lost_total',
    'Ticks that a thread of this proxy never read: overwritten before, or left in a ring that was created anew; the most of any',
    ({ report }) => Math.max(...report.threads.map(({ messages_lost }) => messages_lost)),
  ),
  {
    kind: 'counter',
    name: 'refusals_total',
    help: 'Clients, requests and messages that were refused',
    labels: ['reason'],
    samples: ({ report: { refused } }) =>
      Object.entries(refused)
        .filter(([reason]) => reason !== 'total')
        .map(([reason, count]): Sample => [count, { reason }]),
  },
];

function publisherMetrics(): MetricDefinition[] {
  const each = (value: (publisher: StatsReport['publishers'][number]) => number | null) => ({
    labels: LANE,
    samples: ({ report }: Sight): Sample[] =>
      report.publishers.flatMap((publisher) => {
        const figure = value(publisher);
        return figure === null ? [] : [[figure, { lane: String(publisher.lane), publisher: publisher.name }]];
      }),
  });
  return [
    {
      kind: 'gauge',
      name: 'publisher_alive',
      help: '1 while the owner of the lane lives',
      ...each(({ alive }) => Number(alive)),
    },
    {
      kind: 'counter',
      name: 'messages_published_total',
      help: 'Messages published',
      ...each((publisher) => publisher.messages_published),
    },
    {
      kind: 'counter',
      name: 'messages_rejected_total',
      help: 'Messages that a full lossless ring refused',
      ...each((publisher) => publisher.messages_rejected),
    },
    {
      kind: 'counter',
      name: 'lines_published_total',
      help: 'Lines that the published messages took',
      ...each((publisher) => publisher.lines_published),
    },
    {
      kind: 'gauge',
      name: 'publisher_topics',
      help: 'Topics that the publisher has named',
      ...each((publisher) => publisher.topics),
    },
    {
      kind: 'counter',
      name: 'topics_refused_total',
      help: 'Messages of further topics, refused because the topic table was full',
      ...each((publisher) => publisher.topics_refused),
    },
    {
      kind: 'gauge',
      name: 'publish_duration_average_seconds',
      help: 'Average duration of a publish',
      ...each((publisher) => publisher.avg_latency_ns * SECONDS_PER_NS),
    },
    {
      kind: 'gauge',
      name: 'last_publish_age_seconds',
      help: 'Age of the newest message',
      ...each((publisher) => publisher.last_publish_age_ms && publisher.last_publish_age_ms / 1000),
    },
  ];
}

function consumerMetrics(): MetricDefinition[] {
  const each = (value: (consumer: RingStats['subscribers'][number]) => number) => ({
    labels: CONSUMER,
    samples: ({ ring }: Sight): Sample[] =>
      (ring?.subscribers ?? []).map((consumer) => [
        value(consumer),
        { consumer: String(consumer.consumer), name: consumer.name },
      ]),
  });
  return [
    {
      kind: 'counter',
      name: 'messages_received_total',
      help: 'Messages that a consumer has read',
      ...each(({ messagesReceived }) => messagesReceived),
    },
    {
      kind: 'counter',
      name: 'messages_lost_total',
      help: 'Messages overwritten before a consumer read them',
      ...each(({ messagesLost }) => messagesLost),
    },
    {
      kind: 'counter',
      name: 'messages_corrupt_total',
      help: 'Messages that a consumer skipped because they could not be one',
      ...each(({ messagesCorrupt }) => messagesCorrupt),
    },
    {
      kind: 'gauge',
      name: 'consumer_lag_messages',
      help: 'Messages published that a consumer has not read yet',
      ...each(({ lag }) => lag),
    },
  ];
}

function threadMetrics(): MetricDefinition[] {
  const each = (value: (thread: StatsReport['threads'][number]) => number) => ({
    labels: THREAD,
    samples: ({ report }: Sight): Sample[] =>
      report.threads.map((thread) => [value(thread), { thread: String(thread.number) }]),
  });
  return [
    { kind: 'gauge', name: 'thread_clients', help: 'Clients that a thread serves', ...each(({ clients }) => clients) },
    {
      kind: 'counter',
      name: 'thread_ticks_sent_total',
      help: 'Ticks that a thread has handed to clients',
      ...each(({ sent }) => sent),
    },
    {
      kind: 'counter',
      name: 'thread_restarts_total',
      help: 'Times that a thread has failed and was started anew',
      ...each(({ restarts }) => restarts),
    },
  ];
}

/** Latencies of the proxy's own readers: the only ones that are known. */
function ownReaders({ subscribers }: StatsReport): NonNullable<StatsReport['subscribers'][number]['latency_ns']>[] {
  return subscribers.flatMap(({ latency_ns }) => latency_ns ?? []);
}

function gauge(name: string, help: string, value: (sight: Sight) => number | undefined): MetricDefinition {
  return { kind: 'gauge', name, help, samples: (sight) => single(value(sight)) };
}

function counter(name: string, help: string, value: (sight: Sight) => number | undefined): MetricDefinition {
  return { kind: 'counter', name, help, samples: (sight) => single(value(sight)) };
}

function single(value: number | undefined): Sample[] {
  return value === undefined ? [] : [[value]];
}
