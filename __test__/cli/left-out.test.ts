import { expect, test } from 'vitest';
import { leftOut } from '../../src/cli/left-out.ts';

test('a feed says how many values it has left out, and of which keys most', () => {
  expect(leftOut({})).toBe('');
  expect(leftOut({ volume: 1 })).toBe(', 1 value left out (volume 1)');
  expect(leftOut({ ltt: 1, oi: 20, bid: 2, volume: 1000 })).toBe(
    ', 1,023 values left out (volume 1,000, oi 20, bid 2, …)',
  );
});
