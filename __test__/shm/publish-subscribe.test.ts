import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, test } from 'vitest';
import { fieldNames } from '../../src/shm/native-binding.ts';
import { FIELDS, type MarketData, type Tick } from '../../src/message.ts';
import { InterestPublisher } from '../../src/shm/interest.ts';
import { SharedMemoryPublisher, type PublisherOptions } from '../../src/shm/publisher.ts';
import { LockFreeRingBuffer } from '../../src/shm/ring-buffer.ts';
import { SharedMemorySubscriber, type SubscriberOptions } from '../../src/shm/subscriber.ts';

const name = `test-publish-${process.pid}`;
const open: { close(): void }[] = [];

function publisher(options: PublisherOptions = {}): SharedMemoryPublisher {
  const made = new SharedMemoryPublisher({ name, ...options }).start();
  open.push({ close: () => made.stop() });
  return made;
}

function subscriber(options: SubscriberOptions = {}): SharedMemorySubscriber {
  const made = new SharedMemorySubscriber({ name, ...options }).start();
  open.push(made);
  return made;
}

afterEach(() => {
  for (const handle of open.splice(0)) handle.close();
  LockFreeRingBuffer.unlink(name);
});

const full: Tick = {
  symbol: 'NIFTY28APR2425000CE',
  exchange: 'NFO',
  type: 3,
  ...Object.fromEntries(FIELDS.map(([field], index) => [field, index * 1000.05 - 7])),
  depth: {
    buy: [
      { price: 150.2, quantity: 5, orders: 1 },
      { price: 150.15, quantity: 140, orders: 2 },
    ],
    sell: [{ price: 150.25, quantity: 0.5, orders: 0 }],
  },
};

describe('a published tick', () => {
  test('arrives with every field, its book and its publisher', () => {
    const reader = subscriber();
    publisher({ publisherName: 'zerodha' }).publishMarketData(full.symbol, full);
    const batch = reader.poll();
    expect(batch.length).toBe(1);
    expect(batch.at(0)!.toTick()).toEqual(full);
    expect(batch.at(0)!.publisher).toBe('zerodha');
    expect(batch.at(0)!.sequence).toBe(0);
    expect(batch.at(1)).toBeUndefined();
  });

  test('keeps absent fields absent', () => {
    const reader = subscriber();
    publisher().publishMarketData('RELIANCE', { ltp: 150.25 });
    expect(reader.poll().at(0)!.toTick()).toEqual({ symbol: 'RELIANCE', exchange: 'NSE', type: 1, ltp: 150.25 });
  });

  test.each([
    ['LTP', { ltp: 1, volume: 2, ltt: 3, timestamp: 4, seq: 5 }, 1],
    ['quote', { ltp: 1, open: 2 }, 2],
    ['depth', { depth: { buy: [], sell: [] } }, 3],
  ] satisfies [string, MarketData, number][])('without a type is taken for %s by what it carries', (_, data, mode) => {
    const reader = subscriber();
    publisher().publishMarketData('TCS', data);
    expect(reader.poll().at(0)!.mode).toBe(mode);
  });

  test('may have a symbol of 48 bytes, no more', () => {
    const reader = subscriber();
    const writer = publisher();
    writer.publishMarketData('S'.repeat(48), { ltp: 1 });
    expect(reader.poll().at(0)!.symbol).toBe('S'.repeat(48));
    expect(() => writer.publishMarketData('S'.repeat(49), { ltp: 1 })).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_SYMBOL', message: expect.stringContaining('49 bytes') }),
    );
  });

  test('has the symbol and the exchange that are given, before those inside', () => {
    const reader = subscriber();
    const writer = publisher({ exchange: 'BSE' });
    const data = { symbol: 'INSIDE', ltp: 1 };
    writer.publishMarketData('GIVEN', data);
    writer.publishMarketData('GIVEN', { ...data, exchange: 'NFO' });
    writer.publishBatch([data]);
    expect(Array.from(reader.poll(), ({ exchange, symbol }) => `${exchange}:${symbol}`)).toEqual([
      'BSE:GIVEN',
      'NFO:GIVEN',
      'BSE:INSIDE',
    ]);
  });

  class Own {
    symbol = 'TCS';
    ltp = 1;
    open = 2;
  }
  class Derived extends Own {
    get close(): number {
      return this.ltp + 2;
    }
  }
  test.each([
    ['a literal with names that are not ours', { symbol: 'TCS', open: 2, ltp: 1, colour: 'red', low: undefined }],
    ['spreading', { ...{ ltp: 1, open: 2 }, symbol: 'TCS' }],
    ['a class', new Own()],
    ['no prototype', Object.assign(Object.create(null) as object, { symbol: 'TCS', ltp: 1, open: 2 })],
    ['defaults', Object.create({ symbol: 'TCS', ltp: 0, open: 2 }, { ltp: { value: 1, enumerable: true } }) as object],
  ])('may be made of %s', (_, made) => {
    const reader = subscriber();
    publisher().publishBatch([made as Tick]);
    expect(reader.poll().at(0)!.toTick()).toEqual({ symbol: 'TCS', exchange: 'NSE', type: 2, ltp: 1, open: 2 });
  });

  test('may have getters, as what a subscriber reads has', () => {
    const reader = subscriber();
    const writer = publisher();
    writer.publishBatch([new Own(), new Derived(), new Own()]);
    expect(Array.from(reader.poll(), ({ close }) => close)).toEqual([undefined, 3, undefined]);
    writer.publishMarketData(full.symbol, full);
    expect(writer.publishBatch([reader.poll().at(0)! as Tick])).toBe(1);
    expect(reader.poll().at(0)!.toTick()).toEqual(full);
  });

  test('is stamped with the clock of process.hrtime', () => {
    const reader = subscriber();
    const before = Number(process.hrtime.bigint());
    publisher().publishMarketData('TCS', { ltp: 1 });
    const stamp = reader.poll().at(0)!.publishNs;
    expect(stamp).toBeGreaterThanOrEqual(before);
    expect(stamp).toBeLessThanOrEqual(Number(process.hrtime.bigint()));
  });
});

