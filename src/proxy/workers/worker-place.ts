import type { Health } from '../health.ts';
import type { RecordedLatencies } from '../latency-histogram.ts';
import type { MetricFigures } from '../metric-figures.ts';
import type { StatsReport } from '../schemas.ts';

/** What a worker says of itself for `GET /stats`. */
export interface StatsPart {
  report: StatsReport;
  /** What its clients want, by name: workers' clients may want the same. */
  topics: string[];
  deliveryLatencies: RecordedLatencies;
}

/** What workers tell one another, by what it is for. */
export interface Parts {
  stats: StatsPart;
  metrics: MetricFigures[];
  health: Health;
}

/** One of the {@link Parts}. */
export type PartKind = keyof Parts;

/** What one worker has told. */
export interface Part<K extends PartKind> {
  /** The worker's number, from 1. */
  number: number;
  pid: number;
  content: Parts[K];
}

/** What the other workers have told. */
export interface Gathered<K extends PartKind> {
  parts: Part<K>[];
  /** Workers that did not answer in time, or are being replaced. */
  missing: number;
  /** Workers that were replaced since the start. */
  replaced: number;
}

/** The place of a proxy among the workers of one port. */
export interface WorkerPlace {
  /** From 1 to the number of workers; a worker that replaces another has its number. */
  readonly number: number;
  /** Sets what this worker says when others ask. */
  answerWith(answer: <K extends PartKind>(kind: K) => Promise<Parts[K]>): void;
  /** Asks all other workers. Those that give no answer within a second are left out. */
  gather<K extends PartKind>(kind: K): Promise<Gathered<K>>;
}
