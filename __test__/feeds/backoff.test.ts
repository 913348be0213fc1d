import { expect, test } from 'vitest';
import { Backoff } from '../../src/feeds/backoff.ts';

const failures = [1, 2, 3, 4, 5, 6, 7, 1_000];

test('waits twice as long each time, up to the longest', () => {
  const backoff = new Backoff({ firstMs: 1_000, longestMs: 30_000, random: () => 1 });
  expect(failures.map((count) => backoff.waitAfter(count))).toEqual([
    1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000,
  ]);
});

test('waits a random half less, so that many do not come back at once', () => {
  const backoff = new Backoff({ firstMs: 1_000, longestMs: 30_000, random: () => 0 });
  expect(failures.map((count) => backoff.waitAfter(count))).toEqual([
    500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000, 15_000,
  ]);
  const drawn = new Set(Array.from({ length: 20 }, () => new Backoff().waitAfter(3)));
  expect(drawn.size).toBeGreaterThan(1);
  for (const wait of drawn) expect(wait >= 2_000 && wait <= 4_000).toBe(true);
});
