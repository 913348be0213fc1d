import { type RecordableHistogram, createHistogram } from 'node:perf_hooks';

/** Upper bounds of the buckets in ns: 1, 2, 5 in every decade from 10 µs to 5 s. What is longer is in the last bucket, without one. */
export const LATENCY_BOUNDS_NS: readonly number[] = [1e4, 1e5, 1e6, 1e7, 1e8, 1e9].flatMap((decade) => [
  decade,
  2 * decade,
  5 * decade,
]);

/** Percentiles, ns. */
export interface Percentiles {
  p50: number;
  p99: number;
  p999: number;
  max: number;
  count: number;
}

const NOTHING: Percentiles = { p50: 0, p99: 0, p999: 0, max: 0, count: 0 };

/** Latencies since the start: exact percentiles, and counts in buckets whose differences show how it moves. */
export class LatencyHistogram {
  /** Latencies in each bucket, the last of those above all bounds. */
  readonly counts: number[] = Array.from({ length: LATENCY_BOUNDS_NS.length + 1 }, () => 0);
  /** Sum of all latencies, ns. */
  sum = 0;
  readonly #histogram: RecordableHistogram = createHistogram();

  /** @param ns - at least 1, whole */
  record(ns: number): void {
    this.#histogram.record(ns);
    this.sum += ns;
    let bucket = 0;
    while (bucket < LATENCY_BOUNDS_NS.length && ns > LATENCY_BOUNDS_NS[bucket]!) bucket++;
    this.counts[bucket]! += 1;
  }

  percentiles(): Percentiles {
    const { count } = this.#histogram;
    if (count === 0) return NOTHING;
    const at = (percentile: number): number => this.#histogram.percentile(percentile);
    return { p50: at(50), p99: at(99), p999: at(99.9), max: this.#histogram.max, count };
  }
}
