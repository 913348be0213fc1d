import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ZmqFeed } from '../../src/feeds/zmq.ts';
import type { Tick } from '../../src/message.ts';
import { EventReader, type RingEvent } from '../../src/shm/events.ts';
import { LockFreeRingBuffer } from '../../src/shm/ring-buffer.ts';
import { pythonWith } from '../python.ts';
import { LivingProcess, until } from '../shm/living.ts';
import { Listener } from './listener.ts';

const python = pythonWith('zmq');

let listener: Listener;
let feed: ZmqFeed;
let bus: LivingProcess;
let warnings: string[];

/** The ticks that the adapters have sent, without those that tried whether somebody listens. */
function ticks(): Tick[] {
  return listener.ticks.filter(({ symbol }) => symbol !== 'PROBE');
}

async function anotherAdapter(): Promise<LivingProcess> {
  const script = new URL('bus.py', import.meta.url).pathname;
  const adapter = new LivingProcess(python as string, [script, feed.endpoint as string]);
  await adapter.says('connected');
  const before = feed.counters.published;
  // A publisher drops what it sends before it knows of the subscriber.
  await until('it is heard', () => {
    adapter.tell('probe');
    return feed.counters.published > before;
  });
  return adapter;
}

async function sent(sample: string, count: number): Promise<Tick[]> {
  bus.tell(sample);
  await listener.until(`the ${count} ticks of ${sample}`, () => ticks().length >= count);
  return ticks();
}

beforeEach(async () => {
  warnings = [];
  listener = new Listener('zmq', { depthLevels: 50 });
  feed = new ZmqFeed({
    name: listener.ring.name,
    bind: 'tcp://127.0.0.1:0',
    log: { info: () => {}, warn: (message) => warnings.push(message) },
  }).start();
  await until('it is bound', () => feed.endpoint !== undefined);
});

afterEach(async () => {
  await feed.stop();
  listener.close();
  LockFreeRingBuffer.unlink(`${listener.ring.name}.events`);
});

