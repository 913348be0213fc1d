import { describe, expect, test } from 'vitest';
import { hasCode } from '../../src/errors.ts';
import { epochToMs, parseTimestamp, parseUtcOffset } from '../../src/feeds/timestamps.ts';

const INDIA = parseUtcOffset('+05:30');
const MOMENT = Date.UTC(2021, 6, 5, 5, 11, 27);

describe('a number', () => {
  test.each([
    ['seconds', 1_625_461_887, MOMENT],
    ['seconds with a fraction', 1_625_461_887.123, MOMENT + 123],
    ['milliseconds', 1_625_461_887_000, MOMENT],
    ['milliseconds with a fraction', 1_625_461_887_000.4, MOMENT],
    ['microseconds', 1_625_461_887_000_000, MOMENT],
    ['nanoseconds', 1_625_461_887_000_000_000, MOMENT],
    ['zero, which brokers send for never', 0, 0],
    ['not a number', Number.NaN, Number.NaN],
    ['infinity', Number.POSITIVE_INFINITY, Number.NaN],
  ])('in %s becomes milliseconds', (_unit, value, expected) => {
    expect(epochToMs(value)).toBe(expected);
  });
});

describe('a text', () => {
  test.each([
    ['2021-07-05T10:41:27+05:30', MOMENT],
    ['2021-07-05T05:11:27Z', MOMENT],
    ['2021-07-05T05:11:27.25Z', MOMENT + 250],
    ['2021-07-05T10:41:27.123456789+0530', MOMENT + 123],
    ['2021-07-05T01:11:27-04:00', MOMENT],
    ['2021-07-05 10:41:27', MOMENT],
    ['2021-07-05T10:41:27', MOMENT],
    ['2021/07/05 10:41:27', MOMENT],
    ['05-07-2021 10:41:27', MOMENT],
    ['05/07/2021 10:41:27', MOMENT],
    ['2021-07-05 10:41', MOMENT - 27_000],
    ['2021-07-05', Date.UTC(2021, 6, 4, 18, 30)],
    ['1625461887', MOMENT],
    ['1625461887000', MOMENT],
    ['/Date(1625461887000)/', MOMENT],
    ['/Date(1625461887000+0530)/', MOMENT],
  ])('%s is understood, in India where it names no zone', (text, expected) => {
    expect(parseTimestamp(text, INDIA)).toBe(expected);
  });

  test.each([
    '',
    'now',
    '2021-02-30 10:00:00',
    '2021-13-01 10:00:00',
    '2021-00-01',
    '2021-07-05 24:00:00',
    '2021-07-05 10:60:00',
    '2021-07-05 10:00:61',
    '2021-07-05T10:00:00+25:00',
    '10:41:27',
    '0x10',
    '2021-07-05 10:41:27 and more',
  ])('%j is refused', (text) => {
    expect(parseTimestamp(text, INDIA)).toBeUndefined();
  });
});

describe('an offset from UTC', () => {
  test.each([
    ['Z', 0],
    ['+05:30', 330],
    ['-0400', -240],
    ['+00:00', 0],
  ])('%s is %d minutes', (offset, minutes) => {
    expect(parseUtcOffset(offset)).toBe(minutes);
  });

  test.each(['', 'IST', '5:30', '+15:00', '+05:60', 'Asia/Kolkata'])(
    '%j is refused with what is expected',
    (offset) => {
      expect(() => parseUtcOffset(offset)).toThrow(
        expect.toSatisfy((error: unknown) => hasCode(error, 'ERR_INVALID_OPTION') && String(error).includes('+05:30')),
      );
    },
  );
});
