/** Latencies that were counted in buckets already. */
export interface CountedLatencies {
  /** Upper bounds of the buckets but the last, ns. */
  bounds_ns: readonly number[];
  /** Latencies in each bucket. */
  counts: readonly number[];
  /** Sum of all latencies, ns. */
  sum_ns: number;
}

interface MetricValue {
  metricName: string;
  labels: Record<string, string>;
  value: number;
}

/** A histogram of Prometheus, in seconds, of what was counted elsewhere: as much of prom-client's as its registry uses. */
export function latencyMetric(name: string, help: string, latencies: () => CountedLatencies) {
  const get = async () => ({ name, help, type: 'histogram', aggregator: 'sum', values: valuesOf(name, latencies()) });
  return { name, help, type: 'histogram', aggregator: 'sum', get, reset: (): void => {} };
}

function valuesOf(name: string, { bounds_ns, counts, sum_ns }: CountedLatencies): MetricValue[] {
  let total = 0;
  const buckets = counts.map((count, bucket): MetricValue => {
    total += count;
    const bound = bounds_ns[bucket];
    return {
      metricName: `${name}_bucket`,
      labels: { le: bound === undefined ? '+Inf' : String(bound / 1e9) },
      value: total,
    };
  });
  return [
    ...buckets,
    { metricName: `${name}_sum`, labels: {}, value: sum_ns / 1e9 },
    { metricName: `${name}_count`, labels: {}, value: total },
  ];
}
