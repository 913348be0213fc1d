import { afterEach, describe, expect, test } from 'vitest';
import { SimulatedFeed, type SimulatedFeedOptions } from '../../src/feeds/simulated.ts';
import { SimulatedMarket } from '../../src/feeds/market.ts';
import type { RingOptions } from '../../src/shm/options.ts';
import { SharedMemoryPublisher } from '../../src/shm/publisher.ts';
import { LockFreeRingBuffer } from '../../src/shm/ring-buffer.ts';
import { SharedMemorySubscriber } from '../../src/shm/subscriber.ts';
import { Listener } from './listener.ts';

const open: { close(): void | Promise<void> }[] = [];

afterEach(async () => {
  for (const handle of open.splice(0).reverse()) await handle.close();
});

function listen(ring: RingOptions = {}): Listener {
  const listener = new Listener('simulated', ring);
  open.push(listener);
  return listener;
}

function feed(listener: Listener, options: SimulatedFeedOptions = {}): SimulatedFeed {
  const made = new SimulatedFeed({ ...listener.ring, seed: 7, ...options });
  open.push({ close: () => made.stop() });
  return made;
}

describe('the simulated feed', () => {
  test('publishes the market, tick by tick, under its name', async () => {
    const now = () => Date.UTC(2025, 10, 3, 4, 0);
    const listener = listen({ policy: 'lossless' });
    const simulated = feed(listener, { rate: 'max', now }).start();
    await listener.until('2,000 ticks', ({ ticks }) => ticks.length >= 2000);
    await simulated.stop();
    const expected = new SimulatedMarket({ seed: 7, now }).take(2000);
    expect(listener.ticks.slice(0, 2000)).toEqual(expected);
    expect([...listener.publishers]).toEqual(['simulated']);
  });

  test('never publishes more than its rate allows', async () => {
    const listener = listen();
    const begun = performance.now();
    const simulated = feed(listener, { rate: 2000 }).start();
    await listener.until('300 ticks', ({ ticks }) => ticks.length >= 300);
    const { published } = simulated.counters;
    const allowed = 1 + ((performance.now() - begun) / 1000) * 2000;
    expect(published).toBeLessThanOrEqual(allowed);
  });

  test('sends its first tick at once even at a low rate, and can be stopped while it waits', async () => {
    const listener = listen();
    const simulated = feed(listener, { rate: 0.001 }).start();
    await listener.until('one tick', ({ ticks }) => ticks.length === 1);
    await simulated.stop();
    expect(simulated.counters.published).toBe(1);
  });

  test('leaves the event loop to others even at the highest rate', async () => {
    const listener = listen();
    const simulated = feed(listener, { rate: 'max' }).start();
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setTimeout(resolve, 1));
    expect(simulated.running).toBe(true);
    expect(simulated.counters.published).toBeGreaterThan(0);
  });

  test('makes books as deep as the ring that it finds', async () => {
    const listener = listen({ depthLevels: 20 });
    feed(listener, { depthLevels: 5, symbols: 1 }).start();
    await listener.until('one tick', ({ ticks }) => ticks.length > 0);
    expect(listener.ticks[0]?.depth?.buy).toHaveLength(20);
  });

  test('makes no books for a ring without levels', async () => {
    const listener = listen({ depthLevels: 0 });
    feed(listener, { symbols: 1 }).start();
    await listener.until('one tick', ({ ticks }) => ticks.length > 0);
    expect(listener.ticks[0]).toMatchObject({ type: 3, depth: { buy: [], sell: [] } });
  });

  test('waits for a slow reader of a lossless ring, and loses nothing', async () => {
    const listener = listen({ policy: 'lossless', bufferSize: 8192 });
    const simulated = feed(listener, { rate: 'max', symbols: 1 }).start();
    await listener.until('1,000 ticks', ({ ticks }) => ticks.length >= 1000);
    await simulated.stop();
    const { published, stalls } = simulated.counters;
    await listener.until('all that was published', ({ ticks }) => ticks.length === published);
    expect(stalls).toBeGreaterThan(0);
    const volumes = listener.ticks.map(({ volume }) => volume as number);
    expect(volumes.every((volume, i) => i === 0 || volume > (volumes[i - 1] as number))).toBe(true);
    expect(listener.stats.messagesLost).toBe(0);
  });

  test('can be stopped while it waits for a reader that never reads', async () => {
    const ring = { name: `test-simulated-full-${process.pid}`, policy: 'lossless', bufferSize: 8192 } as const;
    const reader = new SharedMemorySubscriber(ring).start();
    open.push({ close: () => void LockFreeRingBuffer.unlink(ring.name) }, reader);
    const simulated = new SimulatedFeed({ ...ring, rate: 'max' }).start();
    while (simulated.counters.stalls === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    await simulated.stop();
    expect(reader.poll().length).toBe(simulated.counters.published);
  });

  test('has the instruments that it was asked for', () => {
    const listener = listen();
    expect(feed(listener).instruments.map(({ symbol }) => symbol)).toContain('RELIANCE');
    expect(feed(listener, { symbols: 3000 }).instruments).toHaveLength(3000);
  });

  test.each([
    ['a rate of 0', { rate: 0 }],
    ['no symbols', { symbols: 0 }],
    ['a ring of no bytes', { bufferSize: 0 }],
  ])('refuses %s before anything is opened', (_what, options) => {
    const listener = listen();
    expect(() => feed(listener, options)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_OPTION' }));
    expect(listener.hasPublisher).toBe(false);
  });
});

describe('any feed', () => {
  test('gives its lane back when stopped, and is done', async () => {
    const listener = listen();
    const simulated = feed(listener).start();
    expect([simulated.running, listener.hasPublisher]).toEqual([true, true]);
    await simulated.stop();
    await simulated.done;
    expect([simulated.running, listener.hasPublisher]).toEqual([false, false]);
    await simulated.stop();
  });

  test('runs once', async () => {
    const listener = listen();
    const simulated = feed(listener).start();
    expect(() => simulated.start()).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }));
    await simulated.stop();
    expect(() => simulated.start()).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }));
  });

  test('can be stopped before it is started', async () => {
    const simulated = feed(listen());
    await simulated.stop();
    await simulated.done;
  });

  test('goes over to the ring that has its name now', async () => {
    const removed = listen();
    const simulated = feed(removed).start();
    await removed.until('one tick', ({ ticks }) => ticks.length > 0);
    LockFreeRingBuffer.unlink(removed.ring.name);
    const successor = listen();
    await successor.until('one tick', ({ ticks }) => ticks.length > 0);
    expect(simulated.running).toBe(true);
  });

  test('goes on with shorter books when that ring has less room for them', async () => {
    const removed = listen({ depthLevels: 5 });
    const simulated = feed(removed).start();
    const deepest = ({ ticks }: Listener): number => Math.max(...ticks.map(({ depth }) => depth?.buy.length ?? 0));
    await removed.until('a whole book', (listener) => deepest(listener) === 5);
    LockFreeRingBuffer.unlink(removed.ring.name);
    const successor = listen({ depthLevels: 2 });
    await successor.until('a book', (listener) => deepest(listener) > 0);
    expect([deepest(successor), simulated.running]).toEqual([2, true]);
  });

  test('says at its start that no lane is free, and may try again', async () => {
    const listener = listen({ lanes: 1 });
    const other = new SharedMemoryPublisher(listener.ring).start();
    const simulated = feed(listener);
    expect(() => simulated.start()).toThrow(expect.objectContaining({ code: 'ERR_NO_FREE_LANE' }));
    expect(simulated.running).toBe(false);
    other.stop();
    simulated.start();
    await listener.until('one tick', ({ ticks }) => ticks.length > 0);
  });
});
