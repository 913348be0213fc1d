import { afterEach, describe, expect, test } from 'vitest';
import { SharedMemoryBrokerAdapter } from '../../src/feeds/broker-adapter.ts';
import { InterestPublisher, type InterestChange } from '../../src/shm/interest.ts';
import { LockFreeRingBuffer } from '../../src/shm/ring-buffer.ts';
import { until } from '../shm/living.ts';

const name = `test-adapter-interest-${process.pid}`;
const open: (() => void)[] = [];

function adapter(): SharedMemoryBrokerAdapter {
  const made = new SharedMemoryBrokerAdapter('zerodha', { name });
  open.push(() => made.stop());
  return made;
}

function proxy(): InterestPublisher {
  const made = new InterestPublisher({ name });
  open.push(() => made.close());
  return made;
}

afterEach(() => {
  for (const close of open.splice(0)) close();
  for (const ring of [name, `${name}.interest`]) LockFreeRingBuffer.unlink(ring);
});

describe("a broker's adapter", () => {
  test('is told what clients want, and when they cease to', async () => {
    const told: [string, InterestChange][] = [];
    const broker = adapter();
    broker.on('subscribe', (change) => told.push(['subscribe', change]));
    broker.on('unsubscribe', (change) => told.push(['unsubscribe', change]));
    const clients = proxy();
    clients.set('NSE', 'RELIANCE', 1 << 3, 20);
    await until('the subscribe has come', () => told.length === 1);
    expect(broker.wanted()).toEqual([{ exchange: 'NSE', symbol: 'RELIANCE', mode: 3, depth: 20 }]);
    clients.set('NSE', 'RELIANCE', 0, 0);
    await until('the unsubscribe has come', () => told.length === 2);
    expect(told).toEqual([
      ['subscribe', { exchange: 'NSE', symbol: 'RELIANCE', mode: 3, depth: 20 }],
      ['unsubscribe', { exchange: 'NSE', symbol: 'RELIANCE', mode: 3, depth: 20 }],
    ]);
  });

  test('joins the interest only when it listens', async () => {
    const clients = proxy();
    clients.set('NSE', 'TCS', 1 << 1, 0);
    const broker = adapter().start();
    expect(broker.wanted()).toEqual([]);
    broker.once('subscribe', () => {});
    await until('the interest is known', () => broker.wanted().length === 1);
  });

  test('hears no more once it is stopped, and again once it is started', async () => {
    const told: string[] = [];
    const broker = adapter();
    broker.on('subscribe', ({ symbol }) => told.push(symbol));
    const clients = proxy();
    clients.set('NSE', 'TCS', 1 << 1, 0);
    await until('TCS is told', () => told.includes('TCS'));
    broker.stop();
    clients.set('NSE', 'INFY', 1 << 1, 0);
    expect(broker.wanted()).toEqual([]);
    broker.start();
    await until('both are told', () => broker.wanted().length === 2);
    expect(told).toContain('INFY');
  });
});
