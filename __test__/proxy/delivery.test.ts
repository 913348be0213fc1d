import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { SharedMemoryPublisher } from '../../src/shm/publisher.ts';
import { type Client, type Received, RunningProxy, until } from './running-proxy.ts';

let running: RunningProxy;
let publisher: SharedMemoryPublisher;

beforeEach(async () => {
  running = await RunningProxy.start({ snapshot: false });
  publisher = running.publisher();
});
afterEach(() => running.stop());

const book = { buy: [{ price: 99, quantity: 5, orders: 1 }], sell: [{ price: 101, quantity: 6, orders: 2 }] };
const LTP = { type: 1, ltp: 100 } as const;
const QUOTE = { type: 2, ltp: 100, open: 98 } as const;
const DEPTH = { type: 3, ltp: 100, depth: book } as const;

/** The ticks that came, each as mode and symbol, once a last tick to everybody has come. */
async function after(...clients: Client[]): Promise<void> {
  for (const client of clients) client.send({ action: 'subscribe', symbol: 'LAST', exchange: 'TEST', mode: 1 });
  for (const client of clients) await client.settle();
  publisher.publishMarketData('LAST', { ...LTP, exchange: 'TEST' });
  for (const client of clients) {
    await until('the last tick came', () => client.ticks().some((tick) => tick['symbol'] === 'LAST'));
  }
}

const brief = (client: Client): string[] =>
  client
    .ticks()
    .filter((tick) => tick['symbol'] !== 'LAST')
    .map((tick) => `${String(tick['symbol'])}:${String(tick['mode'])}`);

async function subscriber(mode: number | undefined, symbol = 'SBIN', extra = {}): Promise<Client> {
  const client = await running.client();
  await client.ask({ action: 'subscribe', symbol, exchange: 'NSE', ...(mode !== undefined && { mode }), ...extra });
  return client;
}

describe('who gets a tick', () => {
  test('a tick goes to the subscribers of its mode and of lower ones, each in its own mode', async () => {
    const clients = await Promise.all([subscriber(1), subscriber(2), subscriber(3)]);
    for (const tick of [LTP, QUOTE, DEPTH]) publisher.publishMarketData('SBIN', tick);
    await after(...clients);
    expect(clients.map(brief)).toEqual([['SBIN:1', 'SBIN:1', 'SBIN:1'], ['SBIN:2', 'SBIN:2'], ['SBIN:3']]);
  });

  test('a client of several modes gets a tick once, in the highest that fits', async () => {
    const client = await subscriber(1);
    await client.ask({ action: 'subscribe', symbol: 'SBIN', exchange: 'NSE', mode: 3 });
    for (const tick of [LTP, QUOTE, DEPTH]) publisher.publishMarketData('SBIN', tick);
    await after(client);
    expect(brief(client)).toEqual(['SBIN:1', 'SBIN:1', 'SBIN:3']);
  });

  test('the short form gets every tick in its own mode', async () => {
    const client = await running.client();
    await client.ask({ action: 'subscribe', symbol: 'SBIN' });
    for (const tick of [LTP, QUOTE, DEPTH]) publisher.publishMarketData('SBIN', tick);
    await after(client);
    expect(brief(client)).toEqual(['SBIN:1', 'SBIN:2', 'SBIN:3']);
  });

  test('a mode’s seq counts its ticks and those of higher modes, so that a client of several modes can count too', async () => {
    const client = await running.client();
    await client.ask({ action: 'subscribe', symbol: 'SBIN' });
    for (const tick of [LTP, QUOTE, LTP, DEPTH, LTP, QUOTE]) publisher.publishMarketData('SBIN', tick);
    await after(client);
    const ticks = client.ticks().filter((tick) => tick['symbol'] === 'SBIN');
    expect(ticks.map(({ mode, seq }) => [mode, seq])).toEqual([
      [1, 1],
      [2, 1],
      [1, 3],
      [3, 1],
      [1, 5],
      [2, 3],
    ]);
    // What a client does that wants to know what it has missed.
    const counted = [0, 0, 0, 0];
    for (const { mode, seq } of ticks as { mode?: number; seq?: number }[]) {
      for (let lower = 1; lower <= mode!; lower++) counted[lower]! += 1;
      expect(counted[mode!]).toBe(seq);
    }
  });

  test('the same symbol of another exchange is another topic', async () => {
    const client = await subscriber(1);
    publisher.publishMarketData('SBIN', { ...LTP, exchange: 'BSE' });
    await after(client);
    expect(brief(client)).toEqual([]);
  });

  test('what a message holds', async () => {
    const client = await subscriber(3);
    publisher.publishMarketData('SBIN', { ...DEPTH, volume: 1000, timestamp: 1_700_000_000_000, seq: 9 });
    expect(await client.nextOf('market_data')).toEqual({
      type: 'market_data',
      symbol: 'SBIN',
      exchange: 'NSE',
      mode: 3,
      seq: 1,
      data: {
        symbol: 'SBIN',
        exchange: 'NSE',
        mode: 3,
        ltp: 100,
        volume: 1000,
        timestamp: 1_700_000_000_000,
        seq: 9,
        depth: book,
        depth_level: 1,
      },
      broker: 'zerodha',
    });
  });

  test('ticks keep their order, and none is missing', async () => {
    const clients = await Promise.all(Array.from({ length: 5 }, () => subscriber(1)));
    for (let i = 1; i <= 500; i++) publisher.publishMarketData('SBIN', { ltp: i });
    await after(...clients);
    for (const client of clients) {
      const prices = client
        .ticks()
        .filter((tick) => tick['symbol'] === 'SBIN')
        .map((tick) => tick.data?.['ltp']);
      expect(prices).toEqual(Array.from({ length: 500 }, (_, i) => i + 1));
    }
  });
});

