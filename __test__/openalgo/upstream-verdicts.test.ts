import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { OpenAlgoFeed } from '../../src/feeds/openalgo.ts';
import { WebSocketProxy, type WebSocketProxyOptions } from '../../src/proxy/websocket-proxy.ts';
import { StandInOpenAlgo } from '../feeds/stand-in.ts';
import { Client, type Received, RunningProxy, until } from '../proxy/running-proxy.ts';

/** Longest time from a login to the first tick, ms. */
const AFTER_LOGIN_MS = 5_000;

let server: StandInOpenAlgo;
let running: RunningProxy;
let feed: OpenAlgoFeed;
let client: Client;

async function start(options: WebSocketProxyOptions = {}): Promise<void> {
  const ring = { depthLevels: 20 };
  running = await RunningProxy.start({ subscribeTimeout: 20_000, snapshot: false, ring, ...options });
  feed = new OpenAlgoFeed({ name: running.ring, url: server.url, apiKey: 'good-key', graceMs: 20 }).start();
  feed.done.catch(() => undefined);
  client = await running.client();
  const probe = await running.client();
  server.tell('faults', { refuse: ['NSE:PROBE', 'NSE:BAD'] });
  await until('results are waited for', async () => (await probe.ask(subscribe(['PROBE'])))['status'] === 'partial');
  await probe.close();
}

const subscribe = (symbols: readonly string[], mode = 1, more: object = {}) => ({
  action: 'subscribe',
  symbols: symbols.map((symbol) => ({ symbol, exchange: 'NSE' })),
  mode,
  ...more,
});
const depthOf = (answer: Received): unknown => (answer['subscriptions'] as { depth: number }[])[0]?.depth;

beforeEach(async () => {
  server = await StandInOpenAlgo.start();
});

afterEach(async () => {
  await feed.stop().catch(() => undefined);
  await running.stop();
  await server.end();
});

describe('a client of a proxy behind OpenAlgo', () => {
  test('hears in the answer what OpenAlgo refuses, and gets the rest', async () => {
    await start();
    expect(await client.ask(subscribe(['TCS', 'BAD']))).toMatchObject({
      status: 'partial',
      subscriptions: [
        { symbol: 'TCS', status: 'success' },
        { symbol: 'BAD', status: 'error', message: 'Symbol BAD not found' },
      ],
    });
    server.tell('burst');
    expect(await client.nextOf('market_data')).toMatchObject({ symbol: 'TCS' });
    const { refused } = running.proxy.getStats().subscriptions;
    expect((await running.get('/health')).body).toMatchObject({
      symbols_without_source: 0,
      subscriptions_refused: refused,
    });
  });

  test('hears in a notice what OpenAlgo refuses later than the proxy waits', async () => {
    await start({ subscribeTimeout: 200 });
    const notices = (): number => running.proxy.getStats().subscriptions.refusal_notices;
    const before = notices();
    server.standStill();
    expect(await client.ask(subscribe(['TCS', 'BAD']))).toMatchObject({ status: 'success' });
    server.goOn();
    expect(await client.next()).toMatchObject({
      type: 'subscription_refused',
      symbol: 'BAD',
      mode: 'LTP',
      message: 'Symbol BAD not found',
    });
    expect(notices()).toBe(before + 1);
  });

  test('asks again for what was refused, and gets it once OpenAlgo takes it', async () => {
    await start();
    expect(await client.ask(subscribe(['BAD']))).toMatchObject({ status: 'partial' });
    server.tell('faults', { refuse: [] });
    await until('it is taken', async () => (await client.ask(subscribe(['BAD'])))['status'] === 'success');
  });

  test('keeps what OpenAlgo refuses and another feed brings, which tells nothing of itself', async () => {
    await start();
    const other = running.publisher({ publisherName: 'crypto' });
    await until('it is seen', () => running.proxy.getStats().publishers.some(({ name }) => name === 'crypto'));
    expect(await client.ask(subscribe(['BAD']))).toMatchObject({ status: 'success' });
    other.publishMarketData('BAD', { exchange: 'NSE', ltp: 7 });
    expect(await client.next()).toMatchObject({ type: 'market_data', symbol: 'BAD', data: { ltp: 7 } });
    other.stop();
    expect(await client.nextOf('subscription_refused')).toMatchObject({ symbol: 'BAD' });
  });

  test('is answered at once where the symbol is known, whichever proxy it asks', async () => {
    await start();
    const second = new WebSocketProxy({
      port: 0,
      log: 'silent',
      subscribeTimeout: 20_000,
      ring: { name: running.ring },
    });
    await second.start();
    try {
      const behindSecond = await Client.open(second.address()?.url ?? '');
      await until(
        'it waits for results',
        async () => (await behindSecond.ask(subscribe(['BAD'])))['status'] === 'partial',
      );
      await client.ask(subscribe(['TCS']));
      // OpenAlgo answers nothing from here on.
      server.standStill();
      for (const other of [await running.client(), behindSecond]) {
        const began = performance.now();
        expect(await other.ask(subscribe(['TCS']))).toMatchObject({ status: 'success' });
        expect(performance.now() - began).toBeLessThan(10_000);
      }
      server.goOn();
    } finally {
      await second.stop();
    }
  });

  test('hears the depth that it gets: OpenAlgo is asked for a deeper book anew', async () => {
    await start();
    expect(depthOf(await client.ask(subscribe(['TCS'], 3, { depth: 5 })))).toBe(5);
    const deeper = await running.client();
    expect(depthOf(await deeper.ask(subscribe(['TCS'], 3, { depth: 20 })))).toBe(20);
    expect(await server.subscribed()).toEqual(['NSE:TCS 3 20']);
    server.tell('burst');
    const book = (await deeper.nextOf('market_data')).data?.['depth'] as { buy: unknown[] };
    expect(book.buy).toHaveLength(20);
  });

  test('hears of no more levels than the broker sends', async () => {
    server.tell('faults', { mostLevels: 5 });
    await start();
    expect(depthOf(await client.ask(subscribe(['TCS'], 3, { depth: 20 })))).toBe(5);
  });

  test('hears of no more levels than the ring has', async () => {
    await start({ ring: { depthLevels: 5 } });
    expect(depthOf(await client.ask(subscribe(['TCS'], 3, { depth: 20 })))).toBe(5);
  });

  test('has 100 of 3,100 symbols refused where the broker takes 3,000, in its words', async () => {
    await start();
    const symbols = Array.from({ length: 3_100 }, (_, i) => `SHARE${i}`);
    const answer = await client.ask(subscribe(symbols));
    const lines = answer['subscriptions'] as { status: string; message?: string }[];
    const refused = lines.filter(({ status }) => status === 'error');
    expect([answer['status'], refused.length]).toEqual(['partial', 100]);
    expect(refused[0]?.message).toMatch(/^Maximum capacity reached: 3 connections × 1000 symbols = 3000 symbols/);
    expect(feed.counters.connections).toBe(1);
    server.tell('burst');
    await until('each of the others ticks', () => client.ticks().length === 3_000);
    expect((await running.get('/health')).body).toMatchObject({ status: 'ok', symbols_without_source: 0 });
  });
});

