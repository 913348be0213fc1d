import { percentilesOfAll } from '../latency-histogram.ts';
import type { StatsReport } from '../schemas.ts';
import { SHOWN_CLIENTS } from '../stats.ts';
import type { Gathered, Part } from './worker-place.ts';

type StatsOfWorker = Part<'stats'>;
type Worker = StatsReport['workers'][number];

/**
 * The figures of all workers together. What is the ring's is said once, what is counted is summed, percentiles are those
 * of all latencies; where only the worst can be known, the schema says so.
 *
 * @param own those of the worker that was asked.
 */
export function mergeStats(own: StatsOfWorker, { parts, missing, replaced }: Gathered<'stats'>): StatsReport {
  const all = [own, ...parts].sort((a, b) => a.number - b.number);
  const reports = all.map(({ content }) => content.report);
  const { report } = own.content;
  return {
    uptime_seconds: Math.max(...reports.map(({ uptime_seconds }) => uptime_seconds)),
    ring: report.ring && {
      ...report.ring,
      attached: reports.every(({ ring }) => ring?.attached),
      reattached: Math.max(...reports.map(({ ring }) => ring?.reattached ?? 0)),
    },
    publishers: report.publishers,
    subscribers: subscribersOf(report, all),
    workers: all.map((part) => workerOf(part)),
    workers_missing: missing,
    workers_replaced: replaced,
    clients: {
      ...summed(reports.map(({ clients }) => clientCounts(clients))),
      furthest_behind: furthestBehind(all),
    },
    subscriptions: {
      ...summed(reports.map(({ subscriptions }) => subscriptions)),
      topics: new Set(all.flatMap(({ content }) => content.topics)).size,
    },
    messages: summed(reports.map(({ messages }) => messages)),
    feed_events: summed(reports.map(({ feed_events }) => feed_events)),
    delivery_latency_ns: percentilesOfAll(all.map(({ content }) => content.deliveryLatencies)),
    delivery_latency_histogram: histogramOf(reports.map((each) => each.delivery_latency_histogram)),
    refused: summed(reports.map(({ refused }) => refused)),
    event_loop_delay_ms: worst(reports.map((each) => each.event_loop_delay_ms)),
    memory: summed(reports.map(({ memory }) => memory)),
  };
}

/** Each worker's own reader, as it knows it itself, and all readers that are no workers' or belong to one that is not heard of. */
function subscribersOf(report: StatsReport, all: readonly StatsOfWorker[]): StatsReport['subscribers'] {
  const readers = all.flatMap(({ content }) => ownReader(content.report));
  const isKnown = ({ name, pid }: Pick<Worker, 'name' | 'pid'>): boolean => {
    return readers.some((reader) => reader.name === name && reader.pid === pid);
  };
  return [...readers, ...report.subscribers.filter((reader) => !isKnown(reader))];
}

function workerOf({ number, pid, content: { report } }: StatsOfWorker): Worker {
  const [reader] = ownReader(report);
  return {
    number,
    pid,
    name: reader?.name ?? '',
    uptime_seconds: report.uptime_seconds,
    messages_received: reader?.messages_received ?? 0,
    messages_lost: reader?.messages_lost ?? 0,
    lag: reader?.lag ?? 0,
    clients: clientCounts(report.clients),
    subscriptions: report.subscriptions,
    messages: report.messages,
    delivery_latency_ns: report.delivery_latency_ns,
    refused: report.refused.total,
    event_loop_delay_ms: report.event_loop_delay_ms,
    memory: report.memory,
  };
}

function clientCounts(clients: StatsReport['clients']): Worker['clients'] {
  const { connected, connected_total, conflated, audiences, order_updates } = clients;
  return { connected, connected_total, conflated, audiences, order_updates };
}

/** A proxy's report begins with its own reader, the only one whose latencies it knows. */
function ownReader({ subscribers: [first] }: StatsReport): StatsReport['subscribers'] {
  return first?.latency_ns === undefined ? [] : [first];
}

function furthestBehind(all: readonly StatsOfWorker[]): StatsReport['clients']['furthest_behind'] {
  return all
    .flatMap(({ number, content }) => {
      return content.report.clients.furthest_behind.map((client) => ({ ...client, worker: number }));
    })
    .sort((a, b) => b.backlog_bytes - a.backlog_bytes || b.conflated - a.conflated || b.sent - a.sent)
    .slice(0, SHOWN_CLIENTS);
}

function histogramOf(
  all: readonly StatsReport['delivery_latency_histogram'][],
): StatsReport['delivery_latency_histogram'] {
  const bounds = all[0]?.bounds_ns ?? [];
  return {
    bounds_ns: bounds,
    counts: Array.from({ length: bounds.length + 1 }, (_, bucket) => sum(all.map(({ counts }) => counts[bucket] ?? 0))),
    sum_ns: sum(all.map(({ sum_ns }) => sum_ns)),
  };
}

function summed<T extends Record<string, number>>(all: readonly T[]): T {
  return combined(all, sum);
}

function worst<T extends Record<string, number>>(all: readonly T[]): T {
  return combined(all, (values) => Math.max(...values));
}

function combined<T extends Record<string, number>>(all: readonly T[], combine: (values: number[]) => number): T {
  const names = Object.keys(all[0] ?? {});
  return Object.fromEntries(names.map((name) => [name, combine(all.map((each) => each[name] ?? 0))])) as T;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