describe('leaving', () => {
  test('one client’s leaving takes nothing from another', async () => {
    const [staying, leaving, closing] = await Promise.all([subscriber(2), subscriber(2), subscriber(2)]);
    await leaving.ask({ action: 'unsubscribe', symbol: 'SBIN', exchange: 'NSE', mode: 2 });
    await closing.close();
    await until('the proxy knows', () => running.proxy.getStats().clients.connected === 2);
    publisher.publishMarketData('SBIN', QUOTE);
    await after(staying, leaving);
    expect([brief(staying), brief(leaving)]).toEqual([['SBIN:2'], []]);
  });

  test('leaving one mode keeps the others', async () => {
    const client = await running.client();
    await client.ask({ action: 'subscribe', symbol: 'SBIN' });
    await client.ask({ action: 'unsubscribe', symbol: 'SBIN', exchange: 'NSE', mode: 3 });
    publisher.publishMarketData('SBIN', DEPTH);
    await after(client);
    expect(brief(client)).toEqual(['SBIN:2']);
  });

  test('a list’s own mode is honoured when its entries have none', async () => {
    const client = await running.client();
    await client.ask({ action: 'subscribe', symbol: 'SBIN' });
    await client.ask({ action: 'unsubscribe', symbols: [{ symbol: 'SBIN', exchange: 'NSE' }], mode: 'depth' });
    publisher.publishMarketData('SBIN', DEPTH);
    await after(client);
    expect(brief(client)).toEqual(['SBIN:2']);
  });

  test('without any mode every mode of the symbol is left', async () => {
    const client = await running.client();
    await client.ask({ action: 'subscribe', symbol: 'SBIN' });
    await client.ask({ action: 'unsubscribe', symbols: [{ symbol: 'SBIN', exchange: 'NSE' }] });
    publisher.publishMarketData('SBIN', DEPTH);
    await after(client);
    expect(brief(client)).toEqual([]);
    expect(running.proxy.getStats().subscriptions).toMatchObject({ total: 1, topics: 1 });
  });

  test('a client that is gone leaves no subscription behind', async () => {
    const client = await subscriber(1);
    await client.ask({ action: 'subscribe', symbol: '*', exchange: 'NSE', mode: 2 });
    expect(running.proxy.getStats().subscriptions).toMatchObject({ total: 2, topics: 2 });
    client.webSocket.terminate();
    await until('it is gone', () => running.proxy.getStats().subscriptions.total === 0);
    expect(running.proxy.getStats().clients).toMatchObject({ connected: 0, audiences: 0 });
  });
});

