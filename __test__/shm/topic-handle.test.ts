import { afterEach, describe, expect, test } from 'vitest';
import { FIELDS, type DepthLevel, type MarketData, type MarketDepth } from '../../src/message.ts';
import type { SharedMemoryPublisher } from '../../src/shm/publisher.ts';
import type { TopicData, TopicHandle } from '../../src/shm/topic-handle.ts';
import { drain, TestRing } from './test-ring.ts';

const ring = new TestRing('topic-handle');
afterEach(() => ring.end());

const depth: MarketDepth = {
  buy: [
    { price: 150.2, quantity: 5, orders: 1 },
    { price: 150.15, quantity: 140, orders: 2 },
  ],
  sell: [{ price: 150.25, quantity: 0.5, orders: 0 }],
};
const everyField: TopicData = Object.fromEntries(FIELDS.map(([field], index) => [field, index * 1000.05 - 7]));

const throwing = (code: string) => expect.objectContaining({ code });

describe('a tick through a topic handle is the one that publishMarketData publishes', () => {
  test.each<[string, (topic: TopicHandle) => boolean, MarketData]>([
    ['a price', (topic) => topic.ltp(1402.5), { type: 1, ltp: 1402.5 }],
    ['a price of 0', (topic) => topic.ltp(0, { volume: 0 }), { type: 1, ltp: 0, volume: 0 }],
    [
      'a price with all that goes with it',
      (topic) => topic.ltp(1402.5, { volume: 5000, ltt: 1_700_000_000_000, timestamp: 1_700_000_000_123 }),
      { type: 1, ltp: 1402.5, volume: 5000, ltt: 1_700_000_000_000, timestamp: 1_700_000_000_123 },
    ],
    ['a price and its time', (topic) => topic.ltp(1, { timestamp: 2 }), { type: 1, ltp: 1, timestamp: 2 }],
    ['a quote', (topic) => topic.quote({ ltp: 1, open: 2 }), { type: 2, ltp: 1, open: 2 }],
    ['a quote with a price alone', (topic) => topic.quote({ ltp: 1 }), { type: 2, ltp: 1 }],
    ['a quote of every field', (topic) => topic.quote(everyField), { ...everyField, type: 2 }],
    ['a book', (topic) => topic.depth({ depth }), { type: 3, depth }],
    ['a book of every field', (topic) => topic.depth({ ...everyField, depth }), { ...everyField, type: 3, depth }],
    ['an empty book', (topic) => topic.depth({ depth: { buy: [], sell: [] } }), { depth: { buy: [], sell: [] } }],
  ])('%s', (_, throughHandle, data) => {
    const reader = ring.subscriber();
    const publisher = ring.publisher({ publisherName: 'zerodha' });
    expect(throughHandle(publisher.topic('RELIANCE', 'BSE'))).toBe(true);
    expect(publisher.publishMarketData('RELIANCE', { ...data, exchange: 'BSE' })).toBe(true);
    const batch = reader.poll();
    expect(batch.length).toBe(2);
    const [first, second] = [batch.at(0)!, batch.at(1)!];
    expect(first.toTick()).toEqual(second.toTick());
    expect(first.toTick()).toEqual({ type: 3, ...data, symbol: 'RELIANCE', exchange: 'BSE' });
    expect([first.publisher, first.lane, first.sequence]).toEqual(['zerodha', second.lane, second.sequence - 1]);
    expect(second.publishNs).toBeGreaterThanOrEqual(first.publishNs);
  });

  test('has the exchange of the publisher where none is given', () => {
    const reader = ring.subscriber();
    const publisher = ring.publisher({ exchange: 'MCX' });
    const [without, given] = [publisher.topic('GOLD'), publisher.topic('GOLD', 'NSE')];
    without.ltp(1);
    given.ltp(2);
    expect([without.exchange, without.symbol, given.exchange]).toEqual(['MCX', 'GOLD', 'NSE']);
    expect(drain(reader).map(({ exchange, ltp }) => [exchange, ltp])).toEqual([
      ['MCX', 1],
      ['NSE', 2],
    ]);
  });

  test('keeps nothing of the tick before it', () => {
    const reader = ring.subscriber();
    const topic = ring.publisher().topic('TCS');
    topic.depth({ ...everyField, depth });
    topic.ltp(1);
    topic.quote({ high: 2 });
    topic.ltp(3, { ltt: 4 });
    expect(drain(reader).slice(1)).toEqual([
      { symbol: 'TCS', exchange: 'NSE', type: 1, ltp: 1 },
      { symbol: 'TCS', exchange: 'NSE', type: 2, high: 2 },
      { symbol: 'TCS', exchange: 'NSE', type: 1, ltp: 3, ltt: 4 },
    ]);
  });

  test('names its topic once, whoever asks for it how often', () => {
    const publisher = ring.publisher();
    publisher.publishMarketData('TCS', { ltp: 1 });
    for (let i = 0; i < 3; i++) publisher.topic('TCS').ltp(i);
    publisher.topic('TCS', 'BSE').ltp(1);
    expect(ring.subscriber().ringStats().publishers).toMatchObject([{ topics: 2, messagesPublished: 5 }]);
  });

  test('of many topics carries the names that belong to it', () => {
    const reader = ring.subscriber();
    const publisher = ring.publisher();
    const names = Array.from({ length: 2000 }, (_, i) => [i % 3 === 0 ? 'BSE' : 'NSE', `S${i % 1500}`] as const);
    const topics = names.map(([exchange, symbol]) => publisher.topic(symbol, exchange));
    topics.forEach((topic, i) => topic.ltp(i));
    expect(drain(reader).map(({ exchange, symbol, ltp }) => [exchange, symbol, ltp])).toEqual(
      names.map(([exchange, symbol], i) => [exchange, symbol, i]),
    );
  });
});

