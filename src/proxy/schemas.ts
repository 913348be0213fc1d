import { Type, type Static, type TProperties } from 'typebox';
import { REFUSALS } from './counters.ts';

const count = (description: string) => Type.Integer({ minimum: 0, description });
const figure = (description: string) => Type.Number({ minimum: 0, description });
const object = <T extends TProperties>(properties: T, description?: string) => {
  return Type.Object(properties, { additionalProperties: false, ...(description !== undefined && { description }) });
};

const Percentiles = (description: string) =>
  object(
    {
      p50: figure('median'),
      p99: figure('99th percentile'),
      p999: figure('99.9th percentile'),
      max: figure('longest'),
      count: count('ticks measured'),
    },
    description,
  );

const Ring = object({
  name: Type.String(),
  attached: Type.Boolean({ description: 'false once the name leads to no segment or to another' }),
  reattached: count('times the ring was attached to anew'),
  bytes: count('size of the segment'),
  lanes: count('publishers at the same time'),
  lanes_used: count('publishers alive'),
  capacity: count('lines of a lane: LTP ticks that it holds'),
  topics: count('topics that one publisher can name'),
  depth_levels: count('levels a side'),
  policy: Type.String({ description: 'overwrite or lossless' }),
});

const Publisher = object({
  name: Type.String(),
  lane: count('its place in the ring'),
  pid: count('its process'),
  alive: Type.Boolean(),
  messages_published: count('since it came'),
  messages_rejected: count('refused by a full lossless ring'),
  lines_published: count('lines that its messages took'),
  topics: count('topics that it has named'),
  topics_refused: count('messages of further topics, refused because its topic table was full'),
  avg_latency_ns: figure('average duration of a publish, ns'),
  rate: figure('messages a second, in the last second'),
  last_publish_age_ms: Type.Union([Type.Number(), Type.Null()], { description: 'age of its newest message' }),
});

const Subscriber = object({
  name: Type.String(),
  pid: count('its process'),
  messages_received: count('since it came; of this proxy from all rings that it was attached to'),
  messages_lost: count('overwritten before it read them, or left in a ring that was created anew'),
  messages_corrupt: count('skipped because they could not be one'),
  lag: count('published and not yet read'),
  latency_ns: Type.Optional(Percentiles('from the publishers’ stamps to the read, ns; of this proxy’s threads only')),
});

const Clients = object({
  connected: count('now'),
  connected_total: count('since the start'),
  conflated: count('behind, and given only the newest tick of each topic'),
  audiences: count('different sets of subscriptions, counted in each thread'),
  order_updates: count('that asked for order updates'),
  furthest_behind: Type.Array(
    object({
      id: count('its number since the start of the proxy'),
      thread: count('the thread that serves it, from 1'),
      delivery: Type.Union([Type.Literal('direct'), Type.Literal('ws')], {
        description: 'from the thread to its socket, or through JavaScript: TLS, compression, Windows',
      }),
      address: Type.String(),
      user: Type.Union([Type.String(), Type.Null()], { description: 'null until it has authenticated' }),
      connected_seconds: figure('since it came'),
      subscriptions: count('(topic, mode)'),
      sent: count('ticks handed to its connection'),
      conflated: count('ticks that newer ones took the place of'),
      backlog_bytes: count('handed over and not yet taken'),
      is_conflated: Type.Boolean({ description: 'true while it gets only the newest tick of each topic' }),
    }),
    { description: 'the clients with the most untaken bytes, then the most conflated ticks; 20 at most' },
  ),
});

const WithoutSource = Type.Union([Type.Integer({ minimum: 0 }), Type.Null()], {
  description:
    'instruments that clients want in a mode which no feed has taken: its broker has not answered yet, or its source is away; what was refused has ended and is not among them. Null while no feed tells what its broker takes',
});

const Subscriptions = object({
  total: count('(client, topic, mode)'),
  topics: count('topics that somebody wants, wildcards included'),
  without_source: WithoutSource,
  refused: count('(client, topic, mode) that ended because the broker refused them, since the start'),
  refusal_notices: count('of them those whose clients had been told success before, and got a notice'),
});

const FeedEvents = object(
  {
    unknown: count('that were not understood, in whole or in part'),
    lost: count('overwritten before they were read'),
    source_losses: count('times that the source of a feed went away, as OpenAlgo’s broker does with each login'),
  },
  'what feeds tell beside ticks',
);

const Messages = object({
  sent: count('ticks handed to clients'),
  conflated: count('ticks that newer ones took the place of, for slow clients'),
  dropped: count('ticks read and not kept, because 262,144 other instruments have ticked'),
  received: count('messages of clients'),
  held_back: count('times that a client was not read for a moment, since it had sent more messages than it may'),
  batches: count('reads of the ring that brought something'),
});

const DeliveryLatency = Percentiles('from the publishers’ stamps until written to the last client, ns; sampled');

const EventLoopDelay = object(
  { mean: figure('ms'), p50: figure('ms'), p99: figure('ms'), max: figure('ms') },
  'of the JavaScript thread: answers wait for it, ticks do not',
);

const Memory = object({ rss: count('bytes'), heap_used: count('bytes'), external: count('bytes') });

