import { type Histogram, Registry } from 'prom-client';

/** Type of the text that Prometheus reads. */
export const METRICS_TYPE = Registry.PROMETHEUS_CONTENT_TYPE;

/** A metric with its values of one moment, as registries give and take them. */
export interface MetricFigures {
  name: string;
  help: string;
  type: unknown;
  values: { value: number; labels: Partial<Record<string, string | number>>; metricName?: string }[];
}

/** The values of a registry now. */
export async function figuresOf(registry: Registry): Promise<MetricFigures[]> {
  const metrics = (await registry.getMetricsAsJSON()) as unknown as MetricFigures[];
  return metrics.map(({ name, help, type, values }) => ({ name, help, type, values }));
}

/** The text of several processes' metrics: each metric once, with the values of all; their labels tell them apart. */
export function textOf(processes: readonly MetricFigures[][]): Promise<string> {
  const together = new Map<string, MetricFigures>();
  for (const metric of processes.flat()) {
    const known = together.get(metric.name);
    together.set(metric.name, known === undefined ? metric : { ...known, values: [...known.values, ...metric.values] });
  }
  const registry = new Registry();
  for (const metric of together.values()) registry.registerMetric(finished(metric));
  return registry.metrics();
}

/** As much of a metric of prom-client as its registry uses. */
function finished(metric: MetricFigures): Histogram {
  return { ...metric, get: async () => metric, reset: (): void => {} } as unknown as Histogram;
}
