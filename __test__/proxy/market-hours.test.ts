import { describe, expect, test } from 'vitest';
import { MarketHours } from '../../src/proxy/market-hours.ts';

/** A time in India, as ms since 1970. */
const india = (text: string): number => Date.parse(`${text}+05:30`);
const HOUR = 60 * 60 * 1000;

describe('the hours of a market', () => {
  const equities = new MarketHours('Mon-Fri 09:00-15:30');

  test.each([
    ['2026-11-26T08:59:59', false],
    ['2026-11-26T09:00:00', true],
    ['2026-11-26T15:29:59', true],
    ['2026-11-26T15:30:00', false],
    ['2026-11-28T11:00:00', false],
    ['2026-11-29T11:00:00', false],
    ['2026-11-30T11:00:00', true],
  ])('at %s in India, open: %s', (time, isOpen) => {
    expect(equities.at(india(time)).isOpen).toBe(isOpen);
  });

  test('an opening has a time: of the same day, of the next, after a weekend', () => {
    const next = (time: string) => equities.at(india(time)).opensAtMs;
    expect(next('2026-11-26T03:00:00')).toBe(india('2026-11-26T09:00:00'));
    expect(next('2026-11-26T15:30:00')).toBe(india('2026-11-27T09:00:00'));
    expect(next('2026-11-27T23:59:59')).toBe(india('2026-11-30T09:00:00'));
    expect(next('2026-11-26T10:00:00')).toBeUndefined();
  });

  test('say for how long the market has been open', () => {
    expect(equities.at(india('2026-11-26T09:00:30')).openForMs).toBe(30_000);
    expect(equities.at(india('2026-11-26T08:00:00')).openForMs).toBe(0);
  });

  test('several sessions count, and those that touch are one', () => {
    const hours = new MarketHours('Mon-Fri 09:00-15:30, Mon-Fri 15:30-17:00; Mon-Fri 18:00-23:30');
    expect(hours.at(india('2026-11-26T16:00:00'))).toMatchObject({ isOpen: true, openForMs: 7 * HOUR });
    expect(hours.at(india('2026-11-26T17:30:00'))).toMatchObject({ opensAtMs: india('2026-11-26T18:00:00') });
    expect(hours.at(india('2026-11-26T23:00:00')).isOpen).toBe(true);
  });

  test('a holiday has no session of its weekday, and a session with its date', () => {
    const hours = new MarketHours('Mon-Fri 09:00-15:30, 2026-11-10 18:00-19:15', ['2026-11-10', '2026-11-24']);
    expect(hours.at(india('2026-11-24T11:00:00'))).toMatchObject({ opensAtMs: india('2026-11-25T09:00:00') });
    expect(hours.at(india('2026-11-10T11:00:00'))).toMatchObject({ opensAtMs: india('2026-11-10T18:00:00') });
    expect(hours.at(india('2026-11-10T18:30:00')).isOpen).toBe(true);
  });

  test('a special session is held on a weekend', () => {
    const hours = new MarketHours('Mon-Fri 09:00-15:30, 2026-11-08 18:00-19:15');
    expect(hours.at(india('2026-11-07T11:00:00'))).toMatchObject({ opensAtMs: india('2026-11-08T18:00:00') });
    expect(hours.at(india('2026-11-08T19:00:00')).isOpen).toBe(true);
  });

  test('a market that never closes has opened long ago, at midnight too', () => {
    const hours = new MarketHours('Mon-Sun 00:00-24:00');
    expect(hours.at(india('2026-11-26T00:00:05')).openForMs).toBeGreaterThan(24 * HOUR);
    expect(new MarketHours('Fri-Mon 00:00-24:00').at(india('2026-11-28T00:00:05')).openForMs).toBe(24 * HOUR + 5_000);
  });

  test('where no session is to come, there is no next opening', () => {
    const hours = new MarketHours('2026-11-08 18:00-19:15');
    expect(hours.at(india('2026-11-09T00:00:00'))).toEqual({ isOpen: false, openForMs: 0, opensAtMs: undefined });
  });

  test('a market elsewhere keeps its own clock, through summer time', () => {
    const newYork = new MarketHours('Mon-Fri 09:30-16:00', [], 'America/New_York');
    expect(newYork.at(Date.parse('2026-07-01T13:30:00Z')).isOpen).toBe(true);
    expect(newYork.at(Date.parse('2026-12-01T13:30:00Z')).isOpen).toBe(false);
    // Summer time ends on Sunday, 1 November 2026.
    expect(newYork.at(Date.parse('2026-10-30T21:00:00Z')).opensAtMs).toBe(Date.parse('2026-11-02T14:30:00Z'));
  });

  test.each([
    ['at the first of two, as summer time ends', 'Europe/Berlin', '2026-10-25T00:00:00Z', '2026-10-25T00:30:00Z'],
    ['an hour later, as it begins', 'America/New_York', '2026-03-08T06:45:00Z', '2026-03-08T07:30:00Z'],
  ])('opens at half past two: %s', (_, zone, now, opensAt) => {
    const hours = new MarketHours('Sun 02:30-04:00', [], zone);
    expect(hours.at(Date.parse(now)).opensAtMs).toBe(Date.parse(opensAt));
    expect(hours.at(Date.parse(opensAt)).isOpen).toBe(true);
  });

  test.each([
    ['09:00-15:30', /expected sessions such as/],
    ['', /expected sessions such as/],
    ['Mon-Fri 9-15', /expected sessions such as/],
    ['Mon-Fri 09:60-15:30', /expected times/],
    ['Mon-Fri 09:00-24:01', /expected times/],
    ['Mon-Fri 18:00-02:00', /split it at midnight/],
    ['Monday 09:00-15:30', /expected days such as/],
    ['Mon-Wed-Fri 09:00-15:30', /expected days such as/],
    ['2026-02-30 09:00-15:30', /expected a date/],
  ])('%j is refused', (hours, message) => {
    expect(() => new MarketHours(hours)).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_OPTION', message: expect.stringMatching(message) }),
    );
  });

  test('holidays and zones that there are not are refused', () => {
    const invalid = expect.objectContaining({ code: 'ERR_INVALID_OPTION' });
    expect(() => new MarketHours('Mon-Fri 09:00-15:30', ['25-11-2026'])).toThrow(invalid);
    expect(() => new MarketHours('Mon-Fri 09:00-15:30', [], 'Asia/Bombay2')).toThrow(invalid);
  });
});
