import { describe, expect, test } from 'vitest';
import { checkPace, pause, RatePace } from '../../src/feeds/pace.ts';

describe('an even rate', () => {
  test('gives the first tick at once and then one in each interval', () => {
    const pace = new RatePace(100, 5000);
    const given = Array.from({ length: 41 }, (_, ms) => pace.take(5000 + ms));
    expect(given.reduce((sum, due) => sum + due)).toBe(5);
    expect([0, 10, 20, 30, 40].map((ms) => given[ms])).toEqual([1, 1, 1, 1, 1]);
  });

  test('makes up for late calls, so that the count over time is exact', () => {
    const pace = new RatePace(1000, 0);
    expect([pace.take(0), pace.take(7), pace.take(7.5), pace.take(400)]).toEqual([1, 7, 0, 393]);
  });

  test('can be less than one a second', () => {
    const pace = new RatePace(0.5, 0);
    expect([pace.take(0), pace.take(1999), pace.take(2000), pace.take(4000)]).toEqual([1, 0, 1, 1]);
  });

  test('forgets what a pause of more than a second cost', () => {
    const pace = new RatePace(1000, 0);
    pace.take(0);
    expect(pace.take(60_000)).toBe(1);
    expect(pace.take(60_010)).toBe(10);
  });

  test('says how long it is until the next tick', () => {
    const pace = new RatePace(100, 0);
    pace.take(0);
    expect(pace.untilNext(4)).toBeCloseTo(6);
    expect(pace.untilNext(15)).toBe(0);
  });
});

describe('a pause', () => {
  test('ends at once when the signal is aborted, before or meanwhile', async () => {
    await pause(3_600_000, AbortSignal.abort());
    const ending = new AbortController();
    const paused = pause(2 ** 40, ending.signal);
    ending.abort();
    await paused;
  });
});

describe('a pace as an option', () => {
  test.each(['max' as const, 0.01, 1, 1e9])('may be %s', (value) => {
    expect(checkPace('rate', value)).toBe(value);
  });

  test.each([0, -1, Number.NaN, Number.POSITIVE_INFINITY, 'fast'])('may not be %s', (value) => {
    const refusal = {
      code: 'ERR_INVALID_OPTION',
      message: expect.stringContaining('speed must be a number above 0 or "max"'),
    };
    expect(() => checkPace('speed', value as number)).toThrow(expect.objectContaining(refusal));
  });
});
