import { afterEach, describe, expect, test } from 'vitest';
import { type Client, type Received, RunningProxy, until } from './running-proxy.ts';

let running: RunningProxy;
afterEach(() => running.stop());

const DEEP = {
  buy: Array.from({ length: 200 }, (_, i) => ({ price: 100 - i / 10, quantity: 1000 + i, orders: 10 })),
  sell: Array.from({ length: 200 }, (_, i) => ({ price: 100 + i / 10, quantity: 1000 + i, orders: 10 })),
};
const HIGH_WATER_MARK = 64 * 1024;
/** Enough to fill what the operating system keeps for a connection, many times over. */
const ROUNDS = 3_000;

async function startWith(
  options = {},
): Promise<{ slow: Client; fast: Client; publish: (ltp: number) => Promise<void> }> {
  running = await RunningProxy.start({
    highWaterMark: HIGH_WATER_MARK,
    snapshot: false,
    ring: { depthLevels: 200, bufferSize: 8 << 20 },
    ...options,
  });
  const publisher = running.publisher({ depthLevels: 200, bufferSize: 8 << 20 });
  const [slow, fast] = await Promise.all([running.client(), running.client()]);
  const symbols = ['A', 'B'].map((symbol) => ({ symbol, exchange: 'NSE' }));
  for (const client of [slow, fast]) await client.ask({ action: 'subscribe', symbols, mode: 3 });
  slow.webSocket.pause();
  return {
    slow,
    fast,
    publish: async (ltp) => {
      for (const symbol of ['A', 'B']) publisher.publishMarketData(symbol, { ltp, depth: DEEP });
      await until('the other client has it', () => lastPrice(fast, 'B') === ltp);
    },
  };
}

const lastPrice = (client: Client, symbol: string): unknown => {
  for (let i = client.received.length - 1; i >= 0; i--) {
    const message = client.received[i] as Received;
    if (message['symbol'] === symbol) return message.data?.['ltp'];
  }
  return undefined;
};

async function publishUntilConflated(publish: (ltp: number) => Promise<void>): Promise<number> {
  let ltp = 0;
  while (running.proxy.getStats().messages.conflated < 100 && ltp < ROUNDS) await publish(++ltp);
  return ltp;
}

