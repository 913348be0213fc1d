import { describe, expect, test } from 'vitest';
import { CsvClock } from '../../../src/feeds/csv/times.ts';

const INDIA = 330;
const RIGHT = Date.parse('2024-01-02T09:15:01+05:30');
const clock = (): CsvClock => new CsvClock(INDIA);
const at = (text: string, isDateColumn = false): string => new Date(clock().moment(text, isDateColumn)).toISOString();
const refusal = (reason: string): unknown =>
  expect.objectContaining({ code: 'ERR_MALFORMED_LINE', message: expect.stringContaining(reason) });

describe('one moment, as tables write it', () => {
  test.each([
    '2024-01-02 09:15:01',
    '2024-01-02T09:15:01',
    '2024-1-2 9:15:01',
    '2024/01/02 09:15:01',
    '2024-01-02  09:15:01 ',
    '2024-01-02 09:15:01.000000',
    '2024-01-02 09:15:01,000',
    '2024-01-02 03:45:01Z',
    '2024-01-02T03:45:01+00:00',
    '2024-01-02 09:15:01+05:30',
    '2024-01-02 09:15:01 +0530',
    '2024-01-01 22:45:01-05',
    '2024-01-02 09:15:01 IST',
    '2024-01-02 03:45:01 UTC',
    '20240102 09:15:01',
    '20240102T091501',
    '20240102 091501',
    '20240102 91501',
    '20240102091501',
    '20240102091501000',
    '02-01-2024 09:15:01',
    '2/1/2024 9:15:01',
    '02.01.2024 09:15:01',
    '02-01-2024 09:15:01 AM',
    '02/01/2024, 09:15:01 am',
    '02-Jan-2024 09:15:01',
    '2-Jan-24 9:15:01',
    '02 January 2024 09:15:01',
    'Jan 2, 2024 09:15:01',
    'Tue, 02 Jan 2024 03:45:01 GMT',
    '1704167101',
    '1704167101.0',
    '1704167101000',
    '1704167101000000',
    '1704167101000000000',
  ])('%s', (text) => {
    expect(at(text)).toBe(new Date(RIGHT).toISOString());
  });

  test.each(['45293.385428', '45293.38543', '45293.3854282407', '45293,385428'])(
    'day %s of Excel, in a column that is called a date',
    (text) => {
      expect(at(text, true)).toBe(new Date(RIGHT).toISOString());
    },
  );

  test.each([
    ['2024-01-02', '09:15:01'],
    ['20240102', '09:15:01'],
    ['20240102', '091501'],
    ['20240102', '91501'],
    ['02-01-2024', '9:15:01'],
    ['2024-01-02 00:00:00', '09:15:01'],
    ['45293', '0.385428'],
    ['45293.0', '09:15:01 AM'],
    ['2024-01-02', '03:45:01Z'],
  ])('%s and %s in two columns', (date, time) => {
    expect(clock().joined(date, time)).toBe(RIGHT);
  });
});

test('afternoons, days alone and fractions of seconds', () => {
  expect(at('02-01-2024 03:29:55 PM')).toBe('2024-01-02T09:59:55.000Z');
  expect(at('02-01-2024 12:00:00 AM')).toBe('2024-01-01T18:30:00.000Z');
  expect(at('2024-01-02')).toBe('2024-01-01T18:30:00.000Z');
  expect(at('20240102')).toBe('2024-01-01T18:30:00.000Z');
  expect(at('45293', true)).toBe('2024-01-01T18:30:00.000Z');
  expect(at('45293.375', true)).toBe('2024-01-02T03:30:00.000Z');
  expect(at('2024-01-02 09:15:01.123456789')).toBe('2024-01-02T03:45:01.123Z');
  expect(at('1704167101123456')).toBe('2024-01-02T03:45:01.123Z');
  expect(at('20240102091501250')).toBe('2024-01-02T03:45:01.250Z');
});

test('0 stands for no time', () => {
  expect([clock().moment('0', false), clock().moment('0.0', true)]).toEqual([0, 0]);
});

describe('is refused, for it may be another moment:', () => {
  test.each([
    ['a number that Excel has shortened', '1.70417E+12', 'digits were cut off'],
    ['seconds of a day', '45293', 'may be a day of Excel or seconds of a day'],
    ['seconds of a day with a fraction', '45293.979', 'may be a day of Excel or seconds of a day'],
    ['seconds of 1970', '19800', 'no time between 2000 and 2099'],
    ['the ticks of .NET', '638397603010000000', 'no time between 2000 and 2099'],
    ['a file time of Windows', '133486407010000000', 'no time between'],
    ['a time of day alone', '09:15:01', 'without a date'],
    ['a year of two digits', '02-01-24 09:15:01', 'is no date and time'],
    ['a month that there is none of', '01/13/2024 09:15:01', 'no such day'],
    ['a day that there is none of', '2024-02-30 09:15:01', 'no such day'],
    ['a day of eight digits that is none', '02012024', 'no such day'],
    ['an hour that there is none of', '2024-01-02 24:00:00', 'no such time of day'],
    ['an hour of the afternoon that there is none of', '2024-01-02 13:00:00 PM', 'no such time of day'],
    ['a compact time that there is none of', '20240102256101', 'no such time of day'],
    ['hours and minutes that may be minutes and seconds', '2024-01-02 0915', 'is no time of day'],
    ['a zone that is not known', '2024-01-02 09:15:01 EST', 'is no time of day'],
    ['a zone that there is none of', '2024-01-02 09:15:01+27:00', 'no such zone'],
    ['a negative number', '-1704167101', 'is no date and time'],
    ['two times', '2024-01-02 2024-01-03', 'is no time of day'],
    ['a word', 'yesterday', 'is no date and time'],
  ])('%s', (_what, text, reason) => {
    expect(() => clock().moment(text, false)).toThrow(refusal(reason));
  });

  test('a day of Excel with too few digits for a second', () => {
    expect(() => clock().moment('45293.385', true)).toThrow(refusal('so few digits'));
    expect(() => clock().moment('45293.3854', true)).toThrow(refusal('so few digits'));
  });

  test.each([
    ['2024-01-02', '0915'],
    ['2024-01-02', '2024-01-02 09:15:01'],
    ['2024-01-02 09:15:01', '09:15:02'],
    ['1704167101', '09:15:01'],
  ])('the columns %s and %s', (date, time) => {
    expect(() => clock().joined(date, time)).toThrow(refusal(''));
  });
});

test('every second of a session comes back from Excel’s day with as many digits as it writes', () => {
  const day = 45_293;
  const wrong: number[] = [];
  for (let second = 0; second < 86_400; second++) {
    const expected = Date.UTC(2024, 0, 2) + second * 1000 - INDIA * 60_000;
    for (const digits of [5, 6, 10]) {
      if (clock().moment((day + second / 86_400).toFixed(digits), true) !== expected) wrong.push(second);
    }
  }
  expect(wrong).toEqual([]);
});
