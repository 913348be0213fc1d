import { afterEach, expect, test } from 'vitest';
import { isSample } from '../../src/feeds/feed-log.ts';
import { LiveTicks, liveCounters } from '../../src/feeds/live-ticks.ts';
import type { Tick } from '../../src/message.ts';
import type { RingOptions } from '../../src/shm/options.ts';
import { SharedMemoryPublisher } from '../../src/shm/publisher.ts';
import { LockFreeRingBuffer } from '../../src/shm/ring-buffer.ts';
import { SharedMemorySubscriber } from '../../src/shm/subscriber.ts';

const name = `test-live-ticks-${process.pid}`;
const address = { exchange: 'NSE', symbol: 'TCS', mode: 1 } as const;
const open: (() => void)[] = [];

afterEach(() => {
  for (const close of open.splice(0)) close();
  LockFreeRingBuffer.unlink(name);
});

/** A feed into a ring with these options, and a reader that joined before it. */
function feed(options: RingOptions) {
  const ring = { ...options, name };
  const reader = new SharedMemorySubscriber(ring).start();
  const publisher = new SharedMemoryPublisher(ring).start();
  open.push(
    () => reader.close(),
    () => publisher.stop(),
  );
  const warnings: string[] = [];
  const counters = liveCounters();
  const offer = (tick: Tick): boolean => publisher.publishMarketData(tick.symbol, tick);
  const ticks = new LiveTicks(counters, () => 5, offer, { info: () => {}, warn: (message) => warnings.push(message) });
  return { reader, ticks, counters, warnings };
}

test('a full lossless ring costs ticks, which are counted, and holds nothing up', () => {
  const { reader, ticks, counters, warnings } = feed({ preset: 'spsc', bufferSize: 16 * 1024 });
  for (let i = 0; i < 1_000; i++) ticks.publish({ ltp: i }, address);
  expect(counters.published).toBeGreaterThan(0);
  expect(counters.dropped).toBe(1_000 - counters.published);
  expect(reader.poll().length).toBeGreaterThan(0);
  const before = counters.published;
  ticks.publish({ ltp: 1_000 }, address);
  expect(counters.published).toBe(before + 1);
  expect(warnings.length).toBeLessThan(5);
});

test('a topic for which the ring has no room costs its ticks, which are counted with the reason, and no others', () => {
  const { reader, ticks, counters, warnings } = feed({ topics: 2 });
  for (let i = 0; i < 12; i++) ticks.publish({ ltp: i }, { ...address, symbol: 'ABC'[i % 3]! });
  expect(counters).toMatchObject({ published: 8, dropped: 4, malformed: 0 });
  expect(Array.from(reader.poll(), ({ symbol, ltp }) => `${symbol}${ltp}`).join(' ')).toBe('A0 B1 A3 B4 A6 B7 A9 B10');
  expect(warnings).toEqual([expect.stringMatching(/has named 2 topics.*: 1 ticks dropped so far$/)]);
});

test('what happens often is shown the first, tenth, hundredth … time', () => {
  const shown = Array.from({ length: 10_000 }, (_, i) => i + 1).filter(isSample);
  expect(shown).toEqual([1, 10, 100, 1_000, 10_000]);
});
