import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Client, RunningProxy, until } from './running-proxy.ts';
import { StandInHost } from './stand-in-host.ts';

let running: RunningProxy;
let client: Client;
let hosts: StandInHost[];

beforeEach(async () => {
  running = await RunningProxy.start({ subscribeTimeout: 20 });
  client = await running.client();
  hosts = [];
});

afterEach(async () => {
  for (const host of hosts) host.close();
  await running.stop();
});

/** A feed whose broker takes TCS, refuses BAD, and says nothing of others. */
async function host(): Promise<StandInHost> {
  const made = await StandInHost.up(running, ({ symbol }) => {
    if (symbol === 'TCS') return { status: 'success' };
    return symbol === 'BAD' ? { status: 'error', message: 'not found' } : undefined;
  });
  hosts.push(made);
  return made;
}

const subscribe = (symbols: readonly string[], mode = 1) => ({
  action: 'subscribe',
  symbols: symbols.map((symbol) => ({ symbol, exchange: 'NSE' })),
  mode,
});

/** Waits until /health, /stats and /metrics all say so. */
const withoutSource = (expected: number | null): Promise<void> =>
  until(`${expected} are without a source`, async () => {
    const health = (await running.get('/health')).body['symbols_without_source'];
    const stats = running.proxy.getStats().subscriptions.without_source;
    const metrics = await (await fetch(`${running.httpUrl}/metrics`)).text();
    const [, gauge] = /^openalgo_shm_subscribed_topics_without_source (\S+)$/m.exec(metrics) ?? [];
    return health === expected && stats === expected && String(gauge) === String(expected ?? 'Nan');
  });

test('nobody knows it without a feed that tells what its broker takes', async () => {
  await client.ask(subscribe(['TCS']));
  await withoutSource(null);
});

test('what no feed has taken is counted, once however many modes of it are missing', async () => {
  await host();
  await client.ask(subscribe(['TCS', 'SLOW']));
  await client.ask(subscribe(['SLOW'], 2));
  await client.ask(subscribe(['*']));
  await withoutSource(1);
  hosts[0]?.tell([{ exchange: 'NSE', symbol: 'SLOW', mode: 1, status: 'success' }]);
  hosts[0]?.tell([{ exchange: 'NSE', symbol: 'SLOW', mode: 2, status: 'success' }]);
  await withoutSource(0);
});

test('what is refused has ended, and is counted as refused', async () => {
  await host();
  await client.ask(subscribe(['TCS', 'BAD']));
  await withoutSource(0);
  expect((await running.get('/health')).body).toMatchObject({ subscriptions_refused: 1 });
});

test('while the source is away, nothing has one', async () => {
  const feed = await host();
  await client.ask(subscribe(['TCS', 'SLOW']));
  await feed.source({ feed: 'zerodha', up: false, reason: 'the token has expired' });
  await withoutSource(2);
  await feed.source({ feed: 'zerodha', up: true });
  feed.tell([{ exchange: 'NSE', symbol: 'TCS', mode: 1, status: 'success' }]);
  await withoutSource(1);
});

test('a source that goes away and is back at once is counted, and clients that ask for it are told both', async () => {
  running.publisher().publishMarketData('TCS', { ltp: 1 });
  const feed = await host();
  const before = running.proxy.getStats().feed_events.source_losses;
  await client.ask({ ...subscribe(['TCS']), status: true });
  await client.nextOf('feed_status');
  feed.publish({ type: 'feed_source', feed: 'zerodha', up: false, reason: 'a login', answers: true });
  feed.publish({ type: 'feed_source', feed: 'zerodha', up: true, answers: true });
  expect(await client.nextOf('feed_status')).toMatchObject({ status: 'down', reason: 'source_gone' });
  expect(await client.nextOf('feed_status')).toMatchObject({ status: 'live' });
  expect(running.proxy.getStats().feed_events.source_losses).toBe(before + 1);
});
