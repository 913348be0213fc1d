import { expect, test } from 'vitest';
import { MAX_EVENT_BYTES } from '../../src/shm/events.ts';
import { type SubscriptionResult, readResults, resultEvents } from '../../src/shm/subscription-results.ts';

const bytesOf = (value: unknown): number => Buffer.byteLength(JSON.stringify(value));

test('results go out as many in an event as fit, in order', () => {
  const results = Array.from({ length: 1_000 }, (_, i): SubscriptionResult => {
    return { exchange: 'NSE', symbol: `SYMBOL${i}`, mode: 3, status: 'success', depth: 5 };
  });
  const events = [...resultEvents('zerodha', results)];
  expect(events.length).toBeLessThan(60);
  expect(Math.max(...events.map(bytesOf))).toBeLessThanOrEqual(MAX_EVENT_BYTES);
  expect(Math.min(...events.slice(0, -1).map(bytesOf))).toBeGreaterThan(MAX_EVENT_BYTES - 100);
  expect(events.flatMap((event) => readResults(event).results)).toEqual(results);
});

test('the longest names and reasons fit, whatever is in them', () => {
  for (const character of ['x', '\u0000', '"', '₹', '\uD800']) {
    const width = Buffer.byteLength(character);
    const result: SubscriptionResult = {
      exchange: character.repeat(16 / width),
      symbol: character.repeat(48 / width),
      mode: 1,
      status: 'error',
      message: character.repeat(5_000),
    };
    const events = [...resultEvents(character.repeat(48 / width), [result, result])];
    expect(Math.max(...events.map(bytesOf))).toBeLessThanOrEqual(MAX_EVENT_BYTES);
    expect(events.flatMap((event) => readResults(event).results)).toHaveLength(2);
  }
});

test('nothing to tell is no event', () => {
  expect([...resultEvents('zerodha', [])]).toEqual([]);
});

test('a depth of 0 or null, and an error without a reason, are understood', () => {
  const common = { exchange: 'NSE', symbol: 'TCS', mode: 1 };
  const results = [
    { ...common, status: 'success', depth: 0 },
    { ...common, status: 'success', depth: null },
    { ...common, status: 'error', message: null },
    { ...common, status: 'error', message: '' },
  ];
  const reason = 'The broker refused the subscription';
  expect(readResults({ type: 'subscription_result', results })).toEqual({
    results: [
      { ...common, status: 'success' },
      { ...common, status: 'success' },
      { ...common, status: 'error', message: reason },
      { ...common, status: 'error', message: reason },
    ],
    malformed: 0,
  });
});