describe('a wrong tick through a topic handle is refused as publishMarketData refuses it, and nothing is published', () => {
  const sixLevels = Array.from({ length: 6 }, () => ({ price: 1, quantity: 1 }));
  test.each<[string, (topic: TopicHandle) => unknown, unknown]>([
    ['NaN', (topic) => topic.ltp(Number.NaN), { ltp: Number.NaN }],
    ['an infinity', (topic) => topic.ltp(Infinity), { ltp: Infinity }],
    ['a string', (topic) => topic.ltp('1' as unknown as number), { ltp: '1' }],
    ['nothing', (topic) => topic.ltp(undefined as unknown as number), { ltp: null }],
    ['NaN for a volume', (topic) => topic.ltp(1, { volume: Number.NaN }), { ltp: 1, volume: Number.NaN }],
    ['a string for a time', (topic) => topic.ltp(1, { ltt: 'now' as unknown as number }), { ltp: 1, ltt: 'now' }],
    ['a date for a time', (topic) => topic.ltp(1, { timestamp: new Date(0) as unknown as number }), { timestamp: {} }],
    ['NaN in a quote', (topic) => topic.quote({ open: Number.NaN }), { open: Number.NaN }],
    ['half a book', (topic) => topic.depth({ depth: { buy: [] } as unknown as MarketDepth }), { depth: { buy: [] } }],
    [
      'a level without price',
      (topic) => topic.depth({ depth: { buy: [{} as DepthLevel], sell: [] } }),
      { depth: { buy: [{}], sell: [] } },
    ],
    [
      'a deep book',
      (topic) => topic.depth({ depth: { buy: [], sell: sixLevels } }),
      { depth: { buy: [], sell: sixLevels } },
    ],
  ])('%s', (what, throughHandle, data) => {
    const reader = ring.subscriber();
    const publisher = ring.publisher();
    const topic = publisher.topic('TCS');
    const code = what === 'a deep book' ? 'ERR_BOOK_TOO_DEEP' : 'ERR_INVALID_FIELD';
    expect(() => throughHandle(topic)).toThrow(throwing(code));
    expect(() => publisher.publishMarketData('TCS', data as MarketData)).toThrow(throwing(code));
    expect(reader.poll().length).toBe(0);
    expect(publisher.getStats().messagesPublished).toBe(0);
    expect(topic.ltp(1)).toBe(true);
    expect(drain(reader)).toEqual([{ symbol: 'TCS', exchange: 'NSE', type: 1, ltp: 1 }]);
  });

  test('unless NaN is asked for: it travels', () => {
    const reader = ring.subscriber();
    const topic = ring.publisher({ nonFinite: 'pass' }).topic('TCS');
    topic.ltp(Number.NaN, { volume: Infinity });
    topic.quote({ open: Number.NaN });
    const batch = reader.poll();
    expect([batch.at(0)!.ltp, batch.at(0)!.volume, batch.at(1)!.open]).toEqual([Number.NaN, Infinity, Number.NaN]);
  });
});

