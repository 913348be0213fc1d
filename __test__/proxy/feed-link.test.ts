import { afterEach, beforeEach, expect, test } from 'vitest';
import { EventPublisher } from '../../src/shm/events.ts';
import { InterestReader } from '../../src/shm/interest.ts';
import { userOfKey } from '../../src/user-of-key.ts';
import { type Client, type Received, RunningProxy, until } from './running-proxy.ts';

let running: RunningProxy;
let open: { close(): void }[];

beforeEach(() => {
  open = [];
});

afterEach(async () => {
  for (const handle of open) handle.close();
  await running.stop();
});

function feedEvents(ownerName = 'zerodha'): EventPublisher {
  const events = new EventPublisher({ name: running.ring, ownerName });
  open.push(events);
  return events;
}

function wanted(): () => string[] {
  const reader = new InterestReader({ subscribe: () => {}, unsubscribe: () => {} }, { name: running.ring });
  open.push(reader);
  return () =>
    reader
      .wanted()
      .map(({ exchange, symbol, mode, depth }) => `${exchange}:${symbol} ${mode} ${depth}`)
      .sort();
}

test('feeds hear what the clients together want, until the last has left', async () => {
  running = await RunningProxy.start({ ring: { depthLevels: 20 } });
  const interest = wanted();
  const [first, second] = await Promise.all([running.client(), running.client()]);
  await first.ask({ action: 'subscribe', symbols: [{ symbol: 'SBIN', exchange: 'NSE' }], mode: 1 });
  await second.ask({ action: 'subscribe', symbols: [{ symbol: 'SBIN', exchange: 'NSE' }], mode: 3, depth: 20 });
  await until('both are wanted', () => interest().join() === 'NSE:SBIN 1 0,NSE:SBIN 3 20');
  await first.close();
  await until('one is wanted', () => interest().join() === 'NSE:SBIN 3 20');
  await second.ask({ action: 'unsubscribe_all' });
  await until('nothing is wanted', () => interest().length === 0);
});

test('feeds hear nothing of wildcards, which stand for what comes anyway', async () => {
  running = await RunningProxy.start();
  const interest = wanted();
  const client = await running.client();
  await client.ask({ action: 'subscribe', symbols: [{ symbol: '*', exchange: 'NSE' }], mode: 1 });
  await client.ask({ action: 'subscribe', symbols: [{ symbol: 'TCS', exchange: 'NSE' }], mode: 2 });
  await until('the topic is wanted', () => interest().length > 0);
  expect(interest()).toEqual(['NSE:TCS 2 0']);
});

test('a proxy that closes wants nothing any more', async () => {
  running = await RunningProxy.start();
  const interest = wanted();
  const client = await running.client();
  await client.ask({ action: 'subscribe', symbols: [{ symbol: 'TCS', exchange: 'NSE' }], mode: 2 });
  await until('it is wanted', () => interest().length === 1);
  await running.proxy.stop();
  await until('it is wanted no more', () => interest().length === 0);
});

/** A session with this key that has asked for order updates. */
async function orderSession(key: string): Promise<Client> {
  const client = await running.client();
  await client.ask({ action: 'auth', apikey: key });
  await client.ask({ action: 'subscribe_orders' });
  return client;
}

/** The order updates that a session has got, once it has got all that feeds have told up to now. */
async function updatesOf(session: Client, owner: string, feeds: readonly EventPublisher[]): Promise<Received[]> {
  feeds.forEach((feed, end) => feed.publish({ type: 'order_update', owners: [owner], update: { end } }));
  const updates = () => session.received.filter(({ type }) => type === 'order_update');
  await until('all have come', () => updates().filter(({ end }) => end !== undefined).length === feeds.length);
  return updates().filter(({ end }) => end === undefined);
}

test('users of two servers may have the same name: each gets the order updates of its own key', async () => {
  running = await RunningProxy.start({ auth: { keys: ['k1', 'k2'] } });
  const sessions = [await orderSession('k1'), await orderSession('k2')];
  const feeds = [feedEvents('first'), feedEvents('second')];
  for (const round of [1, 2]) {
    feeds.forEach((feed, i) => {
      const owners = ['admin', userOfKey(`k${i + 1}`)];
      feed.publish({ type: 'order_update', owners, update: { orderid: `${round} of k${i + 1}` } });
    });
  }
  for (const [i, session] of sessions.entries()) {
    const key = `k${i + 1}`;
    const updates = await updatesOf(session, userOfKey(key), feeds);
    expect(updates.map(({ orderid: id }) => id)).toEqual([`1 of ${key}`, `2 of ${key}`]);
    expect(updates.map(({ user_id: user }) => user)).toEqual(['admin', 'admin']);
  }
});

