import { describe, expect, test } from 'vitest';
import { checkPace, pause, RatePace } from '../../src/feeds/pace.ts';
import { RecordingPace } from '../../src/feeds/recording-pace.ts';

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

describe('the pace of a recording', () => {
  const delays = (speed: number, recorded: (number | undefined)[]) => {
    const pace = new RecordingPace(speed);
    return recorded.map((time) => pace.untilDue(time, 50));
  };

  test('is that of its times, from the first one on', () => {
    expect(delays(1, [1000, 1000, 2500, 61_000])).toEqual([0, 0, 1500, 60_000]);
  });

  test('can be multiplied and divided', () => {
    expect(delays(10, [1000, 2000])).toEqual([0, 100]);
    expect(delays(0.5, [1000, 2000])).toEqual([0, 2000]);
  });

  test('does not stand still for times that go back, and counts on from the latest', () => {
    expect(delays(1, [1000, 3000, 2000, 3500])).toEqual([0, 2000, 2000, 2500]);
  });

  test('takes a tick without a time with the one before', () => {
    expect(delays(1, [undefined, 1000, 2000, undefined])).toEqual([0, 0, 1000, 1000]);
  });

  test('makes up for time that passed elsewhere', () => {
    const pace = new RecordingPace(1);
    expect([pace.untilDue(0, 0), pace.untilDue(1000, 400), pace.untilDue(2000, 2600)]).toEqual([0, 600, 0]);
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