describe('audiences', () => {
  const list = (...symbols: string[]) => symbols.map((symbol) => ({ symbol, exchange: 'NSE' }));

  test('clients whose subscriptions are equal, in whatever order they came, share one', async () => {
    const [first, second, third] = await Promise.all([running.client(), running.client(), running.client()]);
    await first.ask({ action: 'subscribe', symbols: list('A', 'B', 'C'), mode: 1 });
    await second.ask({ action: 'subscribe', symbols: list('C'), mode: 1 });
    await second.ask({ action: 'subscribe', symbols: list('B', 'A'), mode: 1 });
    await third.ask({ action: 'subscribe', symbols: list('A', 'B', 'C', 'D'), mode: 1 });
    await third.ask({ action: 'unsubscribe', symbols: list('D') });
    expect(running.proxy.getStats().clients.audiences).toBe(1);
    await third.ask({ action: 'unsubscribe', symbols: list('B') });
    expect(running.proxy.getStats().clients.audiences).toBe(2);
    for (const symbol of ['A', 'B', 'C', 'D']) publisher.publishMarketData(symbol, LTP);
    await after(first, second, third);
    expect([brief(first), brief(second), brief(third)]).toEqual([
      ['A:1', 'B:1', 'C:1'],
      ['A:1', 'B:1', 'C:1'],
      ['A:1', 'C:1'],
    ]);
  });

  test('whatever clients do, each gets exactly what it is subscribed to', async () => {
    const symbols = ['A', 'B', 'C', 'D', 'E'];
    const clients = await Promise.all(Array.from({ length: 6 }, () => running.client()));
    const wanted = clients.map(() => new Map<string, number>());
    let seed = 7;
    const random = (below: number): number => (seed = (seed * 48_271) % 2_147_483_647) % below;
    for (let step = 0; step < 300; step++) {
      const index = random(clients.length);
      const [client, own] = [clients[index] as Client, wanted[index] as Map<string, number>];
      const symbol = symbols[random(symbols.length)] as string;
      const mode = 1 + random(3);
      const action = random(5) < 3 ? 'subscribe' : 'unsubscribe';
      const before = own.get(symbol) ?? 0;
      own.set(symbol, action === 'subscribe' ? before | (1 << mode) : before & ~(1 << mode));
      await client.ask({ action, symbol, exchange: 'NSE', mode });
    }
    for (const symbol of symbols) publisher.publishMarketData(symbol, DEPTH);
    await after(...clients);
    const highest = (mask: number): number => [3, 2, 1].find((mode) => (mask >> mode) & 1) ?? 0;
    const expected = wanted.map((own) =>
      symbols
        .filter((symbol) => (own.get(symbol) ?? 0) > 0)
        .map((symbol) => `${symbol}:${highest(own.get(symbol) ?? 0)}`),
    );
    expect(clients.map(brief)).toEqual(expected);
  });
});

describe('wildcards', () => {
  test('a whole exchange, symbols included that come later', async () => {
    const client = await subscriber(2, '*');
    publisher.publishMarketData('NEW1', QUOTE);
    publisher.publishMarketData('OTHER', { ...QUOTE, exchange: 'BSE' });
    publisher.publishMarketData('NEW2', DEPTH);
    publisher.publishMarketData('NEW3', LTP);
    await after(client);
    expect(brief(client)).toEqual(['NEW1:2', 'NEW2:2']);
  });

  test('everything', async () => {
    const client = await running.client();
    const answer = await client.ask({ action: 'subscribe', symbol: '*', exchange: '*', mode: 'LTP' });
    expect(answer).toMatchObject({ status: 'success', subscriptions: [{ symbol: '*', exchange: '*', mode: 'LTP' }] });
    publisher.publishMarketData('A', LTP);
    publisher.publishMarketData('B', { ...DEPTH, exchange: 'MCX' });
    await after(client);
    expect(brief(client)).toEqual(['A:1', 'B:1']);
  });

  test('together with a topic’s own mode a tick comes once, in the highest that fits', async () => {
    const client = await subscriber(1, '*');
    await client.ask({ action: 'subscribe', symbol: 'SBIN', exchange: 'NSE', mode: 3 });
    for (const tick of [LTP, DEPTH]) publisher.publishMarketData('SBIN', tick);
    publisher.publishMarketData('TCS', DEPTH);
    await after(client);
    expect(brief(client)).toEqual(['SBIN:1', 'SBIN:3', 'TCS:1']);
  });

  test('can be left again', async () => {
    const client = await subscriber(1, '*');
    await client.ask({ action: 'unsubscribe', symbol: '*', exchange: 'NSE' });
    publisher.publishMarketData('SBIN', LTP);
    await after(client);
    expect(brief(client)).toEqual([]);
  });
});