test('an order update that two feeds of one OpenAlgo tell comes once, as often as either of them tells it', async () => {
  running = await RunningProxy.start({ auth: { keys: [{ key: 'a1', userId: 'alice' }] } });
  const session = await orderSession('a1');
  const [bus, server] = [feedEvents('zmq'), feedEvents('openalgo')];
  const update = { orderid: '7', order_status: 'open' };
  // The broker sends the first once more.
  for (const price of [10, 11, 10]) {
    bus.publish({ type: 'order_update', owners: ['alice'], update: { mode: 'live', ...update, price } });
    const same = { type: 'order_update', user_id: 'alice', ...update, price, mode: 'live' };
    server.publish({ type: 'order_update', owners: ['alice', userOfKey('a1')], update: same });
  }
  const updates = await updatesOf(session, 'alice', [bus, server]);
  expect(updates.map(({ price }) => price)).toEqual([10, 11, 10]);
});

test('an order update of a feed reaches the sessions of its user, by name or by key, that asked for it', async () => {
  running = await RunningProxy.start({ auth: { keys: [{ key: 'a1', userId: 'alice' }, 'k2', 'k3'] } });
  const [byName, byKey, foreign] = await Promise.all(
    ['a1', 'k2', 'k3'].map(async (key) => {
      const client = await running.client();
      await client.ask({ action: 'auth', apikey: key });
      await client.ask({ action: 'subscribe_orders' });
      return client;
    }),
  );
  const update = { type: 'order_update', user_id: 'alice', mode: 'live', orderid: '7', order_status: 'complete' };
  feedEvents().publish({ type: 'order_update', owners: ['alice', userOfKey('k2')], update });
  expect(await byName?.nextOf('order_update')).toEqual(update);
  expect(await byKey?.nextOf('order_update')).toEqual(update);
  await foreign?.settle();
  expect(foreign?.received.filter(({ type }) => type === 'order_update')).toEqual([]);
});

test('without keys there is one user, who owns every order', async () => {
  running = await RunningProxy.start();
  const client = await running.client();
  await client.ask({ action: 'subscribe_orders' });
  const update = { user_id: 'alice', orderid: '7' };
  feedEvents().publish({ type: 'order_update', owners: ['alice'], update });
  expect(await client.nextOf('order_update')).toMatchObject({ orderid: '7' });
});

test('clients and the health are told when the feed has lost its source, and when it is back', async () => {
  running = await RunningProxy.start();
  running.publisher().publishMarketData('SBIN', { ltp: 1 });
  const client = await running.client();
  await client.ask({ action: 'subscribe', symbol: 'SBIN', exchange: 'NSE', mode: 1, status: true });
  expect(await client.nextOf('feed_status')).toMatchObject({ status: 'live' });
  const events = feedEvents();
  events.publish({ type: 'feed_source', feed: 'zerodha', up: false, reason: 'the broker has closed' });
  expect(await client.nextOf('feed_status')).toMatchObject({
    status: 'down',
    reason: 'source_gone',
    message: 'the feed zerodha has lost its source: the broker has closed',
  });
  expect(await running.get('/health')).toMatchObject({ status: 503, body: { reasons: [{ code: 'source_gone' }] } });
  events.publish({ type: 'feed_source', feed: 'zerodha', up: true });
  expect(await client.nextOf('feed_status')).toMatchObject({ status: 'live' });
  expect(await running.get('/health')).toMatchObject({ status: 200 });
});

test('events that nobody can understand end nothing', async () => {
  running = await RunningProxy.start();
  const client = await running.client();
  await client.ask({ action: 'subscribe_orders' });
  const events = feedEvents();
  for (const event of [
    { type: 'news' },
    { type: 'order_update' },
    { type: 'order_update', update: 'none' },
    { type: 'order_update', update: {}, owners: 'all' },
    { type: 'feed_source' },
    { type: 'feed_source', feed: {}, up: 'yes' },
  ]) {
    events.publish(event);
  }
  events.publish({ type: 'order_update', owners: [], update: { orderid: '8' } });
  await until('the last has come', () => client.received.some((message) => message['orderid'] === '8'));
});