describe('a client that stops reading', () => {
  test('costs bounded memory, and the others get everything in order', async () => {
    const { slow, fast, publish } = await startWith();
    const published = await publishUntilConflated(publish);
    const serverSide = running.proxy.getStats();
    expect(serverSide.clients.conflated).toBe(1);
    expect(serverSide.messages.conflated).toBeGreaterThanOrEqual(100);
    const prices = fast
      .ticks()
      .filter((tick) => tick['symbol'] === 'A')
      .map((tick) => tick.data?.['ltp']);
    expect(prices).toEqual(Array.from({ length: published }, (_, i) => i + 1));

    const conflated = serverSide.messages.conflated;
    slow.webSocket.resume();
    const skipped = await slow.nextOf('skipped');
    expect(skipped).toEqual({ type: 'skipped', count: conflated });
    expect([lastPrice(slow, 'A'), lastPrice(slow, 'B')]).toEqual([published, published]);
    expect(slow.ticks().length + conflated).toBe(2 * published);
    expect(running.proxy.getStats().clients.conflated).toBe(0);
  });

  test('gets its answers all the same, and every tick again once it has caught up', async () => {
    const { slow, publish } = await startWith();
    let ltp = await publishUntilConflated(publish);
    slow.send({ action: 'ping', _pingId: 'late' });
    slow.webSocket.resume();
    await until('the answer came', () => slow.received.some((message) => message['_pingId'] === 'late'));
    await slow.nextOf('skipped');
    const before = slow.ticks().length;
    for (let i = 0; i < 5; i++) await publish(++ltp);
    await until('it has them', () => lastPrice(slow, 'B') === ltp);
    expect(slow.ticks().length - before).toBe(10);
  });

  test('gets the newest ticks when the proxy stops, before it is closed', async () => {
    const { slow, publish } = await startWith({ closeTimeout: 20_000 });
    const published = await publishUntilConflated(publish);
    const stopped = running.proxy.stop();
    slow.webSocket.resume();
    expect(await slow.closed).toMatchObject({ code: 1001 });
    expect([lastPrice(slow, 'A'), lastPrice(slow, 'B')]).toEqual([published, published]);
    expect(slow.received.at(-1)).toMatchObject({ type: 'skipped' });
    await stopped;
  });

  test('gets nothing of what it has left meanwhile', async () => {
    const { slow, publish } = await startWith();
    const published = await publishUntilConflated(publish);
    slow.send({ action: 'unsubscribe', symbol: 'A', exchange: 'NSE' });
    await until('the proxy knows', () => running.proxy.getStats().subscriptions.total === 3);
    slow.webSocket.resume();
    await slow.nextOf('skipped');
    expect(lastPrice(slow, 'B')).toBe(published);
    expect(lastPrice(slow, 'A')).not.toBe(published);
  });

  test('is closed with 1013 after the timeout, and counted', async () => {
    const { slow, fast, publish } = await startWith({ slowClientTimeout: 1_000 });
    await publishUntilConflated(publish);
    await until('it is given up', () => running.proxy.getStats().refused.slow_client === 1);
    expect(running.proxy.getStats().subscriptions.total).toBe(2);
    slow.webSocket.resume();
    expect(await slow.closed).toEqual({ code: 1013, reason: 'too slow' });
    expect(fast.webSocket.readyState).toBe(fast.webSocket.OPEN);
  });

  test('and never takes its answers is not asked for more messages', async () => {
    const { slow } = await startWith({ limits: { messagesPerSecond: 1_000_000 } });
    const id = 'x'.repeat(250);
    let sent = 0;
    const received = (): number => running.proxy.getStats().messages.received;
    await until('the proxy takes no more', async () => {
      const before = received();
      for (let i = 0; i < 1_000; i++, sent++) slow.send({ action: 'ping', _pingId: id });
      await new Promise((resolve) => setTimeout(resolve, 2));
      return sent >= 20_000 && received() === before;
    });
    expect(received()).toBeLessThan(sent);
    slow.webSocket.resume();
    await until(
      'all were answered',
      () => slow.received.filter((message) => message['type'] === 'pong').length === sent,
    );
  });
});

test('a client that sends long lists and takes no answer is not read on', async () => {
  running = await RunningProxy.start({
    highWaterMark: HIGH_WATER_MARK,
    limits: { messagesPerSecond: 1_000_000, entriesPerSecond: 10_000_000 },
  });
  const client = await running.client();
  client.webSocket.pause();
  const symbols = Array.from({ length: 1_000 }, (_, index) => ({ exchange: 'NSE', symbol: `X${index}` }));
  const received = (): number => running.proxy.getStats().messages.received;
  let sent = 0;
  await until('the proxy takes no more', async () => {
    const before = received();
    for (let i = 0; i < 5; i++, sent++) client.send({ action: sent % 2 === 0 ? 'subscribe' : 'unsubscribe', symbols });
    await new Promise((resolve) => setTimeout(resolve, 100));
    return sent >= 200 && received() === before;
  });
  expect(received()).toBeLessThan(sent);
  expect(running.proxy.getStats().clients.furthest_behind[0]?.backlog_bytes).toBeLessThan(1 << 20);
  client.webSocket.resume();
  await until('all were answered', () => client.received.length === sent);
});

test('a client with compression gets the same ticks, one message each', async () => {
  running = await RunningProxy.start({ perMessageDeflate: true, snapshot: false });
  const publisher = running.publisher();
  const [compressed, plain] = await Promise.all([
    running.client('/', { perMessageDeflate: { threshold: 0 } }),
    running.client('/', { perMessageDeflate: false }),
  ]);
  expect([compressed.webSocket.extensions, plain.webSocket.extensions]).toEqual(['permessage-deflate', '']);
  for (const client of [compressed, plain]) {
    await client.ask({ action: 'subscribe', symbol: 'SBIN', exchange: 'NSE', mode: 1 });
  }
  for (let i = 1; i <= 200; i++) publisher.publishMarketData('SBIN', { ltp: i });
  await until('all came', () => [compressed, plain].every((client) => lastPrice(client, 'SBIN') === 200));
  expect(compressed.ticks()).toEqual(plain.ticks());
});
