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

test('when ticks cease it is due at once, then ever less often', () => {
  const pace = new RefreshPace(60_000, 0);
  expect(dueIn(pace, 1, 10)).toEqual([]);
  pace.noteSilence();
  expect(dueIn(pace, 11, 200)).toEqual([11, 14, 20, 32, 56, 104, 164]);
});

test('once ticks have come for as long as the ordinary wait, it is due at once again when they cease', () => {
  const pace = new RefreshPace(60_000, 0);
  pace.noteSilence();
  expect(dueIn(pace, 1, 10)).toEqual([1, 4, 10]);
  pace.noteTicks();
  expect(dueIn(pace, 11, 150)).toEqual([70, 130]);
  pace.noteSilence();
  expect(dueIn(pace, 151, 160)).toEqual([151, 154, 160]);
});

test('in a quiet market, with a tick between any two silences, it is soon due only as often as is said', () => {
  const pace = new RefreshPace(60_000, 0);
  const due: number[] = [];
  for (let second = 1; second <= 400; second++) {
    if (second % 5 === 0) pace.noteTicks();
    else if (second % 5 >= 3) pace.noteSilence();
    due.push(...dueIn(pace, second, second));
  }
  expect(due).toEqual([3, 8, 14, 28, 53, 103, 163, 223, 283, 343]);
});

test('with 0 it is never due', () => {
  const pace = new RefreshPace(0, 0);
  pace.noteSilence();
  expect(dueIn(pace, 1, 1_000)).toEqual([]);
});
