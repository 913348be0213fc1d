import { describe, expect, test } from 'vitest';
import { SharedMemoryPublisher } from '../../src/shm/publisher.ts';
import { LockFreeRingBuffer } from '../../src/shm/ring-buffer.ts';
import { SharedMemorySubscriber } from '../../src/shm/subscriber.ts';
import type { Tick } from '../../src/message.ts';
import { readBlock, type Block } from '../../src/recording/block-reader.ts';
import { BlockWriter } from '../../src/recording/block-writer.ts';
import { crc32, portableCrc32, shiftedCrc32 } from '../../src/recording/crc32.ts';
import { BLOCK_SHAPE } from '../../src/recording/format.ts';
import { FrameScanner, type Part } from '../../src/recording/frame-scanner.ts';

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

/** The block that some bytes are, if they are one. */
function blockIn(bytes: Buffer): Block | undefined {
  const scanner = new FrameScanner(BLOCK_SHAPE);
  const parts: Part[] = [...scanner.push(bytes), ...scanner.end()];
  return parts.length === 1 && parts[0]!.kind === 'frame' ? readBlock(parts[0]!.bytes) : undefined;
}

test('the checksum is that of zlib, with and without its help', () => {
  const check = Buffer.from('123456789');
  expect([crc32(check), portableCrc32(check), portableCrc32(Buffer.alloc(0))]).toEqual([0xcbf43926, 0xcbf43926, 0]);
});

test('the checksum of two parts is made of theirs', () => {
  const bytes = Buffer.from(Array.from({ length: 5000 }, (_, index) => (index * 7919) % 251));
  for (const at of [0, 1, 7, 8, 9, 255, 256, 1024, 4095, 4999, 5000]) {
    const [first, second] = [crc32(bytes.subarray(0, at)), crc32(bytes.subarray(at))];
    expect((shiftedCrc32(first, bytes.length - at) ^ second) >>> 0).toBe(crc32(bytes));
    expect([crc32, portableCrc32].map((sum) => sum(bytes.subarray(at), first))).toEqual([crc32(bytes), crc32(bytes)]);
  }
});

describe('a block', () => {
  test('gives back every tick as it was, with its time and publisher', () => {
    const { ticks, lost } = blockIn(blockOf(TICKS, 7))!;
    expect(lost).toBe(7);
    expect(ticks).toMatchObject(TICKS);
    expect(ticks.map((tick) => Object.keys(tick).length)).toEqual(TICKS.map((tick) => Object.keys(tick).length + 3));
    for (const { recordedMs, publishNs, publisher } of ticks) {
      expect(publisher).toBe('zerodha');
      expect(recordedMs).toBe(CLOCK_MS + publishNs / 1e6);
    }
  });

  test('is known as soon as it is whole, and not before', () => {
    const block = blockOf(TICKS);
    for (let bytes = 0; bytes < block.length; bytes++) {
      const scanner = new FrameScanner(BLOCK_SHAPE);
      expect([...scanner.push(block.subarray(0, bytes))]).toEqual([]);
      expect([...scanner.push(block.subarray(bytes))]).toMatchObject([{ kind: 'frame', at: 0 }]);
      expect([...scanner.end()]).toEqual([]);
      expect(blockIn(block.subarray(0, bytes))).toBe(undefined);
    }
  });

  test('of which one bit was changed is never taken for one', () => {
    const block = blockOf(TICKS);
    for (let bit = 0; bit < block.length * 8; bit++) {
      const damaged = Buffer.from(block);
      damaged[bit >> 3]! ^= 1 << (bit & 7);
      expect(blockIn(damaged)).toBe(undefined);
    }
  });

  test('that lies about its contents under a sound checksum is damaged, not an exception', () => {
    const block = blockOf(TICKS);
    for (let at = 16; at < block.length; at++) {
      const lying = Buffer.from(block);
      lying[at] = 0xff;
      lying.writeUInt32LE(crc32(lying.subarray(16)), 12);
      expect(() => blockIn(lying)).not.toThrow();
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
      expect(blockIn(block)).toBe(undefined);
    }
  });

  test.each([
    ['more names than it says', 1, 3],
    ['fewer names than it says', 4, 3],
    ['sixteen million names of no letters', 3, 16_000_000],
  ])('of %s is damaged, and no name beyond those is made', (_what, said, bytes) => {
    const block = Buffer.alloc(16 + 24 + Math.ceil(bytes / 8) * 8);
    block.write('OATICKS1', 'latin1');
    block.writeUInt32LE(block.length - 16, 8);
    block.writeUInt16LE(said, 16 + 16);
    block.writeUInt32LE(bytes, 16 + 20);
    block.writeUInt32LE(crc32(block.subarray(16)), 12);
    expect(blockIn(block)).toBe(undefined);
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
