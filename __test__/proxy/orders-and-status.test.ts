import { afterEach, expect, test } from 'vitest';
import { RunningProxy, until } from './running-proxy.ts';

let running: RunningProxy;
afterEach(() => running.stop());

test('order updates reach the sessions that asked and own the user, and no others', async () => {
  running = await RunningProxy.start({
    auth: { keys: ['a1', 'a2', 'b1'].map((key) => ({ key, userId: key.startsWith('a') ? 'alice' : 'bob' })) },
  });
  const [asking, silent, foreign] = await Promise.all(
    ['a1', 'a2', 'b1'].map(async (key) => {
      const client = await running.client();
      await client.ask({ action: 'auth', apikey: key });
      return client;
    }),
  );
  for (const client of [asking, foreign]) await client?.ask({ action: 'subscribe_orders' });
  const update = { mode: 'live', broker: 'upstox', orderid: '7', order_status: 'complete', filled_quantity: 65 };
  expect(running.proxy.deliverOrderUpdate('alice', { ...update, user_id: 'bob' })).toBe(1);
  expect(await asking?.next()).toEqual({ ...update, type: 'order_update', user_id: 'alice' });
  for (const client of [silent, foreign]) {
    await client?.settle();
    expect(client?.received.filter((message) => message['type'] === 'order_update')).toEqual([]);
  }
  await asking?.ask({ action: 'unsubscribe_orders' });
  expect(running.proxy.deliverOrderUpdate('alice', update)).toBe(0);
  await foreign?.close();
  await until('it has gone', () => running.proxy.getStats().clients.order_updates === 0);
  expect(running.proxy.deliverOrderUpdate('bob', update)).toBe(0);
});

test('who asks for it hears when the feed falls silent and when it is back', async () => {
  running = await RunningProxy.start({ staleAfter: 1_500 });
  const publisher = running.publisher();
  publisher.publishMarketData('SBIN', { ltp: 1 });
  const [asking, silent] = await Promise.all([running.client(), running.client()]);
  await asking.ask({ action: 'subscribe', symbol: 'SBIN', exchange: 'NSE', mode: 1, status: true });
  await silent.ask({ action: 'subscribe', symbol: 'SBIN', exchange: 'NSE', mode: 1 });
  expect(await asking.nextOf('feed_status')).toMatchObject({ status: 'live' });
  expect(await asking.nextOf('feed_status')).toMatchObject({ status: 'down', reason: 'stale_feed' });
  expect(await running.get('/health')).toMatchObject({ status: 503, body: { reasons: [{ code: 'stale_feed' }] } });
  publisher.publishMarketData('SBIN', { ltp: 2 });
  expect(await asking.nextOf('feed_status')).toMatchObject({ status: 'live' });
  publisher.stop();
  expect(await asking.nextOf('feed_status')).toMatchObject({ status: 'down', reason: 'no_publisher' });
  await silent.settle();
  expect(silent.received.filter((message) => message['type'] === 'feed_status')).toEqual([]);
});

test('what all clients together want can be followed', async () => {
  running = await RunningProxy.start();
  const { proxy } = running.proxy;
  const changes: unknown[] = [];
  proxy.onInterest((interest) => changes.push(interest));
  const [first, second] = await Promise.all([running.client(), running.client()]);
  await first.ask({ action: 'subscribe', symbol: 'SBIN', exchange: 'NSE', mode: 1 });
  await second.ask({ action: 'subscribe', symbol: 'SBIN', exchange: 'NSE', mode: 1 });
  await second.ask({ action: 'subscribe', symbol: 'SBIN', exchange: 'NSE', mode: 3, depth: 5 });
  await first.ask({ action: 'unsubscribe', symbol: 'SBIN', exchange: 'NSE' });
  expect(proxy.interests()).toEqual([{ exchange: 'NSE', symbol: 'SBIN', modes: 0b1010, depth: 5 }]);
  await second.ask({ action: 'unsubscribe_all' });
  expect(proxy.interests()).toEqual([]);
  expect(changes).toEqual([
    { exchange: 'NSE', symbol: 'SBIN', modes: 0b0010, depth: 0 },
    { exchange: 'NSE', symbol: 'SBIN', modes: 0b1010, depth: 5 },
    { exchange: 'NSE', symbol: 'SBIN', modes: 0, depth: 0 },
  ]);
});
