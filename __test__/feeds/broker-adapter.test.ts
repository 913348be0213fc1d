import { existsSync, readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { hasCode } from '../../src/errors.ts';
import { SharedMemoryBrokerAdapter, type BrokerAdapterOptions } from '../../src/feeds/broker-adapter.ts';
import { LockFreeRingBuffer } from '../../src/shm/ring-buffer.ts';
import { Listener } from './listener.ts';

let listener: Listener;
const adapters: SharedMemoryBrokerAdapter[] = [];

beforeEach(() => {
  listener = new Listener('adapter');
});

afterEach(() => {
  for (const adapter of adapters.splice(0)) adapter.stop();
  listener.close();
});

function adapter(options: BrokerAdapterOptions = {}, brokerName = 'zerodha'): SharedMemoryBrokerAdapter {
  const made = new SharedMemoryBrokerAdapter(brokerName, { ...listener.ring, ...options });
  adapters.push(made);
  return made;
}

const arrived = (count: number) => listener.until(`${count} ticks`, ({ ticks }) => ticks.length >= count);

describe('a tick', () => {
  const kiteTicks = ['../shared/data/kite-ticker-full.json', '__test__/samples/kite-tick.json'];
  test.each(kiteTicks.filter(existsSync))("of Kite's own ticker arrives with every value (%s)", async (path) => {
    const raw = JSON.parse(readFileSync(path, 'utf8'));
    expect(adapter().publishTickData('INFY', raw, 'NSE')).toBe(true);
    await arrived(1);
    expect(listener.ticks).toEqual([
      {
        symbol: 'INFY',
        exchange: 'NSE',
        type: 3,
        tradable: 1,
        instrumentToken: raw.instrument_token,
        ltp: raw.last_price,
        lastQuantity: raw.last_quantity,
        averagePrice: raw.average_price,
        volume: raw.volume,
        totalBuyQuantity: raw.buy_quantity,
        totalSellQuantity: raw.sell_quantity,
        ...raw.ohlc,
        ltt: Date.parse(raw.last_trade_time),
        timestamp: Date.parse(raw.timestamp),
        oi: raw.oi,
        oiDayHigh: raw.oi_day_high,
        oiDayLow: raw.oi_day_low,
        change: raw.change,
        depth: raw.depth,
        // As the ticker wrote it, for clients of OpenAlgo's adapters.
        members: { mode: 'full', last_trade_time: raw.last_trade_time, timestamp: raw.timestamp },
      },
    ]);
  });

  test('is published under the broker’s name', async () => {
    adapter({}, 'angel').publishTickData('TCS', { ltp: 1 });
    await arrived(1);
    expect([...listener.publishers]).toEqual(['angel']);
  });

  test('may be of this package’s own form', async () => {
    adapter().publishTickData('TCS', { type: 2, ltp: 1, averagePrice: 2, prevClose: 3 });
    await arrived(1);
    expect(listener.ticks[0]).toMatchObject({ type: 2, ltp: 1, averagePrice: 2, prevClose: 3 });
  });

  test('is of the instrument in the call, then of that inside it, then of the default exchange', async () => {
    const broker = adapter({ exchange: 'BSE' });
    broker.publishTickData('TCS', { symbol: 'NSE:TCS', exchange: 'NSE', ltp: 1 }, 'NFO');
    broker.publishTickData('TCS', { symbol: 'NSE:TCS', exchange: 'NSE', ltp: 2 });
    broker.publishTickData('TCS', { ltp: 3 });
    await arrived(3);
    expect(listener.ticks.map(({ symbol, exchange }) => `${exchange}:${symbol}`)).toEqual([
      'NFO:TCS',
      'NSE:TCS',
      'BSE:TCS',
    ]);
  });

  test('may hold NaN and infinities, which travel as NaN', async () => {
    adapter().publishTickData('TCS', { ltp: Number.NaN, volume: Number.POSITIVE_INFINITY, oi: 'nan' });
    await arrived(1);
    expect(listener.ticks[0]).toMatchObject({ ltp: Number.NaN, volume: Number.NaN, oi: Number.NaN });
  });

  test('that is wrong is refused by name and counted, and the next one passes', async () => {
    const broker = adapter();
    const sixLevels = Array.from({ length: 6 }, () => ({ price: 1, quantity: 1 }));
    expect(() => broker.publishTickData('TCS', { last_price: 'high' })).toThrow(/last_price must be a number/);
    expect(() => broker.publishTickData('T'.repeat(49), { ltp: 1 })).toThrow(/symbol/);
    expect(() => broker.publishTickData('TCS', { bids: sixLevels })).toThrow(/6 levels/);
    expect(broker.publishTickData('TCS', { ltp: 1, weather: 'fine' })).toBe(true);
    await arrived(1);
    expect(broker.getStats()).toMatchObject({
      name: 'zerodha',
      running: true,
      messagesPublished: 1,
      ticksInvalid: 3,
      unknownKeys: { weather: 1 },
    });
  });

  test('that a full lossless ring has no room for is refused with false, and can be sent again', async () => {
    const lossless = new Listener('adapter-lossless', { policy: 'lossless', bufferSize: 4096 });
    const broker = adapter(lossless.ring);
    try {
      let published = 0;
      while (broker.publishTickData('TCS', { ltp: published })) published++;
      expect(broker.getStats()).toMatchObject({ messagesPublished: published, messagesRejected: 1, ticksInvalid: 0 });
      await lossless.until('the ring is empty', ({ ticks }) => ticks.length === published);
      expect(broker.publishTickData('TCS', { ltp: published })).toBe(true);
      await lossless.until('the last tick', ({ ticks }) => ticks.length === published + 1);
      expect(lossless.ticks.map(({ ltp }) => ltp)).toEqual(Array.from({ length: published + 1 }, (_, ltp) => ltp));
    } finally {
      broker.stop();
      lossless.close();
    }
  });
});

describe('a batch', () => {
  test('is published in order, each tick with the instrument inside it', async () => {
    const ticks = Array.from({ length: 150 }, (_, i) => ({ symbol: `S${i}`, exchange: 'NFO', last_price: String(i) }));
    expect(adapter().publishTicks(ticks)).toBe(150);
    await arrived(150);
    expect(listener.ticks).toEqual(ticks.map(({ symbol }, i) => ({ symbol, exchange: 'NFO', type: 1, ltp: i })));
  });

  test.each([
    ['without a symbol', { ltp: 1 }, /tick 1 of the batch has no symbol/],
    ['with a wrong value', { symbol: 'TCS', ltp: 'x' }, /ltp must be a number/],
  ])('with a tick %s is refused as a whole', (_what, wrong, message) => {
    const broker = adapter();
    expect(() => broker.publishTicks([{ symbol: 'TCS', ltp: 1 }, wrong])).toThrow(message);
    expect(broker.getStats()).toMatchObject({ messagesPublished: 0, ticksInvalid: 1 });
  });
});

describe('the adapter', () => {
  test('opens the ring with the first tick, not before', () => {
    const name = `test-adapter-lazy-${process.pid}`;
    const broker = adapter({ name });
    expect(() => LockFreeRingBuffer.open(name)).toThrow(expect.objectContaining({ code: 'ERR_SHM_NOT_FOUND' }));
    broker.publishTickData('TCS', { ltp: 1 });
    LockFreeRingBuffer.open(name).close();
    expect(broker.cleanup()).toBe(true);
    expect(() => LockFreeRingBuffer.open(name)).toThrow(expect.objectContaining({ code: 'ERR_SHM_NOT_FOUND' }));
    expect(broker.cleanup()).toBe(false);
  });

  test('gives its lane back when stopped, twice too, and takes one again with the next tick', async () => {
    const broker = adapter().start();
    expect(listener.hasPublisher).toBe(true);
    broker.stop();
    broker.stop();
    expect(listener.hasPublisher).toBe(false);
    broker.publishTickData('TCS', { ltp: 1 });
    await arrived(1);
    expect(listener.hasPublisher).toBe(true);
  });

  test('goes over to the ring that has its name now, and counts on', async () => {
    const broker = adapter();
    broker.publishTickData('TCS', { ltp: 1 });
    await arrived(1);
    LockFreeRingBuffer.unlink(listener.ring.name);
    const successor = new Listener('adapter');
    try {
      let published = 1;
      await successor.until('a tick in the new ring', ({ ticks }) => {
        broker.publishTickData('TCS', { ltp: published++ });
        return ticks.length > 0;
      });
      expect(broker.getStats()).toMatchObject({ name: 'zerodha', running: true, messagesPublished: published });
      expect([...successor.publishers]).toEqual(['zerodha']);
    } finally {
      broker.stop();
      successor.close();
    }
  });

  test.each(['', 5, undefined])('cannot have the name %j', (brokerName) => {
    expect(codeOf(() => new SharedMemoryBrokerAdapter(brokerName as string))).toBe('ERR_INVALID_ARGUMENT');
  });

  test('refuses options that make no sense, before anything is opened', () => {
    expect(codeOf(() => adapter({ bufferSize: 0 }))).toBe('ERR_INVALID_OPTION');
    expect(codeOf(() => adapter({ utcOffset: 'IST' }))).toBe('ERR_INVALID_OPTION');
  });
});

function codeOf(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    return (['ERR_INVALID_ARGUMENT', 'ERR_INVALID_OPTION'] as const).find((code) => hasCode(error, code)) ?? error;
  }
  return 'nothing was thrown';
}