describe('a wrong name', () => {
  const wrong: [string, unknown, unknown][] = [
    ['an empty symbol', '', 'NSE'],
    ['a symbol of 49 bytes', 'S'.repeat(49), 'NSE'],
    ['a symbol of 17 letters of 3 bytes', '₹'.repeat(17), 'NSE'],
    ['a control character', 'A\nB', 'NSE'],
    ['a number for a symbol', 0, 'NSE'],
    ['no symbol', undefined, 'NSE'],
    ['null', null, 'NSE'],
    ['an empty exchange', 'TCS', ''],
    ['an exchange of 17 bytes', 'TCS', 'E'.repeat(17)],
    ['a number for an exchange', 'TCS', 1],
  ];

  test.each(wrong)('%s is refused by topic()', (_, symbol, exchange) => {
    const publisher = ring.publisher();
    expect(() => publisher.topic(symbol as string, exchange as string)).toThrow(throwing('ERR_INVALID_SYMBOL'));
    expect(ring.subscriber().ringStats().publishers[0]!.topics).toBe(0);
  });

  test.each(wrong)(
    '%s is refused by publishMarketData and publishBatch, also after other topics',
    (_, symbol, exchange) => {
      const reader = ring.subscriber();
      const publisher = ring.publisher();
      for (const known of ['A', 'B']) publisher.publishMarketData(known, { ltp: 1 });
      const tick = { symbol: symbol as string, exchange: exchange as string, ltp: 2 };
      expect(() => publisher.publishMarketData(tick.symbol, tick)).toThrow(throwing('ERR_INVALID_SYMBOL'));
      expect(() => publisher.publishBatch([tick])).toThrow(throwing('ERR_INVALID_SYMBOL'));
      expect(drain(reader).map(({ ltp }) => ltp)).toEqual([1, 1]);
    },
  );

  test('the longest names travel whole', () => {
    const reader = ring.subscriber();
    const publisher = ring.publisher();
    for (const [exchange, symbol] of [
      ['E'.repeat(16), 'S'.repeat(48)],
      ['₹'.repeat(5), '₹'.repeat(16)],
      ['€', 'é ü'],
    ] as const) {
      publisher.topic(symbol, exchange).ltp(1);
      expect(drain(reader)).toEqual([{ symbol, exchange, type: 1, ltp: 1 }]);
    }
  });
});