describe.skipIf(python === undefined)("the feed of OpenAlgo's bus", () => {
  beforeEach(async () => {
    bus = await anotherAdapter();
  });

  afterEach(async () => {
    await bus.end();
  });

  test('publishes a full tick under each topic that it comes under', async () => {
    const [depth, quote, ltp] = await sent('zerodha', 3);
    const common = { symbol: 'SBIN', exchange: 'NSE', ltp: 625.5, ltt: 1748426445000, timestamp: 1748426445123 };
    const quoted = {
      volume: 1200345,
      lastQuantity: 25,
      averagePrice: 624.9,
      totalBuyQuantity: 5000,
      totalSellQuantity: 6000,
      open: 620,
      high: 630,
      low: 618.5,
      close: 621,
      oi: 0,
    };
    // What the adapter wrote in a form of its own: the time in seconds, the mode as text.
    const members = (mode: string) => ({ members: { ltt: 1748426445, mode } });
    expect(ltp).toEqual({ ...common, type: 1, ...members('ltp') });
    expect(quote).toEqual({ ...common, ...quoted, type: 2, ...members('full') });
    expect(depth).toMatchObject({ ...common, ...quoted, type: 3, ...members('full') });
    expect(depth?.depth?.buy[0]).toEqual({ price: 625.45, quantity: 100, orders: 1 });
    expect(depth?.depth?.sell).toHaveLength(5);
  });

  test('takes indices for their own exchange', async () => {
    const [tick] = await sent('zerodha-index', 1);
    expect(tick).toMatchObject({ exchange: 'NSE_INDEX', symbol: 'NIFTY', type: 2, change: 12.5, changePercent: 0.05 });
  });

  test('tells seconds from milliseconds', async () => {
    const [quote, depth] = await sent('angel', 2);
    expect(quote).toMatchObject({ ltt: 1748426445000, timestamp: 1748426445123, lastQuantity: 75 });
    expect(depth).toMatchObject({ oi: 7, upperCircuit: 700, lowerCircuit: 500 });
    const fyers = (await sent('fyers', 3)).at(-1);
    expect(fyers?.timestamp).toBe(1748426445000);
  });

  test('passes books of 20 and 50 levels on, without a price where there is none', async () => {
    const [dhan] = await sent('dhan', 1);
    expect(dhan).not.toHaveProperty('ltp');
    expect(dhan?.depth?.buy).toHaveLength(20);
    const fyers = (await sent('fyers', 2)).at(-1);
    expect(fyers?.symbol).toBe('TCS:50');
    expect(fyers?.depth?.sell).toHaveLength(50);
  });

  test('keeps underscores in symbols, fractions in quantities and reads books beside the other fields', async () => {
    const [tick] = await sent('delta', 1);
    expect(tick).toMatchObject({
      exchange: 'CRYPTO',
      symbol: 'SOL_INR',
      type: 3,
      totalBuyQuantity: 12.5,
      totalSellQuantity: 0.125,
      depth: { buy: [{ price: 14500, quantity: 0.5 }], sell: [{ price: 14501, quantity: 0.25 }] },
    });
  });

  test('reads the old topics with the broker before them', async () => {
    const old = await sent('old', 2);
    expect(old.map(({ exchange, symbol }) => `${exchange}:${symbol}`)).toEqual(['NSE_INDEX:BANKNIFTY', 'BSE:SENSEX']);
  });

  test('reads what Python writes where it has no number', async () => {
    const [tick] = await sent('not-a-number', 1);
    expect(tick).toMatchObject({ ltp: Number.NaN, high: Number.NaN, volume: 10 });
  });

  test('passes order updates on to whom they belong', async () => {
    const events: RingEvent[] = [];
    const reader = new EventReader({ name: listener.ring.name });
    reader.onEvent((event) => event.type === 'order_update' && events.push(event));
    bus.tell('orders');
    await until('both have come', () => events.length === 2);
    expect(events).toEqual([
      {
        type: 'order_update',
        owners: ['some_user'],
        update: expect.objectContaining({
          type: 'order_update',
          user_id: 'some_user',
          mode: 'live',
          broker: 'zerodha',
          orderid: '240',
          quantity: 65,
        }),
      },
      {
        type: 'order_update',
        owners: ['some_user'],
        update: expect.objectContaining({ user_id: 'some_user', mode: 'analyze', broker: 'sandbox', orderid: '241' }),
      },
    ]);
    reader.close();
  });

  test('passes over what is of no concern to clients, and counts it', async () => {
    bus.tell('others');
    await until('they are counted', () => feed.counters.margins === 1);
    expect(feed.counters).toMatchObject({ cacheInvalidations: 1, positions: 1, margins: 1, malformed: 0 });
    expect(ticks()).toEqual([]);
  });

  test('counts what is malformed, shows a sample, and goes on', async () => {
    bus.tell('raw NSE_TCS_LTP {"ltp":');
    bus.tell('raw NSE_TCS_LTP [1]');
    bus.tell('raw NSE_TCS_LTP {"ltp":"much"}');
    bus.tell('raw NONSENSE {}');
    bus.tell('raw NSE_TCS_LTP {"ltp":3500}');
    await listener.until('the sound one is there', () => ticks().length === 1);
    expect(feed.counters.malformed).toBe(4);
    expect(warnings).toEqual([expect.stringContaining('{"ltp":'), expect.stringContaining('ltp left out')]);
  });

  test('takes bursts of many adapters at once: what a reader could not keep up with is counted', async () => {
    const adapters = [bus, await anotherAdapter(), await anotherAdapter()];
    const before = feed.counters.published;
    for (const adapter of adapters) for (let i = 0; i < 100; i++) adapter.tell('zerodha');
    await until('all are published', () => feed.counters.published >= before + 900);
    await listener.until('all are read or lost', ({ stats }) => {
      return stats.messagesReceived + stats.messagesLost === feed.counters.published;
    });
    expect(feed.counters).toMatchObject({ malformed: 0, dropped: 0 });
    await Promise.all(adapters.slice(1).map((adapter) => adapter.end()));
  });
});

test('a feed that is stopped as soon as it is started ends', async () => {
  const brief = new ZmqFeed({ name: listener.ring.name, bind: 'tcp://127.0.0.1:0' }).start();
  await brief.stop();
  expect([brief.running, brief.endpoint]).toEqual([false, undefined]);
});

describe('a bus that is taken', () => {
  test('is said so, with what to do', async () => {
    const second = new ZmqFeed({ name: listener.ring.name, bind: feed.endpoint as string }).start();
    await expect(second.done).rejects.toMatchObject({
      code: 'ERR_PORT_IN_USE',
      message: expect.stringContaining('stop it, or bind elsewhere'),
    });
  });

  test.each(['nonsense', 'tcp://127.0.0.1', 'tcp://127.0.0.1:99999', 'http://127.0.0.1:5555', 'ipc://', ''])(
    'that is no address (%j) is refused before a ring is made',
    (bind) => {
      const name = `${listener.ring.name}-never`;
      expect(() => new ZmqFeed({ name, bind })).toThrow(expect.objectContaining({ code: 'ERR_INVALID_OPTION' }));
      expect(LockFreeRingBuffer.list().map((ring) => ring.name)).not.toContain(name);
    },
  );
});

test('a machine without the package zeromq is told how to get it', async () => {
  const alone = LivingProcess.script(new URL('without-zeromq.mjs', import.meta.url), [listener.ring.name]);
  await alone.says(/^ERR_NOT_INSTALLED .*npm install zeromq@6/m);
  await alone.end();
});
