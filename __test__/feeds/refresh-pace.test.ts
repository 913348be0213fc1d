import { expect, test } from 'vitest';
import { RefreshPace } from '../../src/feeds/refresh-pace.ts';

/** The times in these seconds at which it is due, looked at once a second. */
function dueIn(pace: RefreshPace, from: number, to: number): number[] {
  const due: number[] = [];
  for (let second = from; second <= to; second++) if (pace.isDue(second * 1_000)) due.push(second);
  return due;
}

test('while ticks come, it is due as often as is said', () => {
  expect(dueIn(new RefreshPace(60_000, 0), 1, 200)).toEqual([60, 120, 180]);
});

test('when ticks cease it is due at once, then ever less often, and at once again in the next silence', () => {
  const pace = new RefreshPace(60_000, 0);
  expect(dueIn(pace, 1, 10)).toEqual([]);
  pace.noteSilence();
  expect(dueIn(pace, 11, 200)).toEqual([11, 14, 20, 32, 56, 104, 164]);
  pace.noteTicks();
  expect(dueIn(pace, 201, 220)).toEqual([]);
  pace.noteSilence();
  expect(dueIn(pace, 221, 226)).toEqual([221, 224]);
});

test('with 0 it is never due', () => {
  const pace = new RefreshPace(0, 0);
  pace.noteSilence();
  expect(dueIn(pace, 1, 1_000)).toEqual([]);
});