describe('three days', { timeout: 120_000 }, () => {
  /** Nobody is logged in from one day to the next: each time the server says it in another way. */
  const nights = [
    { trouble: { brokerDown: true }, cure: { brokerDown: false } },
    { trouble: { login: 'BROKER_INIT_ERROR' }, cure: { login: '' } },
    { trouble: { refuseKey: true }, cure: { refuseKey: false } },
  ];

  test('of logins in the morning: ticks are back within five seconds, and nobody has to connect again', async () => {
    await start();
    server.tell('stream', { everyMs: 20 });
    await client.ask({ ...subscribe(['TCS', 'INFY']), status: true });
    const ticks = (): number => client.ticks().length;
    await until('ticks come', () => ticks() > 5);
    const statuses = (): unknown[] =>
      client.received.filter(({ type }) => type === 'feed_status').map(({ status }) => status);

    const { refused } = feed.counters;
    for (const [day, { trouble, cure }] of nights.entries()) {
      // The day ends: the broker has ended the token, and OpenAlgo drops its adapter.
      const { failedAttempts } = feed.counters;
      server.tell('faults', trouble);
      server.tell('dropAdapter');
      await until('clients hear it', () => statuses().at(-1) === 'down');
      await until('a login is tried in vain', () => feed.counters.failedAttempts > failedAttempts);
      expect(await (await running.client()).ask(subscribe(['SBIN']))).toMatchObject({
        status: 'success',
        subscriptions: [{ message: expect.stringContaining('the broker is away') as unknown }],
      });
      const before = ticks();
      // The morning: the user logs in.
      server.tell('faults', cure);
      const began = performance.now();
      await until('ticks come again', () => ticks() > before);
      expect(performance.now() - began).toBeLessThan(AFTER_LOGIN_MS);
      await until('clients hear it', () => statuses().at(-1) === 'live');
      expect(feed.counters.brokerLosses).toBe(2 * day + 1);

      // Later that day the user logs in once more: the adapter is dropped, and the login is good.
      server.tell('dropAdapter');
      const later = ticks();
      const beganLater = performance.now();
      await until('ticks come again', () => ticks() > later);
      expect(performance.now() - beganLater).toBeLessThan(AFTER_LOGIN_MS);
      await until('clients have heard both', () => statuses().length === 1 + 4 * (day + 1));
      expect(statuses().slice(-2)).toEqual(['down', 'live']);
    }
    expect(feed.counters).toMatchObject({ connections: 1, brokerLosses: 6, refused });
    expect((await server.report()).connections).toBe(1);
    expect(running.proxy.getStats().feed_events.source_losses).toBe(6);
    expect(await server.subscribed()).toEqual(expect.arrayContaining(['NSE:INFY 1 5', 'NSE:TCS 1 5']));
  });
});
