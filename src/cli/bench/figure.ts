/** One measured figure. */
export interface Figure {
  name: string;
  value: number;
  unit: 'ns' | '1/s';
}

/** A percentile of sorted samples, 0 to 100. */
export function percentile(sorted: Float64Array, percent: number): number {
  const index = Math.min(sorted.length - 1, Math.floor((percent / 100) * sorted.length));
  return sorted[index] ?? Number.NaN;
}
