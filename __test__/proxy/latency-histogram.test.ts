import { describe, expect, test } from 'vitest';
import { LatencyHistogram, percentilesOfAll } from '../../src/proxy/latency-histogram.ts';

/** Latencies from 1 ns to more than half an hour, each power of two as often as the others; the same in every run. */
function latencies(count: number): number[] {
  let state = 12_345;
  const random = (): number => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
  return Array.from({ length: count }, () => Math.max(1, Math.floor(2 ** (random() * 41))));
}

function histogramOf(values: readonly number[]): LatencyHistogram {
  const histogram = new LatencyHistogram();
  for (const value of values) histogram.record(value);
  return histogram;
}

const LONGEST_TOLD_APART = 2 ** 40 - 1;

describe('a histogram of latencies', () => {
  test('has percentiles at most 0.4 % above the latency of that rank, and never below it', () => {
    const values = latencies(10_000);
    const sorted = values.toSorted((a, b) => a - b).map((value) => Math.min(value, LONGEST_TOLD_APART));
    const { p50, p99, p999, max, count } = histogramOf(values).percentiles();
    for (const [percentile, part] of [
      [p50, 0.5],
      [p99, 0.99],
      [p999, 0.999],
    ] as const) {
      const exact = sorted[Math.ceil(values.length * part) - 1]!;
      expect(percentile).toBeGreaterThanOrEqual(exact);
      expect(percentile).toBeLessThanOrEqual(exact * 1.004);
    }
    expect([max, count]).toEqual([Math.max(...values), 10_000]);
  });

  test('tells short latencies to the nanosecond', () => {
    for (const ns of [1, 2, 100, 255, 511]) {
      expect(histogramOf([ns, 1000]).percentiles().p50).toBe(ns);
    }
  });

  test('has no percentile above its longest latency', () => {
    expect(histogramOf([1_000_001]).percentiles()).toMatchObject({ p50: 1_000_001, p999: 1_000_001, max: 1_000_001 });
  });

  test('is all zeros before the first', () => {
    expect(new LatencyHistogram().percentiles()).toEqual({ p50: 0, p99: 0, p999: 0, max: 0, count: 0 });
  });
});

describe('histograms together', () => {
  test('have the percentiles of one that has recorded everything', () => {
    const values = latencies(3_000);
    const parts = [values.slice(0, 10), values.slice(10, 1_000), [], values.slice(1_000)];
    const sent = parts.map((part) => structuredClone(histogramOf(part).recorded()));
    expect(percentilesOfAll(sent)).toEqual(histogramOf(values).percentiles());
  });

  test('are all zeros when there are none', () => {
    expect(percentilesOfAll([])).toEqual(new LatencyHistogram().percentiles());
  });
});
