import { Unpackr } from 'msgpackr';
import { afterEach, describe, expect, test } from 'vitest';
import { SharedMemoryPublisher, type PublisherOptions } from '../../src/shm/publisher.ts';
import { LockFreeRingBuffer } from '../../src/shm/ring-buffer.ts';
import { ENTRY_INTS, MESSAGE_PACK, TickEncoder } from '../../src/shm/tick-encoder.ts';

// As a number, like JSON: by default this library reads 64-bit integers as BigInt.
const unpackr = new Unpackr({ int64AsType: 'number', mapsAsObjects: true });
const name = `test-encoder-${process.pid}`;
const open: { close(): void }[] = [];

function publisher(options: PublisherOptions = {}): SharedMemoryPublisher {
  const made = new SharedMemoryPublisher({ name, publisherName: 'zerodha', ...options }).start();
  open.push({ close: () => made.stop() });
  return made;
}

function encoder(): TickEncoder {
  const made = new TickEncoder({ name });
  open.push(made);
  return made;
}

interface Entry {
  topic: number;
  mode: number;
  message: { seq: number; data: Record<string, unknown>; [key: string]: unknown };
}

/** The frame's text, after checking that it is one whole, unmasked text frame. */
function textOf(frame: Buffer): string {
  expect(frame[0]).toBe(0x81);
  expect(frame[1]).toBe(126);
  expect(frame.readUInt16BE(2)).toBe(frame.length - 4);
  return frame.toString('utf8', 4);
}

function drain(from: TickEncoder): Entry[] {
  const count = from.drain();
  return Array.from({ length: count }, (_, i) => {
    const [topic, mode, offset, length] = from.entries.subarray(i * ENTRY_INTS) as unknown as number[];
    return { topic: topic!, mode: mode!, message: JSON.parse(textOf(from.arena.subarray(offset, offset! + length!))) };
  });
}

afterEach(() => {
  for (const handle of open.splice(0)) handle.close();
  LockFreeRingBuffer.unlink(name);
});