describe('the life of a topic handle', () => {
  const prices = (publisher: SharedMemoryPublisher, topics: TopicHandle[], from: number) =>
    topics.forEach((topic, i) => {
      topic.ltp(from + i);
      topic.quote({ open: from + i });
      topic.depth({ low: from + i, depth });
      publisher.publishMarketData(topic.symbol, { exchange: topic.exchange, high: from + i });
    });
  const seen = (topics: TopicHandle[], from: number) =>
    topics.flatMap(({ symbol, exchange }, i) => [
      { symbol, exchange, type: 1, ltp: from + i },
      { symbol, exchange, type: 2, open: from + i },
      { symbol, exchange, type: 3, low: from + i, depth },
      { symbol, exchange, type: 2, high: from + i },
    ]);

  test('begins with a publisher that was started', () => {
    const publisher = ring.publisher();
    publisher.stop();
    expect(() => publisher.topic('TCS')).toThrow(throwing('ERR_CLOSED'));
  });

  test('pauses while the publisher is stopped, and goes on when it is started again', () => {
    const reader = ring.subscriber();
    const publisher = ring.publisher();
    const topics = [publisher.topic('A'), publisher.topic('B', 'BSE'), publisher.topic('C')];
    prices(publisher, topics, 0);
    publisher.stop();
    for (const topic of topics) {
      expect(() => topic.ltp(1)).toThrow(throwing('ERR_CLOSED'));
      expect(() => topic.quote({ ltp: 1 })).toThrow(throwing('ERR_CLOSED'));
      expect(() => topic.depth({ depth })).toThrow(throwing('ERR_CLOSED'));
    }
    publisher.start();
    prices(publisher, topics.toReversed(), 10);
    expect(drain(reader)).toEqual([...seen(topics, 0), ...seen(topics.toReversed(), 10)]);
    expect(publisher.getStats()).toMatchObject({ messagesPublished: 24, messagesRejected: 0 });
  });

  test('goes on in a lane where another publisher has named other topics meanwhile', () => {
    const reader = ring.subscriber({ lanes: 1 });
    const publisher = ring.publisher();
    const mine = publisher.topic('MINE');
    mine.ltp(1);
    publisher.stop();
    const other = ring.publisher({ publisherName: 'other' });
    for (let i = 0; i < 10; i++) other.topic(`OTHER${i}`).ltp(i);
    other.stop();
    publisher.start();
    mine.ltp(2);
    publisher.topic('LATER').ltp(3);
    expect(drain(reader).map(({ symbol, ltp }) => `${symbol} ${ltp}`)).toEqual([
      'MINE 1',
      ...Array.from({ length: 10 }, (_, i) => `OTHER${i} ${i}`),
      'MINE 2',
      'LATER 3',
    ]);
  });

  test('goes on in the new segment after cleanup and start', () => {
    const before = ring.subscriber();
    const publisher = ring.publisher();
    const topics = [publisher.topic('A'), publisher.topic('B')];
    prices(publisher, topics, 0);
    publisher.cleanup();
    expect(() => topics[0]!.ltp(1)).toThrow(throwing('ERR_CLOSED'));
    publisher.start();
    const after = ring.subscriber();
    // In the other order, so that the numbers of the old segment would name the wrong topics.
    prices(publisher, topics.toReversed(), 10);
    expect(drain(before)).toEqual(seen(topics, 0));
    expect(drain(after)).toEqual(seen(topics.toReversed(), 10));
  });

  test('checks its name against the new segment, which may have room for fewer topics', () => {
    const publisher = ring.publisher();
    const topics = ['A', 'B', 'C'].map((symbol) => publisher.topic(symbol));
    publisher.cleanup();
    const reader = ring.subscriber({ topics: 2 });
    publisher.start();
    expect([topics[0]!.ltp(1), topics[1]!.ltp(2)]).toEqual([true, true]);
    expect(() => topics[2]!.ltp(3)).toThrow(throwing('ERR_TOO_MANY_TOPICS'));
    expect(() => topics[2]!.quote({ ltp: 3 })).toThrow(throwing('ERR_TOO_MANY_TOPICS'));
    expect(topics[0]!.ltp(4)).toBe(true);
    expect(drain(reader).map(({ symbol, ltp }) => [symbol, ltp])).toEqual([
      ['A', 1],
      ['B', 2],
      ['A', 4],
    ]);
  });

  test('has a full lossless ring say false and count, until there is room', () => {
    const reader = ring.subscriber({ preset: 'spsc', bufferSize: 2048, register: true });
    const publisher = ring.publisher();
    const topic = publisher.topic('TCS');
    const { capacity } = reader.ringInfo!;
    for (let i = 0; i < capacity; i++) expect(topic.ltp(i)).toBe(true);
    expect([topic.ltp(1), topic.quote({ open: 1 }), topic.depth({ depth })]).toEqual([false, false, false]);
    expect(publisher.getStats()).toMatchObject({ messagesPublished: capacity, messagesRejected: 3 });
    expect(reader.poll(1).length).toBe(1);
    expect([topic.depth({ depth }), topic.ltp(capacity), topic.ltp(1)]).toEqual([false, true, false]);
    expect(drain(reader).map(({ ltp }) => ltp)).toEqual(Array.from({ length: capacity }, (_, i) => i + 1));
    expect(publisher.getStats()).toMatchObject({ messagesPublished: capacity + 1, messagesRejected: 5 });
    const [lane] = reader.ringStats().publishers;
    expect(lane).toMatchObject({ messagesPublished: capacity + 1, messagesRejected: 5, topics: 1, topicsRefused: 0 });
  });

  test('shows in the figures of the publisher and of the ring', () => {
    const reader = ring.subscriber();
    const publisher = ring.publisher({ publisherName: 'zerodha' });
    const topic = publisher.topic('TCS');
    for (let i = 0; i < 100; i++) topic.ltp(i);
    topic.quote({ ltp: 1, open: 2 });
    topic.depth({ depth: { buy: Array(5).fill({ price: 1, quantity: 1 }), sell: [] } });
    expect(publisher.getStats()).toMatchObject({ messagesPublished: 102, messagesRejected: 0, running: true });
    expect(publisher.getStats().avgLatencyNs).toBeGreaterThan(0);
    expect(reader.ringStats().publishers).toMatchObject([
      // A line a price, two for the quote, and 15 words of levels in three lines behind the first.
      { publisher: 'zerodha', messagesPublished: 102, linesPublished: 100 + 2 + 4, topics: 1, topicsRefused: 0 },
    ]);
  });
});
