import { afterEach, describe, expect, test } from 'vitest';
import { hasCode } from '../../src/errors.ts';
import type { MarketData } from '../../src/message.ts';
import { AnnexView, MEMBER_BYTES } from '../../src/shm/annex.ts';
import { drain, TestRing } from './test-ring.ts';

const ring = new TestRing('annex');
afterEach(() => ring.end());

/** What a reader sees of a tick. */
function passed(data: MarketData) {
  const reader = ring.subscriber();
  ring.publisher().publishMarketData('TCS', data);
  const [tick] = drain(reader);
  return tick;
}

describe('members', () => {
  test('come out as they went in, beside every other part of a tick', () => {
    const tick: MarketData = {
      type: 3,
      exchange: 'NSE',
      ltp: 1402.5,
      open: 1400,
      depth: { buy: [{ price: 1402, quantity: 5, orders: 1 }], sell: [] },
      members: { token: '2885', prev_oi: 12.5, live: true, closed: false, ltt: '15:29:59', नाम: 'रिलायंस', empty: '' },
    };
    expect(passed({ ...tick, synonyms: [0, 64] })).toEqual({ ...tick, symbol: 'TCS' });
  });

  test('are those of the tick alone, not of the one before it', () => {
    const reader = ring.subscriber();
    const publisher = ring.publisher();
    publisher.publishMarketData('TCS', { ltp: 1, members: { token: '2885', other: 'x'.repeat(100) } });
    publisher.publishMarketData('TCS', { ltp: 2, members: { token: '1' } });
    publisher.publishMarketData('TCS', { ltp: 3 });
    expect(drain(reader).map(({ members }) => members)).toEqual([
      { token: '2885', other: 'x'.repeat(100) },
      { token: '1' },
      undefined,
    ]);
  });

  test('that have no room are left out, and cost no other', () => {
    const fits = 'x'.repeat(MEMBER_BYTES - 4);
    expect(passed({ ltp: 1, members: { a: fits } })?.members).toEqual({ a: fits });
    expect(passed({ ltp: 1, members: { a: `${fits}x`, b: 1, [fits.repeat(2)]: 2, '': 3 } })?.members).toEqual({ b: 1 });
  });

  test.each([{ a: Number.NaN }, { a: null }, { a: [] }])('that are no values are refused: %j', (members) => {
    const publish = () => passed({ ltp: 1, members: members as never });
    expect(publish).toThrow(expect.toSatisfy((error: unknown) => hasCode(error, 'ERR_INVALID_FIELD')));
  });
});

describe('words that no publisher of ours wrote', () => {
  /** Members of an annex with these bytes. */
  const read = (...bytes: number[]) => {
    const words = Buffer.alloc(16 + 8 * Math.ceil(bytes.length / 8));
    words.writeUInt16LE(bytes.length, 2);
    Buffer.from(bytes).copy(words, 16);
    return new AnnexView(
      new Int32Array(words.buffer, words.byteOffset, words.length / 4),
      0,
      words.length / 8,
    ).members();
  };
  const good = [1, 0x61, 3];

  test.each([
    ['a key that is empty', [0, 3]],
    ['a repeated key', [1, 0x61, 4]],
    ['a key that is no UTF-8', [1, 0xff, 3]],
    ['a text that is no UTF-8', [1, 0x62, 2, 2, 0xc3, 0x28]],
    ['a kind that does not exist', [1, 0x62, 9]],
    ['a key that goes beyond the end', [200, 0x62]],
    ['a text that goes beyond the end', [1, 0x62, 2, 200, 0x62]],
    ['a number without all its bytes', [1, 0x62, 1, 0, 0]],
    ['nothing behind a key', [1, 0x62]],
  ])('%s ends the members', (_, bad) => {
    expect(read(...good, ...bad, 1, 0x63, 3)).toEqual({ a: true });
  });

  test('names that objects have anyway are names as any other', () => {
    const name = Buffer.from('toString');
    expect(read(name.length, ...name, 4)).toEqual({ toString: false });
  });
});

describe('the last value of another source', () => {
  test('says how old it is, and is published as of then', () => {
    const reader = ring.subscriber();
    const before = Number(process.hrtime.bigint());
    ring.publisher().publishMarketData('TCS', { ltp: 1, ageMs: 4000, oldestAgeMs: 9000 });
    const after = Number(process.hrtime.bigint());
    const tick = reader.poll().at(0);
    expect(tick).toMatchObject({ ageMs: 4000, oldestAgeMs: 9000, ltp: 1 });
    expect(tick!.publishNs).toBeGreaterThanOrEqual(before - 4e9);
    expect(tick!.publishNs).toBeLessThanOrEqual(after - 4e9);
    expect(tick!.toTick()).toMatchObject({ ageMs: 4000, oldestAgeMs: 9000 });
  });

  test('is no younger than its newest value, and may be of an age that nobody knows', () => {
    expect(passed({ ltp: 1, ageMs: 4000 })).toMatchObject({ ageMs: 4000, oldestAgeMs: 4000 });
    expect(passed({ ltp: 1, ageMs: 4000, oldestAgeMs: 1 })).toMatchObject({ oldestAgeMs: 4000 });
    expect(passed({ ltp: 1, ageMs: Infinity })).toMatchObject({ ageMs: 2 ** 32 - 1 });
  });

  test('does not make its publisher look alive or dead', () => {
    const publisher = ring.publisher();
    publisher.publishMarketData('TCS', { ltp: 1 });
    const newest = () => ring.subscriber().ringStats().publishers[0]!.lastPublishNs;
    const live = newest();
    publisher.publishMarketData('TCS', { ltp: 1, ageMs: 60_000 });
    expect(newest()).toBe(live);
  });

  test.each([-1, Number.NaN, '4000'])('with an age of %j is refused', (ageMs) => {
    expect(() => passed({ ltp: 1, ageMs: ageMs as number })).toThrow(/ageMs is .*expected ms/);
  });
});

test('a book without levels is one only if the tick says so', () => {
  expect(passed({ type: 3, ltp: 1 })?.depth).toBeUndefined();
  expect(passed({ ltp: 1, depth: { buy: [], sell: [] } })).toMatchObject({ type: 3, depth: { buy: [], sell: [] } });
});