describe('an encoder', () => {
  test('encodes a tick once for each wanted mode up to its own, highest first', () => {
    const reader = encoder();
    const topic = reader.topic('NSE', 'TCS');
    reader.want(topic, 0b1110);
    const writer = publisher();
    writer.publishMarketData('TCS', { ltp: 1 });
    writer.publishMarketData('TCS', { ltp: 2, open: 1 });
    writer.publishMarketData('TCS', { ltp: 3, depth: { buy: [], sell: [] } });
    expect(
      drain(reader).map(({ mode, message }) => [mode, message['mode'], message.data['mode'], message.data['ltp']]),
    ).toEqual([
      [1, 1, 1, 1],
      [2, 2, 2, 2],
      [1, 1, 2, 2],
      [3, 3, 3, 3],
      [2, 2, 3, 3],
      [1, 1, 3, 3],
    ]);
  });

  test('gives nothing that nobody wants, and keeps counting', () => {
    const reader = encoder();
    const writer = publisher();
    for (const ltp of [1, 2, 3]) writer.publishMarketData('TCS', { ltp });
    expect(drain(reader)).toEqual([]);
    expect(reader.stats().messagesReceived).toBe(3);
    reader.want(reader.topic('NSE', 'TCS'), 0b10);
    writer.publishMarketData('TCS', { ltp: 4 });
    expect(drain(reader)[0]!.message.seq).toBe(4);
  });

  test('says who published what', () => {
    const reader = encoder();
    reader.wantExchange('*', 0b10);
    publisher({ publisherName: 'zerodha' }).publishMarketData('A', { ltp: 1 });
    publisher({ publisherName: 'angel' }).publishMarketData('B', { ltp: 1 });
    expect(drain(reader).map(({ message }) => [message['symbol'], message['broker']])).toEqual([
      ['A', 'zerodha'],
      ['B', 'angel'],
    ]);
  });

  test('gives all topics of a wanted exchange, known before or not', () => {
    const reader = encoder();
    reader.wantExchange('NFO', 0b10);
    const writer = publisher();
    writer.publishMarketData('A', { exchange: 'NSE', ltp: 1 });
    writer.publishMarketData('B', { exchange: 'NFO', ltp: 2 });
    const [entry, ...rest] = drain(reader);
    expect(rest).toEqual([]);
    expect(reader.topicName(entry!.topic)).toEqual({ exchange: 'NFO', symbol: 'B' });
    reader.wantExchange('NFO', 0);
    writer.publishMarketData('B', { exchange: 'NFO', ltp: 3 });
    expect(drain(reader)).toEqual([]);
  });

  test('writes the same message as MessagePack for who wants it', () => {
    const reader = encoder();
    const topic = reader.topic('NSE', 'TCS');
    reader.want(topic, (1 << 3) | (1 << (3 + MESSAGE_PACK)));
    publisher().publishMarketData('TCS', {
      ltp: 150.25,
      volume: 2 ** 40,
      change: -3,
      tradable: 1,
      depth: { buy: [{ price: 150.2, quantity: 5 }], sell: [] },
    });
    expect(reader.drain()).toBe(2);
    const frames = [0, 1].map((i) => {
      const [, variant, offset, length] = reader.entries.subarray(i * ENTRY_INTS) as unknown as number[];
      return { variant, frame: reader.arena.subarray(offset, offset! + length!) };
    });
    expect(frames.map(({ variant }) => variant)).toEqual([7, 3]);
    expect(frames[0]!.frame[0]).toBe(0x82);
    expect(unpackr.unpack(frames[0]!.frame.subarray(4))).toEqual(JSON.parse(textOf(frames[1]!.frame)));
    const snapshot = reader.snapshot(topic, 3 + MESSAGE_PACK)!;
    expect(unpackr.unpack(snapshot.subarray(4))).toMatchObject({ snapshot: true, data: { ltp: 150.25 } });
    expect(reader.snapshot(topic, 4)).toBeNull();
    expect(reader.snapshot(topic, 8)).toBeNull();
  });

  test('has the last tick of every topic as a snapshot with its age', () => {
    const reader = encoder();
    const topic = reader.topic('NSE', 'TCS');
    expect(reader.snapshot(topic, 1)).toBeNull();
    const writer = publisher();
    writer.publishMarketData('TCS', { ltp: 1, open: 9 });
    writer.publishMarketData('TCS', { ltp: 2 });
    reader.drain();
    const snapshot = (mode: 1 | 2 | 3): unknown => {
      const frame = reader.snapshot(topic, mode);
      return frame === null ? null : JSON.parse(textOf(frame));
    };
    expect(snapshot(1)).toMatchObject({ mode: 1, snapshot: true, age_ms: expect.any(Number), data: { ltp: 2 } });
    expect(snapshot(2)).toMatchObject({ mode: 2, snapshot: true, data: { ltp: 1, open: 9 } });
    expect(snapshot(3)).toBeNull();
  });

  test('drains a full ring in pieces without losing any', () => {
    const reader = encoder();
    reader.wantExchange('*', 0b10);
    const writer = publisher();
    writer.publishBatch(Array.from({ length: 1000 }, (_, i) => ({ symbol: 'TCS', ltp: i })));
    const seen: unknown[] = [];
    for (let entries = drain(reader); entries.length > 0; entries = drain(reader))
      seen.push(...entries.map(({ message }) => message.data['ltp']));
    expect(seen).toEqual(Array.from({ length: 1000 }, (_, i) => i));
    expect(reader.latency().count).toBe(1000);
  });

  test('rings once for any number of ticks, and again when armed', async () => {
    const reader = encoder();
    reader.wantExchange('*', 0b10);
    const writer = publisher();
    let rings = 0;
    const rung = new Promise<void>((resolve) => reader.onReady(() => (rings++, resolve())));
    for (let i = 0; i < 100; i++) writer.publishMarketData('TCS', { ltp: i });
    await rung;
    await new Promise((resolve) => setImmediate(resolve));
    expect(rings).toBe(1);
    expect(drain(reader).length).toBe(100);
    const again = new Promise<void>((resolve) => reader.onReady(resolve));
    writer.publishMarketData('TCS', { ltp: 1 });
    await again;
  });

  test('goes on with a ring that was created anew: topics and last values stay', () => {
    const reader = encoder();
    const topic = reader.topic('NSE', 'TCS');
    reader.want(topic, 0b10);
    const first = publisher();
    first.publishMarketData('TCS', { ltp: 1 });
    expect(drain(reader).length).toBe(1);
    first.cleanup();
    expect(reader.isCurrent()).toBe(false);
    publisher({ publisherName: 'angel', depthLevels: 20 }).publishMarketData('TCS', { ltp: 2 });
    reader.reattach();
    expect(reader.isCurrent()).toBe(true);
    expect(
      drain(reader).map(({ topic, message }) => [topic, message.seq, message.data['ltp'], message['broker']]),
    ).toEqual([[topic, 2, 2, 'angel']]);
  });

  test('ends no account with a ring that was created anew: what it left there unread is lost', () => {
    const reader = encoder();
    reader.wantExchange('*', 0b10);
    const first = publisher();
    const { capacity } = reader.ringInfo();
    const burst = Array.from({ length: 1000 }, (_, i) => ({ symbol: 'TCS', ltp: i }));
    let published = 0;
    for (; published < capacity; published += burst.length) first.publishBatch(burst);
    reader.drain();
    const { messagesReceived, messagesLost } = reader.stats();
    expect(messagesReceived).toBeGreaterThan(0);
    first.publishBatch(burst);
    first.cleanup();
    publisher().publishBatch(burst);
    reader.reattach();
    const after = reader.stats();
    expect(after.messagesReceived).toBe(messagesReceived);
    expect(after.messagesLost).toBeGreaterThan(messagesLost);
    expect(after.messagesReceived + after.messagesLost + after.lag).toBe(published + 2000);
    for (let left = 1; left > 0;) left = drain(reader).length;
    const end = reader.stats();
    expect(end).toMatchObject({ lag: 0, messagesLost: after.messagesLost });
    expect(end.messagesReceived + end.messagesLost).toBe(published + 2000);
  });

  test('finds a topic that has ticked or is wanted, and makes none of what it is asked for', () => {
    const reader = encoder();
    expect(reader.findTopic('NSE', 'TCS')).toBeUndefined();
    const wanted = reader.topic('NSE', 'TCS');
    reader.want(wanted, 0b10);
    expect(reader.findTopic('NSE', 'TCS')).toBe(wanted);
    publisher().publishMarketData('INFY', { ltp: 1 });
    reader.drain();
    const ticked = reader.findTopic('NSE', 'INFY')!;
    expect([...reader.ticked()]).toEqual([ticked]);
    expect([...reader.ticked(1)]).toEqual([]);
    reader.want(wanted, 0);
    expect(reader.findTopic('NSE', 'TCS')).toBeUndefined();
    expect(reader.topicName(wanted)).toBeUndefined();
    expect(reader.topicName(ticked)).toEqual({ exchange: 'NSE', symbol: 'INFY' });
  });
});
