import { describe, expect, test } from 'vitest';
import { SharedMemoryPublisher } from '../../src/shm/publisher.ts';
import { LockFreeRingBuffer } from '../../src/shm/ring-buffer.ts';
import { SharedMemorySubscriber } from '../../src/shm/subscriber.ts';
import type { Tick } from '../../src/message.ts';
import { readBlock } from '../../src/recording/block-reader.ts';
import { BlockWriter } from '../../src/recording/block-writer.ts';
import { crc32, portableCrc32 } from '../../src/recording/crc32.ts';

const CLOCK_MS = 1_700_000_000_000;
const BOOK = {
  buy: [{ price: 99.5, quantity: 10, orders: 2 }],
  sell: [
    { price: 100, quantity: 5, orders: 1 },
    { price: 100.5, quantity: 7, orders: 3 },
  ],
};
const TICKS: Tick[] = [
  { symbol: 'RELIANCE', exchange: 'NSE', type: 1, ltp: 1402.5, timestamp: 1_700_000_000_123 },
  { symbol: 'RELIANCE', exchange: 'NSE', type: 2, ltp: -37.63, volume: 2 ** 53 - 1, exchangeTimestamp: 5 },
  { symbol: 'TCS:50', exchange: 'BSE', type: 3, depth: BOOK },
  { symbol: 'नमस्ते', exchange: 'CRYPTO', type: 3, ltp: 0.1 + 0.2, depth: { buy: [], sell: [] } },
];

/** A block of ticks that have passed a ring. */
function blockOf(ticks: readonly Tick[], lost = 0): Buffer {
  const name = `test-format-${process.pid}`;
  const subscriber = new SharedMemorySubscriber({ name }).start();
  const publisher = new SharedMemoryPublisher({ name, publisherName: 'zerodha' }).start();
  try {
    publisher.publishBatch(ticks);
    const writer = new BlockWriter(CLOCK_MS);
    for (const view of subscriber.poll()) writer.add(view);
    return writer.take(lost);
  } finally {
    publisher.stop();
    subscriber.close();
    LockFreeRingBuffer.unlink(name);
  }
}

test('the checksum is that of zlib, with and without its help', () => {
  const check = Buffer.from('123456789');
  expect([crc32(check), portableCrc32(check), portableCrc32(Buffer.alloc(0))]).toEqual([0xcbf43926, 0xcbf43926, 0]);
});

describe('a block', () => {
  test('gives back every tick as it was, with its time and publisher', () => {
    const found = readBlock(blockOf(TICKS, 7));
    if (found.kind !== 'block') throw new Error(`it is ${found.kind}`);
    expect(found.block.lost).toBe(7);
    expect(found.block.ticks).toMatchObject(TICKS);
    expect(found.block.ticks.map((tick) => Object.keys(tick).length)).toEqual(
      TICKS.map((tick) => Object.keys(tick).length + 3),
    );
    for (const { recordedMs, publishNs, publisher } of found.block.ticks) {
      expect(publisher).toBe('zerodha');
      expect(recordedMs).toBe(CLOCK_MS + publishNs / 1e6);
    }
  });

  test('is known from any beginning of it as incomplete', () => {
    const block = blockOf(TICKS);
    for (let bytes = 0; bytes < block.length; bytes++) {
      expect(readBlock(block.subarray(0, bytes)).kind).toBe('incomplete');
    }
  });

  test('of which one bit was changed is never taken for one', () => {
    const block = blockOf(TICKS);
    for (let bit = 0; bit < block.length * 8; bit++) {
      const damaged = Buffer.from(block);
      damaged[bit >> 3]! ^= 1 << (bit & 7);
      expect(readBlock(damaged).kind).not.toBe('block');
    }
  });

  test('that lies about its contents under a sound checksum is damaged, not an exception', () => {
    const block = blockOf(TICKS);
    for (let at = 16; at < block.length; at++) {
      const lying = Buffer.from(block);
      lying[at] = 0xff;
      lying.writeUInt32LE(crc32(lying.subarray(16)), 12);
      expect(['block', 'damaged']).toContain(readBlock(lying).kind);
    }
  });

  test('that claims names beyond its end is damaged, wherever the claim would lead', () => {
    const block = Buffer.alloc(16 + 24);
    block.write('OATICKS1', 'latin1');
    block.writeUInt32LE(24, 8);
    block.writeUInt32LE(1, 16);
    for (const nameBytes of [1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff]) {
      block.writeUInt32LE(nameBytes, 16 + 20);
      block.writeUInt32LE(crc32(block.subarray(16)), 12);
      expect(readBlock(block).kind).toBe('damaged');
    }
  });

  test('has the bytes that the format describes', () => {
    const block = blockOf([{ symbol: 'A', exchange: 'B', ltp: 1.5 }]);
    const payload = block.subarray(16);
    expect(block.toString('latin1', 0, 8)).toBe('OATICKS1');
    expect(block.readUInt32LE(8)).toBe(payload.length);
    expect(payload.readUInt32LE(0)).toBe(1);
    expect(payload.readDoubleLE(8)).toBe(CLOCK_MS);
    expect([payload.readUInt16LE(16), payload.readUInt32LE(20)]).toEqual([3, 12]);
    expect(payload.toString('latin1', 24, 40)).toBe('\u0001B\u0001A\u0007zerodha\0\0\0\0\0'.slice(0, 16));
    const tick = payload.subarray(40);
    expect([...tick.subarray(0, 16)]).toEqual([1, 0, 0, 0, 0, 0, 1, 0, 2, 0, 0, 0, 1, 0, 0, 0]);
    expect(tick.readDoubleLE(24)).toBe(1.5);
    expect(tick.length).toBe(32);
  });
});
