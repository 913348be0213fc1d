import { describe, expect, test } from 'vitest';
import { EvenPace, RecordingPace, type SkippedStep } from '../../src/feeds/recording-pace.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const NINE = Date.UTC(2024, 0, 2, 3, 30);
const IN_2100 = Date.UTC(2100, 0, 1);

/** When each tick is due, ms after the first, if nothing takes time. */
function delays(recorded: readonly (number | undefined)[], { speed = 1, passes = 1 } = {}) {
  const skipped: SkippedStep[] = [];
  const pace = new RecordingPace(speed, HOUR, (step) => skipped.push(step));
  const due: number[] = [];
  for (let pass = 0; pass < passes; pass++) {
    for (const [index, time] of recorded.entries()) due.push(pace.untilDue(time, 0, recorded[index + 1]));
    pace.beginAgain();
  }
  return { due, skipped };
}

describe('the pace of a recording', () => {
  test('is that of its times, from the first one on', () => {
    expect(delays([1000, 1000, 2500, 61_000]).due).toEqual([0, 0, 1500, 60_000]);
  });

  test('can be multiplied and divided', () => {
    expect(delays([1000, 2000], { speed: 10 }).due).toEqual([0, 100]);
    expect(delays([1000, 2000], { speed: 0.5 }).due).toEqual([0, 2000]);
  });

  test('takes times out of order with those around them', () => {
    expect(delays([1000, 3000, 2000, 3500]).due).toEqual([0, 0, 1000, 2500]);
    const sources = Array.from({ length: 100 }, (_, tick) => (tick % 2 === 0 ? tick * 10 : tick * 10 - 200));
    expect(delays(sources).due.at(-1)).toBeGreaterThanOrEqual(700);
    expect(delays(sources).due.at(-1)).toBeLessThanOrEqual(1000);
  });

  test('takes a tick without a time with the one before', () => {
    expect(delays([undefined, 1000, 2000, undefined]).due).toEqual([0, 0, 1000, 1000]);
  });

  test('makes up for time that passed elsewhere', () => {
    const pace = new RecordingPace(1);
    expect([pace.untilDue(0, 0), pace.untilDue(1000, 400), pace.untilDue(2000, 2600)]).toEqual([0, 600, 0]);
  });

  test.each<[string, number[]]>([
    ['first', [0, NINE, NINE + 1000, NINE + 2000]],
    ['in the middle', [NINE, NINE + 1000, IN_2100, NINE + 2000]],
    ['twice', [NINE, IN_2100, NINE + 1000, IN_2100, NINE + 2000]],
    ['last', [NINE, NINE + 1000, NINE + 2000, IN_2100]],
  ])('is not ruled by a single time that comes %s', (_where, times) => {
    expect(Math.max(...delays(times).due)).toBeGreaterThanOrEqual(1000);
    expect(Math.max(...delays(times).due)).toBeLessThanOrEqual(2000);
  });

  test('skips a step that is longer than the bound, and goes on from there', () => {
    const { due, skipped } = delays([NINE, NINE + 1000, NINE + DAY, NINE + DAY + 500, NINE + DAY + 1500]);
    expect(due).toEqual([0, 1000, 1000, 1500, 2500]);
    expect(skipped).toEqual([{ from: NINE + 1000, to: NINE + DAY }]);
  });

  test('follows a clock that was set back, soon, and says so', () => {
    const back = NINE - 2 * HOUR;
    const times = [NINE, NINE + 1000, ...Array.from({ length: 11 }, (_, second) => back + second * 1000)];
    const { due, skipped } = delays(times);
    expect(due.at(-1)).toBe(11_000);
    expect(skipped).toEqual([{ from: NINE + 1000, to: back }]);
  });

  test('follows one that was set back by less than the bound, too', () => {
    const times = [NINE, NINE + 1000, ...Array.from({ length: 11 }, (_, second) => NINE - 60_000 + second * 1000)];
    expect(delays(times).due.at(-1)).toBe(11_000);
  });

  test('does not wait for the old times of quiet instruments among new ones', () => {
    const times = Array.from({ length: 40 }, (_, tick) => (tick % 3 === 2 ? NINE - 600_000 : NINE + tick * 100));
    const last = delays(times).due.at(-1)!;
    expect(last).toBeGreaterThanOrEqual(3600);
    expect(last).toBeLessThanOrEqual(3900);
  });

  test('of a table with the newest first is none, and says so', () => {
    const { due, skipped } = delays(Array.from({ length: 1000 }, (_, tick) => NINE - tick * 1000));
    expect(due.at(-1)).toBe(0);
    expect(skipped.length).toBeGreaterThan(5);
  });

  test('goes on from pass to pass, with the last step between them, of at most a second', () => {
    expect(delays([1000, 61_000], { passes: 2 }).due).toEqual([0, 60_000, 61_000, 121_000]);
    expect(delays([1000, 1000, 1500], { passes: 2 }).due).toEqual([0, 0, 500, 1000, 1000, 1500]);
    expect(delays([1000], { passes: 3, speed: 10 }).due).toEqual([0, 1, 2]);
  });

  test('of a file without times is even', () => {
    expect(delays([undefined, undefined, undefined], { passes: 2 }).due).toEqual([0, 10, 20, 30, 40, 50]);
  });
});

describe('an even pace', () => {
  test('has so many ticks a second, whatever their times, from pass to pass', () => {
    const pace = new EvenPace(50);
    const due = [pace.untilDue(IN_2100, 0), pace.untilDue(NINE, 0)];
    pace.beginAgain();
    expect([...due, pace.untilDue(undefined, 0), pace.untilDue(0, 50)]).toEqual([0, 20, 40, 10]);
  });

  test('forgets what a pause of more than a second cost', () => {
    const pace = new EvenPace(1000);
    pace.untilDue(undefined, 0);
    expect([pace.untilDue(undefined, 60_000), pace.untilDue(undefined, 60_000)]).toEqual([0, 1]);
  });
});
