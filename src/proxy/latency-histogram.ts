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

/** What a histogram holds, in a form that other processes can be sent: the steps that are not empty, and their counts. */
export interface RecordedLatencies {
  steps: number[];
  counts: number[];
  max: number;
}

/** Steps in each power of two: a percentile is at most 0.4 % above the latency that it stands for. */
const PRECISION_BITS = 8;
const STEPS = 2 ** PRECISION_BITS;
/** Longest latency that is told from longer ones: 2^40 ns are 18 minutes. */
const LONGEST_NS = 2 ** 40 - 1;
const ALL_STEPS = (40 - PRECISION_BITS + 1) * STEPS;

/** Latencies since the start: percentiles, and counts in buckets whose differences show how it moves. */
export class LatencyHistogram {
  /** Latencies in each bucket, the last of those above all bounds. */
  readonly counts: number[] = Array.from({ length: LATENCY_BOUNDS_NS.length + 1 }, () => 0);
  /** Sum of all latencies, ns. */
  sum = 0;
  readonly #steps = new Float64Array(ALL_STEPS);
  #count = 0;
  #max = 0;

  /** @param ns - at least 1, whole */
  record(ns: number): void {
    this.#steps[stepOf(ns)]! += 1;
    this.#count += 1;
    if (ns > this.#max) this.#max = ns;
    this.sum += ns;
    let bucket = 0;
    while (bucket < LATENCY_BOUNDS_NS.length && ns > LATENCY_BOUNDS_NS[bucket]!) bucket++;
    this.counts[bucket]! += 1;
  }

  percentiles(): Percentiles {
    return percentilesOf(this.#steps, this.#count, this.#max);
  }

  /** All that was recorded, for {@link percentilesOfAll}. */
  recorded(): RecordedLatencies {
    const steps: number[] = [];
    const counts: number[] = [];
    this.#steps.forEach((count, step) => {
      if (count === 0) return;
      steps.push(step);
      counts.push(count);
    });
    return { steps, counts, max: this.#max };
  }
}

/** The percentiles that one histogram would give, had it recorded what all of these have. */
export function percentilesOfAll(all: readonly RecordedLatencies[]): Percentiles {
  const together = new Float64Array(ALL_STEPS);
  let total = 0;
  for (const { steps, counts } of all) {
    steps.forEach((step, index) => {
      together[step]! += counts[index]!;
      total += counts[index]!;
    });
  }
  return percentilesOf(together, total, Math.max(0, ...all.map(({ max }) => max)));
}

function percentilesOf(steps: Float64Array, count: number, max: number): Percentiles {
  const at = (part: number): number => Math.min(max, highestOf(stepAt(steps, Math.ceil(count * part))));
  return count === 0
    ? { p50: 0, p99: 0, p999: 0, max: 0, count: 0 }
    : { p50: at(0.5), p99: at(0.99), p999: at(0.999), max, count };
}

/** The step that holds the latency of this rank, counted from 1. */
function stepAt(steps: Float64Array, rank: number): number {
  let seen = 0;
  return steps.findIndex((count) => (seen += count) >= rank);
}

// The first steps are 1 ns wide; from there each power of two has as many steps, so that they double in width.
function stepOf(ns: number): number {
  const bounded = Math.min(ns, LONGEST_NS);
  const exponent = bounded < 2 ** 32 ? 31 - Math.clz32(bounded) : 63 - Math.clz32(bounded / 2 ** 32);
  const shift = Math.max(0, exponent - PRECISION_BITS);
  return shift * STEPS + Math.floor(bounded / 2 ** shift);
}

/** The longest latency of a step, ns. */
function highestOf(step: number): number {
  const shift = Math.max(0, Math.floor(step / STEPS) - 1);
  return (step - shift * STEPS + 1) * 2 ** shift - 1;
}