const Thread = object({
  number: count('from 1'),
  name: Type.String({ description: 'of its reader in the ring' }),
  clients: count('that it serves'),
  messages_received: count('from the ring'),
  messages_lost: count('overwritten before it read them, or left in a ring that was created anew'),
  lag: count('published and not yet read'),
  audiences: count('different sets of subscriptions'),
  batches: count('reads of the ring that brought something'),
  sent: count('ticks handed to clients'),
  conflated: count('ticks that newer ones took the place of, for slow clients'),
  conflated_clients: count('clients that are behind now'),
  restarts: count('times that it has failed and was started anew; its clients lost their connections'),
  delivery_latency_ns: DeliveryLatency,
});

/** Answer to `GET /stats`: the figures of all delivery threads together, and of each. */
export const StatsSchema = object({
  uptime_seconds: figure('since the proxy started'),
  ring: Type.Union([Ring, Type.Null()], { description: 'null while it cannot be looked at' }),
  publishers: Type.Array(Publisher),
  subscribers: Type.Array(Subscriber),
  threads: Type.Array(Thread, { description: 'the native threads that bring ticks to clients' }),
  clients: Clients,
  subscriptions: Subscriptions,
  messages: Messages,
  feed_events: FeedEvents,
  delivery_latency_ns: DeliveryLatency,
  delivery_latency_histogram: object(
    {
      bounds_ns: Type.Array(Type.Integer(), { description: 'upper bounds of the buckets but the last, ns' }),
      counts: Type.Array(Type.Integer({ minimum: 0 }), { description: 'ticks in each bucket' }),
      sum_ns: figure('of all latencies, ns'),
    },
    'the same latencies in buckets, since the start',
  ),
  refused: object(
    {
      total: count('refusals of any kind'),
      ...(Object.fromEntries(REFUSALS.map((refusal) => [refusal, count(`refused: ${refusal}`)])) as Record<
        (typeof REFUSALS)[number],
        ReturnType<typeof count>
      >),
    },
    'clients, requests and messages that were refused, by reason',
  ),
  event_loop_delay_ms: EventLoopDelay,
  memory: Memory,
});

/** Answer to `GET /stats`. */
export type StatsReport = Static<typeof StatsSchema>;

const HealthStatus = Type.Union([Type.Literal('ok'), Type.Literal('unavailable')]);

/** Answer to `GET /health/live`. */
export const LivenessSchema = object({
  status: HealthStatus,
  reasons: Type.Array(object({ code: Type.Literal('delivery_failed'), message: Type.String() })),
});

/** Answer to `GET /health`. */
export const HealthSchema = object({
  status: HealthStatus,
  reasons: Type.Array(
    object({
      code: Type.Union([
        Type.Literal('ring_gone'),
        Type.Literal('delivery_failed'),
        Type.Literal('no_publisher'),
        Type.Literal('source_gone'),
        Type.Literal('stale_feed'),
      ]),
      message: Type.String(),
    }),
  ),
  last_tick_age_ms: Type.Union([Type.Number(), Type.Null()]),
  market: Type.Optional(
    Type.Union([Type.Literal('open'), Type.Literal('closed')], {
      description: 'where its hours are set; while it is closed the reasons are no fault',
    }),
  ),
  market_opens_at: Type.Optional(
    Type.String({ description: 'while the market is closed: when it opens next, in UTC, as 2026-11-26T03:30:00.000Z' }),
  ),
  symbols_without_source: WithoutSource,
  subscriptions_refused: count('(client, topic, mode) that ended because the broker refused them, since the start'),
  delivery_restarts: count('times that a delivery thread has failed and was started anew'),
  last_delivery_failure: Type.Union([Type.String(), Type.Null()]),
});

/** Question of `GET /snapshot`. */
export const SnapshotQuery = Type.Object({
  exchange: Type.String({ minLength: 1, description: 'like NSE' }),
  symbol: Type.String({ minLength: 1, description: 'like RELIANCE' }),
  mode: Type.Optional(Type.String({ description: '1, 2, 3 or LTP, Quote, Depth; default the richest there is' })),
});

/** Question of `GET /topics`. */
export const TopicsQuery = Type.Object({
  query: Type.Optional(
    Type.String({ maxLength: 200, description: 'words that exchange:symbol contains, in any case' }),
  ),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000, default: 50, description: 'most to answer' })),
});

/** Answer to `GET /topics`. */
export const TopicsSchema = object({
  topics: Type.Array(object({ exchange: Type.String(), symbol: Type.String() }), {
    description: 'symbols that begin with the query first, then by name',
  }),
  total: count('that match, beyond the limit too'),
});

/** Answer to `GET /snapshot`: what a client would get on subscribing. */
export const SnapshotSchema = Type.Object(
  {
    type: Type.Literal('market_data'),
    symbol: Type.String(),
    exchange: Type.String(),
    mode: Type.Integer(),
    seq: Type.Integer(),
    snapshot: Type.Boolean(),
    age_ms: Type.Integer(),
    oldest_age_ms: Type.Optional(Type.Integer()),
    data: Type.Object({}, { additionalProperties: true }),
    broker: Type.String(),
  },
  { additionalProperties: true },
);

/** Answer to `GET /snapshot`. */
export type SnapshotMessage = Static<typeof SnapshotSchema>;

/** An error of the HTTP routes, in the form that clients of the WebSocket know. */
export const ErrorSchema = Type.Object({ status: Type.Literal('error'), code: Type.String(), message: Type.String() });