describe('a wrong tick is refused and nothing is published', () => {
  test.each([
    ['a string for a price', { ltp: '150' }, 'ERR_INVALID_FIELD'],
    ['NaN', { ltp: Number.NaN }, 'ERR_INVALID_FIELD'],
    ['null', { volume: null }, 'ERR_INVALID_FIELD'],
    ['an unknown mode', { type: 4, ltp: 1 }, 'ERR_INVALID_FIELD'],
    ['half a book', { depth: { buy: [] } }, 'ERR_INVALID_FIELD'],
    ['a level without price', { depth: { buy: [{ quantity: 1 }], sell: [] } }, 'ERR_INVALID_FIELD'],
    ['a book too deep', { depth: { buy: Array(6).fill({ price: 1, quantity: 1 }), sell: [] } }, 'ERR_BOOK_TOO_DEEP'],
    ['a negative synonym', { ltp: 1, synonyms: [-1] }, 'ERR_INVALID_FIELD'],
    ['a synonym that no bit stands for', { ltp: 1, synonyms: [0, 128] }, 'ERR_INVALID_FIELD'],
    ['half a synonym', { ltp: 1, synonyms: [1.5] }, 'ERR_INVALID_FIELD'],
    ['a synonym by name', { ltp: 1, synonyms: ['last_price'] }, 'ERR_INVALID_FIELD'],
    ['synonyms that are no list', { ltp: 1, synonyms: 3 }, 'ERR_INVALID_FIELD'],
    ['an exchange too long', { exchange: 'E'.repeat(17), ltp: 1 }, 'ERR_INVALID_SYMBOL'],
  ])('%s', (_, data, code) => {
    const reader = subscriber();
    const writer = publisher();
    expect(() => writer.publishMarketData('TCS', data as unknown as MarketData)).toThrow(
      expect.objectContaining({ code }),
    );
    expect(reader.poll().length).toBe(0);
    expect(writer.getStats().messagesPublished).toBe(0);
  });

  test('an empty symbol, a missing one, one with control characters', () => {
    const writer = publisher();
    for (const symbol of ['', undefined, 'A\nB'] as string[]) {
      expect(() => writer.publishMarketData(symbol, { ltp: 1 })).toThrow(
        expect.objectContaining({ code: 'ERR_INVALID_SYMBOL' }),
      );
    }
  });

  test('unless NaN is asked for: it travels', () => {
    const reader = subscriber();
    publisher({ nonFinite: 'pass' }).publishMarketData('TCS', { ltp: Number.NaN });
    expect(reader.poll().at(0)!.ltp).toBeNaN();
  });
});

