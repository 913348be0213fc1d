import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { RunningCommand, removeRings, until } from '../cli/running-command.ts';
import { pythonWith } from '../python.ts';
import { EventPublisher } from '../../src/shm/events.ts';
import { SharedMemoryPublisher } from '../../src/shm/publisher.ts';
import { Strategy } from './strategy.ts';

const python = pythonWith('openalgo');
const ring = `test-python-${process.pid}`;

let folder: string;
let proxy: RunningCommand;
let url: string;
let publisher: SharedMemoryPublisher;
let strategies: Strategy[];

async function serve(port = 0): Promise<void> {
  proxy = new RunningCommand([
    'serve',
    `--ring=${ring}`,
    `--port=${port}`,
    `--keys-file=${join(folder, 'keys')}`,
    '--log-level=warn',
  ]);
  url = (await proxy.says(/(ws:\S+);/))[1] as string;
}

async function strategy(key = 'good-key-of-alice', ...args: string[]): Promise<Strategy> {
  const made = new Strategy(python as string, url, key, ...args);
  strategies.push(made);
  return made;
}

const depth = {
  buy: [1, 2, 3, 4, 5].map((level) => ({ price: 100 - level, quantity: 10 * level, orders: level })),
  sell: [1, 2, 3, 4, 5].map((level) => ({ price: 100 + level, quantity: 10 * level, orders: level })),
};
const ticks = [
  { exchange: 'NSE', symbol: 'RELIANCE', type: 1, ltp: 1402.5, ltt: 1748426445000, timestamp: 1748426445123 },
  { exchange: 'NSE_INDEX', symbol: 'NIFTY', type: 1, ltp: 24077.8, timestamp: 1748426445123 },
  {
    exchange: 'NFO',
    symbol: 'NIFTY28APR2425000CE',
    type: 2,
    ltp: 101.5,
    open: 100,
    high: 103,
    low: 99,
    close: 100.5,
    volume: 4_294_967_296,
    lastQuantity: 75,
    averagePrice: 101.1,
    change: 1,
    changePercent: 0.99,
    timestamp: 1748426445123,
  },
  { exchange: 'NSE', symbol: 'SBIN', type: 3, ltp: 100, timestamp: 1748426445123, depth },
] as const;

/** Publishes until the strategy's callbacks have got some of each. */
const receivesAll = (one: Strategy): Promise<void> => one.receivesAll(() => publisher.publishBatch(ticks));

describe.skipIf(python === undefined)("OpenAlgo's own client for Python", { timeout: 180_000 }, () => {
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'openalgo-shm-'));
    writeFileSync(join(folder, 'keys'), 'good-key-of-alice alice\n');
  });

  beforeEach(async () => {
    strategies = [];
    publisher = new SharedMemoryPublisher({ name: ring, publisherName: 'zerodha' }).start();
    await serve();
  });

  afterEach(async () => {
    await Promise.all(strategies.map((one) => one.end()));
    await RunningCommand.endAll();
    publisher.stop();
    removeRings(ring);
  });

  afterAll(() => rmSync(folder, { recursive: true }));

  test('connects, subscribes in three modes, and its callbacks and getters have the values', async () => {
    const client = await strategy();
    expect(await client.connected()).toMatchObject({ ok: true });
    expect(client.process.output).toContain('Broker: zerodha | User: alice');
    client.tell('subscribe');
    await receivesAll(client);
    expect(await client.first('ltp')).toEqual({
      type: 'market_data',
      symbol: 'RELIANCE',
      exchange: 'NSE',
      mode: 1,
      data: { ltp: 1402.5, ltt: 1748426445000, timestamp: 1748426445123 },
    });
    expect(await client.first('quote')).toEqual({
      type: 'market_data',
      symbol: 'NIFTY28APR2425000CE',
      exchange: 'NFO',
      mode: 2,
      data: {
        ltp: 101.5,
        open: 100,
        high: 103,
        low: 99,
        close: 100.5,
        volume: 4_294_967_296,
        last_trade_quantity: 75,
        avg_trade_price: 101.1,
        change: 1,
        change_percent: 0.99,
        timestamp: 1748426445123,
      },
    });
    expect(await client.first('depth')).toMatchObject({
      symbol: 'SBIN',
      mode: 3,
      data: { ltp: 100, depth: { buy: depth.buy, sell: depth.sell } },
    });
    const values = await client.values();
    expect(values.ltp).toEqual({
      ltp: {
        NSE: { RELIANCE: { ltp: 1402.5, timestamp: 1748426445123 } },
        NSE_INDEX: { NIFTY: { ltp: 24077.8, timestamp: 1748426445123 } },
      },
    });
    expect(values.quotes).toMatchObject({
      quote: { NFO: { NIFTY28APR2425000CE: { open: 100, volume: 4_294_967_296 } } },
    });
    expect(values.depth).toMatchObject({
      depth: { NSE: { SBIN: { ltp: 100, buyBook: { 1: { price: 99, qty: 10, orders: 1 } } } } },
    });
  });

  test('receives no more once it has unsubscribed', async () => {
    const [leaving, staying] = [await strategy(), await strategy()];
    for (const one of [leaving, staying]) {
      await one.connected();
      one.tell('subscribe');
      await receivesAll(one);
    }
    leaving.tell('unsubscribe');
    await leaving.process.says('unsubscribed');
    await until('the proxy has one subscriber', async () => {
      const stats = (await (
        await fetch(`${url.replace('ws', 'http')}/stats`, { headers: { 'x-api-key': 'good-key-of-alice' } })
      ).json()) as { subscriptions: { total: number } };
      return stats.subscriptions.total === 4;
    });
    leaving.tell('reset');
    await receivesAll(staying);
    expect(await leaving.count()).toEqual({ ltp: 0, quote: 0, depth: 0 });
  });

  test('with a bad key fails with the message, without the five seconds that it can wait', async () => {
    const client = await strategy('a-key-that-nobody-knows', '--once');
    expect(await client.connected()).toEqual({ ok: false });
    const { output } = client.process;
    expect(output).toContain('Authentication failed: Invalid API key');
    // It gave up because the connection had ended, not because its own time had.
    expect(output.indexOf('Disconnected from')).toBeLessThan(output.indexOf('connected {'));
    expect(output).toContain('Disconnected from');
  });

  test('goes on after the proxy was killed and started again', async () => {
    const client = await strategy();
    await client.connected();
    client.tell('subscribe');
    await receivesAll(client);
    const { port } = new URL(url);
    await proxy.signal('SIGKILL');
    await client.process.says('Disconnected from');
    await serve(Number(port));
    await receivesAll(client);
  });

  test("receives its user's order updates", async ({ skip }) => {
    const client = await strategy();
    await client.connected();
    if (!(await client.subscribeOrders())) skip('this version of the client knows no order updates');
    const events = new EventPublisher({ name: ring });
    const update = { user_id: 'alice', mode: 'live', orderid: '240', order_status: 'complete', symbol: 'SBIN' };
    events.publish({ type: 'order_update', owners: ['alice'], update });
    expect(await client.order()).toEqual({ type: 'order_update', ...update });
    events.close();
  });
});
