import { afterEach, describe, expect, test } from 'vitest';
import { FIELDS, MODE, type DepthLevel, type FieldName, type Mode, type Tick } from '../../src/message.ts';
import { drain, TestRing } from './test-ring.ts';

const ring = new TestRing('tick-view');
afterEach(() => ring.end());

const NAMES = FIELDS.map(([name]) => name);

/** Numbers from a seed, so that a failure can be seen again: mulberry32. */
class Seeded {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  /** From 0 to below 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  below(limit: number): number {
    return Math.floor(this.next() * limit);
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }
}

/** Numbers that a field can hold, and that a mistake in copying would change. */
const SPECIAL = [0, -0, 1, -1, 0.1, 1e-300, -1e300, 2 ** 53 - 1, -(2 ** 53), 1_700_000_000_123, Number.MIN_VALUE];

function value(random: Seeded): number {
  return random.chance(0.2) ? SPECIAL[random.below(SPECIAL.length)]! : (random.next() - 0.5) * 1e7;
}

function side(random: Seeded, levels: number): DepthLevel[] {
  return Array.from({ length: levels }, () => ({
    price: value(random),
    quantity: value(random),
    orders: random.below(1000),
  }));
}

/** A tick of any subset of the fields, any mode, and a book of at most `depthLevels`. */
function anyTick(random: Seeded, depthLevels: number): Tick {
  const probability = random.chance(0.5) ? random.next() : random.below(2);
  const fields = NAMES.filter(() => random.chance(probability)).map((name) => [name, value(random)]);
  const type = (1 + random.below(3)) as Mode;
  const levels = (): number => random.below(depthLevels + 1);
  const hasDepth = type === MODE.DEPTH && random.chance(0.8);
  return {
    symbol: `SYMBOL${random.below(50)}`,
    exchange: ['NSE', 'NFO', 'MCX'][random.below(3)]!,
    type,
    ...Object.fromEntries(fields),
    ...(hasDepth ? { depth: { buy: side(random, levels()), sell: side(random, levels()) } } : {}),
  };
}

/** As a reader sees it. */
function seen(tick: Tick): Tick {
  return tick;
}

describe('a tick is read as it was published', () => {
  test.each(NAMES)('with %s alone', (name) => {
    const reader = ring.subscriber();
    const publisher = ring.publisher();
    for (const [type, number] of [1, 2, 3].flatMap((type) => SPECIAL.map((number) => [type, number] as const))) {
      const tick: Tick = { symbol: 'TCS', exchange: 'NSE', type: type as Mode, [name]: number };
      publisher.publishMarketData('TCS', tick);
      const view = reader.poll().at(0)!;
      expect(Object.is(view[name], number)).toBe(true);
      expect(NAMES.filter((other) => view[other] !== undefined)).toEqual([name]);
      expect(view.toTick()).toEqual(seen(tick));
    }
  });

  test('with every field, and with every field but one', () => {
    const reader = ring.subscriber();
    const publisher = ring.publisher();
    const all = Object.fromEntries(NAMES.map((name, i) => [name, (i + 1) * 1.5])) as Record<FieldName, number>;
    const expected: Tick[] = [{ symbol: 'TCS', exchange: 'NSE', type: 2, ...all }];
    for (const left of NAMES) {
      const { [left]: _, ...others } = all;
      expected.push({ symbol: 'TCS', exchange: 'NSE', type: 2, ...others });
    }
    for (const tick of expected) publisher.publishMarketData('TCS', tick);
    expect(drain(reader)).toEqual(expected);
  });

  test.each([0, 1, 5, 20])('with every number of levels on either side, on a ring for %i', (depthLevels) => {
    const reader = ring.subscriber({ depthLevels });
    const publisher = ring.publisher();
    const random = new Seeded(depthLevels + 1);
    for (const fields of [{}, { ltp: 1 }, { ltp: 1, open: 2 }, Object.fromEntries(NAMES.map((name, i) => [name, i]))]) {
      const expected: Tick[] = [];
      for (let buys = 0; buys <= depthLevels; buys++) {
        for (let sells = 0; sells <= depthLevels; sells += depthLevels > 5 ? 3 : 1) {
          const depth = { buy: side(random, buys), sell: side(random, sells) };
          expected.push({ symbol: 'TCS', exchange: 'NSE', type: 3, ...fields, depth });
        }
      }
      expect(publisher.publishBatch(expected)).toBe(expected.length);
      expect(drain(reader)).toEqual(expected);
    }
  });

  test('with books of 200 levels a side', () => {
    const reader = ring.subscriber({ depthLevels: 200 });
    const publisher = ring.publisher();
    const random = new Seeded(200);
    const levels = [200, 199, 128, 127, 1, 0];
    const expected = levels.flatMap((buys) =>
      levels.map((sells): Tick => {
        const depth = { buy: side(random, buys), sell: side(random, sells) };
        return { symbol: 'TCS', exchange: 'NSE', type: 3, exchangeTimestamp: buys, depth };
      }),
    );
    for (const tick of expected) publisher.publishMarketData('TCS', tick);
    expect(drain(reader)).toEqual(expected);
  });

  test.each([
    [5, 1024 * 1024],
    [5, 2048],
    [0, 2048],
    [20, 16_384],
    [200, 65_536],
  ])(
    'with any fields and levels, on a ring of depth %i and %i bytes, in turns of any length',
    (depthLevels, bufferSize) => {
      const reader = ring.subscriber({ depthLevels, bufferSize });
      const publisher = ring.publisher();
      const { capacity, longest } = reader.ringInfo!;
      for (let seed = 1; seed <= 20; seed++) {
        const random = new Seeded(seed * 7919 + depthLevels);
        for (let round = 0; round < 20; round++) {
          // No more than surely fit, so that nothing is lost.
          const most = Math.max(1, Math.min(300, Math.floor(capacity / longest)));
          const ticks = Array.from({ length: 1 + random.below(most) }, () => anyTick(random, depthLevels));
          if (random.chance(0.5)) publisher.publishBatch(ticks);
          else for (const tick of ticks) publisher.publishMarketData(tick.symbol, tick);
          expect(drain(reader), `seed ${seed}, round ${round}`).toEqual(ticks.map(seen));
        }
      }
      expect(reader.getStats()).toMatchObject({ messagesLost: 0, messagesCorrupt: 0, lag: 0 });
    },
  );
});

describe('the ticks of one poll', () => {
  const one = (i: number): Tick => ({ symbol: 'LTP', exchange: 'NSE', type: 1, ltp: i });
  const quote = (i: number): Tick => ({
    symbol: 'QUOTE',
    exchange: 'NSE',
    type: 2,
    ltp: i,
    open: i + 1,
    oi: i + 2,
    seq: i,
  });
  const book = (i: number, levels: number): Tick => {
    const sides = (by: number) =>
      Array.from({ length: levels }, (_, at) => ({ price: i + by * at, quantity: at, orders: i }));
    return { symbol: 'BOOK', exchange: 'NFO', type: 3, ltp: i, close: i, depth: { buy: sides(-1), sell: sides(1) } };
  };

  test('of every kind, one between the others, do not touch one another', () => {
    const reader = ring.subscriber();
    const ticks = Array.from({ length: 256 }, (_, i) => [one(i), quote(i), book(i, i % 6), one(-i)][i % 4]!);
    ring.publisher().publishBatch(ticks);
    const batch = reader.poll();
    expect(batch.length).toBe(256);
    // Backwards, and each twice: a view reads nothing that another has left.
    for (let i = 255; i >= 0; i--) {
      expect(batch.at(i)!.toTick()).toEqual(ticks[i]);
      expect(batch.at(i)!.depth).toEqual(ticks[i]!.depth);
      expect([batch.at(i)!.sequence, batch.at(i)!.ltp]).toEqual([i, ticks[i]!.ltp]);
    }
    expect(Array.from(batch, (view) => view.toTick())).toEqual(ticks);
  });

  test.each([0, 5, 200])('may be 256 of the longest that a ring of depth %i has, and no more', (depthLevels) => {
    const reader = ring.subscriber({ depthLevels, bufferSize: 8 * 1024 * 1024 });
    const all = Object.fromEntries(NAMES.map((name, i) => [name, i - 0.5]));
    const ticks = Array.from({ length: 300 }, (_, i): Tick => ({ ...book(i, depthLevels), ...all, turnover: i }));
    // Behind the levels of every second tick lies what says the names of its fields.
    ring.publisher().publishBatch(ticks.map((tick, i) => (i % 2 === 0 ? tick : { ...tick, synonyms: [1, 64] })));
    expect(Array.from(reader.poll(), (view) => view.toTick())).toEqual(ticks.slice(0, 256));
    expect(Array.from(reader.poll(1000), (view) => view.toTick())).toEqual(ticks.slice(256));
  });

  test('come from several lanes, each with its own names and sequences', () => {
    const reader = ring.subscriber();
    const publishers = ['a', 'b', 'c'].map((publisherName) => ring.publisher({ publisherName }));
    publishers.forEach((publisher, lane) => {
      for (let i = 0; i < 30; i++) {
        const symbol = `${'abc'[lane]}${(i * (lane + 1)) % 7}`;
        publisher.publishMarketData(symbol, i % 2 === 0 ? { ltp: i } : { ltp: i, low: lane });
      }
    });
    const counts = [0, 0, 0];
    for (const view of reader.poll()) {
      const lane = view.lane;
      const i = counts[lane]!++;
      expect([view.publisher, view.sequence, view.ltp]).toEqual(['abc'[lane], i, i]);
      expect([view.symbol, view.low]).toEqual([
        `${'abc'[lane]}${(i * (lane + 1)) % 7}`,
        i % 2 === 0 ? undefined : lane,
      ]);
    }
    expect(counts).toEqual([30, 30, 30]);
  });

  test('go around the end of the ring whole, wherever a message begins', () => {
    const reader = ring.subscriber({ bufferSize: 2048 });
    const publisher = ring.publisher();
    const { capacity } = reader.ringInfo!;
    expect(capacity).toBe(32);
    // One LTP tick more each round: the book begins at every line of the ring in turn.
    for (let round = 0; round < 3 * capacity; round++) {
      const ticks = [book(round, 5), one(round), quote(round)];
      publisher.publishBatch(ticks);
      if (round % 2 === 0) publisher.publishMarketData('LTP', one(-1));
      expect(drain(reader).slice(0, 3)).toEqual(ticks);
    }
    expect(reader.getStats().messagesLost).toBe(0);
  });
});

describe('a reader that stands still', () => {
  test('loses nothing of 10,000 LTP ticks on a default ring', () => {
    const reader = ring.subscriber();
    const publisher = ring.publisher();
    expect(reader.ringInfo).toMatchObject({ capacity: 16_384, stride: 64 });
    const topic = publisher.topic('RELIANCE');
    for (let i = 0; i < 10_000; i++) topic.ltp(i, { volume: i, ltt: i, timestamp: i });
    expect(drain(reader).map(({ ltp }) => ltp)).toEqual(Array.from({ length: 10_000 }, (_, i) => i));
    expect(reader.getStats()).toMatchObject({ messagesReceived: 10_000, messagesLost: 0 });
  });

  test('loses nothing of as many LTP ticks as the ring has lines, and counts what goes beyond', () => {
    const reader = ring.subscriber();
    const publisher = ring.publisher();
    const ticks = Array.from({ length: 16_384 }, (_, i): Tick => ({ symbol: `S${i % 900}`, ltp: i }));
    publisher.publishBatch(ticks);
    expect(drain(reader).length).toBe(16_384);
    expect(reader.getStats().messagesLost).toBe(0);
    publisher.publishBatch(ticks);
    publisher.publishMarketData('ONE-MORE', { ltp: 1 });
    const left = drain(reader);
    const { messagesReceived, messagesLost } = reader.getStats();
    expect(left.at(-1)).toMatchObject({ symbol: 'ONE-MORE' });
    expect(messagesLost).toBeGreaterThan(0);
    expect(messagesReceived + messagesLost).toBe(2 * 16_384 + 1);
  });

  test.each([2048, 4096, 16_384])(
    'counts exactly what it lost of ticks of every length, on a ring of %i bytes',
    (bufferSize) => {
      const reader = ring.subscriber({ bufferSize });
      const publisher = ring.publisher();
      const random = new Seeded(bufferSize);
      let published = 0;
      let last = -1;
      for (let round = 0; round < 60; round++) {
        const ticks = Array.from({ length: 1 + random.below(2 * reader.ringInfo!.capacity) }, () => anyTick(random, 5));
        for (const tick of ticks) tick.seq = published++;
        publisher.publishBatch(ticks);
        for (let batch = reader.poll(); batch.length > 0; batch = reader.poll()) {
          for (const view of batch) {
            // What is read is whole, in order, and is the tick of its sequence.
            expect(view.sequence).toBeGreaterThan(last);
            last = view.sequence;
            expect(view.seq).toBe(view.sequence);
            const index = view.sequence - (published - ticks.length);
            if (index >= 0) expect(view.toTick()).toEqual(seen(ticks[index]!));
          }
        }
        expect(last).toBe(published - 1);
        const { messagesReceived, messagesLost, messagesCorrupt } = reader.getStats();
        expect([messagesReceived + messagesLost, messagesCorrupt]).toEqual([published, 0]);
      }
      expect(reader.getStats().messagesLost).toBeGreaterThan(0);
    },
  );
});