describe('interval_ms', () => {
  const price = (tick: Received): unknown => tick.data?.['ltp'];

  test('at most one tick in the interval, and the newest in the end', async () => {
    const client = await subscriber(1, 'SBIN', { interval_ms: 200 });
    const other = await subscriber(1);
    for (let i = 1; i <= 50; i++) publisher.publishMarketData('SBIN', { ltp: i });
    await until('the newest came', () => client.ticks().some((tick) => price(tick) === 50));
    await after(client, other);
    const prices = client
      .ticks()
      .filter((tick) => tick['symbol'] === 'SBIN')
      .map(price);
    expect(prices).toEqual([1, 50]);
    expect(brief(other)).toHaveLength(50);
    expect(running.proxy.getStats().messages.conflated).toBe(0);
  });

  test('belongs to a mode: an LTP once an hour does not slow the ladder of the same symbol', async () => {
    const client = await subscriber(1, 'SBIN', { interval_ms: 3_600_000 });
    await client.ask({ action: 'subscribe', symbol: 'SBIN', exchange: 'NSE', mode: 3 });
    for (let i = 0; i < 3; i++) for (const tick of [LTP, DEPTH]) publisher.publishMarketData('SBIN', tick);
    await after(client);
    expect(brief(client)).toEqual(['SBIN:1', 'SBIN:3', 'SBIN:3', 'SBIN:3']);
  });

  test('is undone by leaving', async () => {
    const client = await subscriber(1, 'SBIN', { interval_ms: 3_600_000 });
    await client.ask({ action: 'unsubscribe', symbol: 'SBIN', exchange: 'NSE', mode: 1 });
    await client.ask({ action: 'subscribe', symbol: 'SBIN', exchange: 'NSE', mode: 1 });
    for (let i = 0; i < 3; i++) publisher.publishMarketData('SBIN', LTP);
    await after(client);
    expect(brief(client)).toEqual(['SBIN:1', 'SBIN:1', 'SBIN:1']);
  });

  test('holds for each topic by itself', async () => {
    const client = await running.client();
    const symbols = ['A', 'B'].map((symbol) => ({ symbol, exchange: 'NSE' }));
    await client.ask({ action: 'subscribe', symbols, mode: 1, interval_ms: 3_600_000 });
    for (const symbol of ['A', 'A', 'B', 'B']) publisher.publishMarketData(symbol, LTP);
    await after(client);
    expect(brief(client)).toEqual(['A:1', 'B:1']);
  });

  test('a held tick still comes when the client subscribes to something else meanwhile', async () => {
    const client = await subscriber(1, 'SBIN', { interval_ms: 300 });
    const twin = await subscriber(1, 'SBIN', { interval_ms: 300 });
    for (const ltp of [1, 2]) publisher.publishMarketData('SBIN', { ltp });
    await twin.settle();
    await client.ask({ action: 'subscribe', symbol: 'TCS', exchange: 'NSE', mode: 1 });
    await until('it came', () => client.ticks().some((tick) => price(tick) === 2));
    expect(
      client
        .ticks()
        .filter((tick) => tick['symbol'] === 'SBIN')
        .map(price),
    ).toEqual([1, 2]);
  });

  test('a wildcard’s interval holds for every topic, a topic’s own comes before it', async () => {
    const client = await subscriber(1, '*', { interval_ms: 3_600_000 });
    await client.ask({ action: 'subscribe', symbol: 'FAST', exchange: 'NSE', mode: 1 });
    for (const symbol of ['SLOW', 'SLOW', 'FAST', 'FAST']) publisher.publishMarketData(symbol, LTP);
    await after(client);
    expect(brief(client)).toEqual(['SLOW:1', 'FAST:1', 'FAST:1']);
  });

  test('ends with a subscribe that asks for none', async () => {
    const client = await subscriber(1, 'SBIN', { interval_ms: 3_600_000 });
    await client.ask({ action: 'subscribe', symbol: 'SBIN', exchange: 'NSE', mode: 1 });
    for (let i = 0; i < 3; i++) publisher.publishMarketData('SBIN', LTP);
    await after(client);
    expect(brief(client)).toHaveLength(3);
  });
});