describe('batches', () => {
  const ticks = Array.from({ length: 1000 }, (_, i): Tick => ({
    symbol: `S${i % 7}`,
    exchange: 'NSE',
    type: 1,
    ltp: i,
  }));

  test('arrive whole and in order', () => {
    const reader = subscriber();
    expect(publisher().publishBatch(ticks)).toBe(1000);
    const seen: Tick[] = [];
    for (let batch = reader.poll(); batch.length > 0; batch = reader.poll())
      for (const tick of batch) seen.push(tick.toTick());
    expect(seen).toEqual(ticks);
  });

  test('a faulty tick does not take those before it along', () => {
    const reader = subscriber();
    const writer = publisher();
    const faulty = [...ticks.slice(0, 70), { symbol: 'X', ltp: Number.NaN }];
    expect(() => writer.publishBatch(faulty)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_FIELD' }));
    expect(writer.getStats().messagesPublished).toBe(70);
    expect(reader.poll().length).toBe(70);
  });

  test('overwritten messages are counted exactly', () => {
    const reader = subscriber({ bufferSize: 32 * 1024 });
    publisher().publishBatch(ticks);
    let received = 0;
    for (let batch = reader.poll(); batch.length > 0; batch = reader.poll()) received += batch.length;
    const { messagesReceived, messagesLost } = reader.getStats();
    expect(messagesReceived).toBe(received);
    expect(messagesLost).toBeGreaterThan(0);
    expect(received + messagesLost).toBe(1000);
  });

  test('a lossless ring takes what has room and says so', () => {
    const reader = subscriber({ preset: 'spsc', bufferSize: 32 * 1024 });
    const writer = publisher();
    const capacity = reader.ringInfo!.capacity;
    expect(writer.publishBatch(ticks)).toBe(capacity);
    expect(writer.publishMarketData('TCS', { ltp: 1 })).toBe(false);
    expect(reader.poll(10).length).toBe(10);
    expect(writer.publishBatch(ticks)).toBe(10);
  });
});

describe('a subscriber', () => {
  test('is called with batches as they come', async () => {
    const reader = subscriber();
    const writer = publisher();
    const seen: number[] = [];
    const done = new Promise<void>((resolve) => {
      reader.onBatch((batch) => {
        for (const tick of batch) seen.push(tick.ltp!);
        if (seen.length >= 500) resolve();
      });
    });
    for (let i = 0; i < 500; i++) {
      writer.publishMarketData('TCS', { ltp: i });
      if (i % 50 === 0) await new Promise(setImmediate);
    }
    await done;
    expect(seen).toEqual(Array.from({ length: 500 }, (_, i) => i));
  });

  test('can be iterated, and the loop ends when it is closed', async () => {
    const reader = subscriber();
    const writer = publisher();
    writer.publishMarketData('TCS', { ltp: 1 });
    const seen: (number | undefined)[] = [];
    for await (const tick of reader) {
      seen.push(tick.ltp);
      if (seen.length < 3) writer.publishMarketData('TCS', { ltp: seen.length + 1 });
      else reader.close();
    }
    expect(seen).toEqual([1, 2, 3]);
  });

  test('that waits in a loop ends when it is closed from outside', async () => {
    const reader = subscriber();
    const ended = (async () => {
      for await (const _ of reader) throw new Error('nothing was published');
    })();
    await new Promise(setImmediate);
    reader.close();
    await ended;
  });

  test('sees nothing published before it, or what is still there if it asks', () => {
    const writer = publisher();
    writer.publishMarketData('TCS', { ltp: 1 });
    expect(subscriber().poll().length).toBe(0);
    expect(subscriber({ from: 'oldest' }).poll().length).toBe(1);
  });

  test('that may not create the ring attaches to one that is there, and to nothing else', () => {
    const exists = () => LockFreeRingBuffer.list().some((ring) => ring.name === name);
    expect(() => subscriber({ create: false })).toThrow(expect.objectContaining({ code: 'ERR_SHM_NOT_FOUND' }));
    expect(exists()).toBe(false);
    const writer = publisher({ depthLevels: 7 });
    const reader = subscriber({ create: false });
    writer.publishMarketData('TCS', { ltp: 1 });
    expect(reader.poll().at(0)!.ltp).toBe(1);
    new InterestPublisher({ name }).close();
    expect(() => subscriber({ name: `${name}.interest`, create: false })).toThrow(
      expect.objectContaining({ code: 'ERR_SHM_MISMATCH' }),
    );
  });

  test('knows when its ring was removed', () => {
    publisher();
    const reader = subscriber();
    expect(reader.isCurrent()).toBe(true);
    LockFreeRingBuffer.unlink(name);
    expect(reader.isCurrent()).toBe(false);
  });

  test('is seen by monitors with its name, and no longer once closed', () => {
    const reader = subscriber({ subscriberName: 'screen' });
    const other = subscriber();
    expect(other.ringStats().subscribers.map(({ name }) => name)).toEqual(['screen', 'subscriber']);
    reader.close();
    expect(other.ringStats().subscribers.map(({ name }) => name)).toEqual(['subscriber']);
  });
});

describe('life of the handles', () => {
  test('start and stop are idempotent, and publishing needs a start', () => {
    const writer = new SharedMemoryPublisher({ name });
    expect(() => writer.publishMarketData('TCS', { ltp: 1 })).toThrow(expect.objectContaining({ code: 'ERR_CLOSED' }));
    expect(writer.start().start()).toBe(writer);
    writer.publishMarketData('TCS', { ltp: 1 });
    writer.stop();
    writer.stop();
    expect(writer.getStats()).toMatchObject({ running: false, messagesPublished: 1 });
    expect(writer.getStats().avgLatencyNs).toBeGreaterThan(0);
  });

  test('cleanup removes the ring once', () => {
    const writer = publisher();
    expect(writer.cleanup()).toBe(true);
    expect(writer.cleanup()).toBe(false);
    expect(() => LockFreeRingBuffer.open(name)).toThrow(expect.objectContaining({ code: 'ERR_SHM_NOT_FOUND' }));
  });

  test('everything after close throws ERR_CLOSED', () => {
    const reader = subscriber();
    reader.close();
    reader.close();
    const closed = expect.objectContaining({ code: 'ERR_CLOSED' });
    expect(() => reader.poll()).toThrow(closed);
    expect(() => reader.getStats()).toThrow(closed);
    const ring = new LockFreeRingBuffer({ name });
    ring.close();
    ring.close();
    expect(() => ring.stats()).toThrow(closed);
  });

  test('a ninth publisher is told who has the lanes', () => {
    for (let i = 0; i < 8; i++) publisher({ publisherName: `broker${i}` });
    expect(() => publisher()).toThrow(
      expect.objectContaining({
        code: 'ERR_NO_FREE_LANE',
        message: expect.stringContaining(`broker7 (pid ${process.pid})`),
      }),
    );
  });
});

describe('wrong options', () => {
  test.each([
    ['a buffer of 0 bytes', { bufferSize: 0 }, 'ERR_INVALID_OPTION'],
    ['a buffer too small for two of the longest messages', { bufferSize: 1000 }, 'ERR_INVALID_OPTION'],
    ['a fraction of a lane', { lanes: 1.5 }, 'ERR_INVALID_OPTION'],
    ['201 levels', { depthLevels: 201 }, 'ERR_INVALID_OPTION'],
    ['a buffer too small for two books of 200 levels', { depthLevels: 200, bufferSize: 8192 }, 'ERR_INVALID_OPTION'],
    ['no topics', { topics: 0 }, 'ERR_INVALID_OPTION'],
    ['half a topic', { topics: 2.5 }, 'ERR_INVALID_OPTION'],
    ['more topics than any ring', { topics: 262_145 }, 'ERR_INVALID_OPTION'],
    ['a name with a slash', { name: 'a/b' }, 'ERR_SHM_NAME'],
    ['an empty name', { name: '' }, 'ERR_SHM_NAME'],
    ['an unknown policy', { policy: 'maybe' as 'lossless' }, 'ERR_INVALID_OPTION'],
  ])('%s', (_, options, code) => {
    expect(() => new LockFreeRingBuffer({ name, ...options })).toThrow(expect.objectContaining({ code }));
  });

  test.skipIf(process.platform !== 'linux')('who is refused a place keeps nothing of the ring', () => {
    const mappings = (): number => readFileSync('/proc/self/maps', 'utf8').split(`/${name}`).length;
    publisher({ lanes: 1, consumers: 1 });
    subscriber();
    const before = mappings();
    for (let attempt = 0; attempt < 5; attempt++) {
      expect(() => publisher()).toThrow(expect.objectContaining({ code: 'ERR_NO_FREE_LANE' }));
      expect(() => subscriber({ register: true })).toThrow(expect.objectContaining({ code: 'ERR_NO_FREE_CONSUMER' }));
    }
    expect(mappings()).toBe(before);
  });

  test('a second handle with other options is told both', () => {
    const ring = new LockFreeRingBuffer({ name });
    open.push(ring);
    expect(() => new LockFreeRingBuffer({ name, depthLevels: 20 })).toThrow(
      expect.objectContaining({ code: 'ERR_SHM_MISMATCH', message: expect.stringContaining('20 depth levels') }),
    );
    expect(subscriber({ depthLevels: 20 }).ringInfo!.depthLevels).toBe(5);
  });
});

test('the field table is the same in TypeScript and in the core', () => {
  expect(FIELDS.map(([, wire]) => wire)).toEqual(fieldNames());
});
