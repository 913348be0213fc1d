import { afterEach, beforeEach, expect, test } from 'vitest';
import { OpenAlgoFeed } from '../../src/feeds/openalgo.ts';
import type { InterestChange } from '../../src/shm/interest.ts';
import { SharedMemoryBrokerAdapter } from '../../src/feeds/broker-adapter.ts';
import { type Client, RunningProxy, until } from '../proxy/running-proxy.ts';

/** The proxy that has the broker, and the one behind it that has the client. */
let front: RunningProxy;
let behind: RunningProxy;
let adapter: SharedMemoryBrokerAdapter;
let feed: OpenAlgoFeed;
let client: Client;

beforeEach(async () => {
  front = await RunningProxy.start({ snapshot: false });
  behind = await RunningProxy.start({ subscribeTimeout: 20_000, snapshot: false });
  adapter = new SharedMemoryBrokerAdapter('zerodha', { name: front.ring, answers: true });
  feed = new OpenAlgoFeed({
    name: behind.ring,
    url: front.url,
    apiKey: 'any',
    brokerCheckMs: 20,
    login: { firstMs: 5, longestMs: 20 },
  }).start();
  client = await behind.client();
});

afterEach(async () => {
  await feed.stop();
  adapter.stop();
  await behind.stop();
  await front.stop();
});

const subscribe = (symbol: string) => ({ action: 'subscribe', symbol, exchange: 'NSE', mode: 1 });

test('a proxy behind another hears ticks of an adapter that publishes only what somebody wants', async () => {
  // The ring of the proxy in front has no publisher before the first tick: it says that its broker is disconnected.
  adapter.on('subscribe', (change) => {
    adapter.accept(change);
    adapter.publishTickData(change.symbol, { ltp: 7 }, change.exchange);
  });
  client.send(subscribe('TCS'));
  expect(await client.nextOf('market_data')).toMatchObject({ symbol: 'TCS', data: { ltp: 7 } });
  await until('the source is there', async () => (await behind.get('/health')).status === 200);
  expect(feed.counters.connections).toBe(1);
});

test('a refusal of the broker comes through, at once and later in the day', async () => {
  let tcs: InterestChange | undefined;
  let isDelisted = false;
  adapter.on('subscribe', (change) => {
    if (change.symbol === 'TCS') tcs = change;
    if (change.symbol.startsWith('BAD')) adapter.refuse(change, 'no such symbol');
    else if (isDelisted) adapter.refuse(change, 'delisted');
    else adapter.accept(change);
  });
  adapter.start();
  const probe = await behind.client();
  let probes = 0;
  await until('results are waited for', async () => {
    return (await probe.ask(subscribe(`BAD${probes++}`)))['status'] === 'partial';
  });
  expect(await client.ask(subscribe('TCS'))).toMatchObject({ status: 'success' });
  await until('it is wanted', () => tcs !== undefined);
  isDelisted = true;
  adapter.refuse(tcs as InterestChange, 'delisted');
  expect(await client.nextOf('subscription_refused')).toMatchObject({ symbol: 'TCS', message: 'delisted' });
});

test('a source that is away is away for the proxy behind too', async () => {
  adapter.on('subscribe', (change) => adapter.accept(change));
  adapter.start();
  adapter.publishTickData('TCS', { ltp: 1 }, 'NSE');
  await until('the source is there', async () => (await behind.get('/health')).body['reasons']?.toString() === '');
  adapter.down('the token has expired');
  await until('it is away', async () => (await behind.get('/health')).status === 503);
  adapter.up();
  await until('it is back', async () => (await behind.get('/health')).status === 200);
  expect(feed.counters.connections).toBe(1);
});
