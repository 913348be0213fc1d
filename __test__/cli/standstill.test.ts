import { afterEach, expect, test } from 'vitest';
import { standstillOf, standstillText } from '../../src/cli/standstill.ts';
import { SharedMemoryPublisher } from '../../src/shm/publisher.ts';
import { LockFreeRingBuffer } from '../../src/shm/ring-buffer.ts';
import { PacedPublisher } from './paced-publisher.ts';

const name = `test-standstill-${process.pid}`;
const started: { end(): void }[] = [];
afterEach(() => {
  for (const each of started.splice(0)) each.end();
  LockFreeRingBuffer.unlink(name);
});

async function watch(): Promise<Awaited<ReturnType<typeof standstillOf>>> {
  const ring = LockFreeRingBuffer.open(name);
  try {
    return await standstillOf(ring);
  } finally {
    ring.close();
  }
}

test('a ring to which nothing is published now says nothing, whatever was published before', async () => {
  const publisher = new SharedMemoryPublisher({ name }).start();
  started.push({ end: () => publisher.stop() });
  for (let ltp = 0; ltp < 1000; ltp++) publisher.publishMarketData('TCS', { ltp });
  expect(await watch()).toBeUndefined();
});

test('it is the lines of a lane at the rate of the busiest publisher', async () => {
  const ring = { name, bufferSize: 64 * 1024 };
  started.push(new PacedPublisher({ ...ring, publisherName: 'quiet' }, 400));
  started.push(new PacedPublisher({ ...ring, publisherName: 'busy' }, 4000));
  const found = (await watch())!;
  expect(found).toMatchObject({ ring: name, publisher: 'busy' });
  expect(found.linesPerSecond).toBeGreaterThan(0);
  expect(found.seconds).toBeCloseTo(1024 / found.linesPerSecond, 6);
  expect(standstillText(found)).toMatch(/^at [\d.]+( k)? lines\/s of busy a reader may stand still for [\d.]+ m?s$/);
});

test('ticks that take more lines leave less time', async () => {
  const publisher = new SharedMemoryPublisher({ name, publisherName: 'books' }).start();
  const side = Array.from({ length: 5 }, () => ({ price: 1, quantity: 1 }));
  const timer = setInterval(() => publisher.publishMarketData('TCS', { depth: { buy: side, sell: side } }), 5);
  started.push({ end: () => (clearInterval(timer), publisher.stop()) });
  const before = publisher.getStats().messagesPublished;
  const { linesPerSecond } = (await watch())!;
  // Six lines a book; at most 200 books a second.
  const published = publisher.getStats().messagesPublished - before;
  expect(linesPerSecond).toBeGreaterThan(2 * published);
  expect(linesPerSecond).toBeLessThan(6 * 300);
});
