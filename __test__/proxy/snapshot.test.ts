import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { SharedMemoryPublisher } from '../../src/shm/publisher.ts';
import { type Received, RunningProxy, until } from './running-proxy.ts';

let running: RunningProxy;
let publisher: SharedMemoryPublisher;

beforeEach(async () => {
  running = await RunningProxy.start();
  publisher = running.publisher();
});
afterEach(() => running.stop());

const seen = (count: number): Promise<void> =>
  until('the proxy has read it', () => (running.proxy.getStats().subscribers[0]?.messages_received ?? 0) >= count);

test('a new subscriber gets the last tick at once, marked and with its age', async () => {
  publisher.publishMarketData('SBIN', { ltp: 1 });
  publisher.publishMarketData('SBIN', { ltp: 2, volume: 5 });
  await seen(2);
  const client = await running.client();
  client.send({ action: 'subscribe', symbol: 'SBIN', exchange: 'NSE', mode: 1 });
  expect(await client.next()).toMatchObject({ type: 'subscribe', status: 'success' });
  const snapshot = await client.next();
  expect(snapshot).toMatchObject({ type: 'market_data', mode: 1, snapshot: true, data: { ltp: 2, volume: 5 } });
  expect(Number.isInteger(snapshot['age_ms'])).toBe(true);
  publisher.publishMarketData('SBIN', { ltp: 3 });
  const tick = await client.next();
  expect(tick).toMatchObject({ data: { ltp: 3 } });
  expect(tick).not.toHaveProperty('snapshot');
});

test('a mode whose tick has not come yet has no snapshot', async () => {
  publisher.publishMarketData('SBIN', { type: 1, ltp: 1 });
  await seen(1);
  const client = await running.client();
  await client.ask({ action: 'subscribe', symbol: 'SBIN', exchange: 'NSE', mode: 3 });
  await client.settle();
  expect(client.ticks()).toEqual([]);
});

test('a wildcard’s subscriber gets the last tick of every topic that matches', async () => {
  publisher.publishMarketData('A', { ltp: 1 });
  publisher.publishMarketData('B', { ltp: 2 });
  publisher.publishMarketData('C', { ltp: 3, exchange: 'BSE' });
  await seen(3);
  const client = await running.client();
  await client.ask({ action: 'subscribe', symbol: '*', exchange: 'NSE', mode: 1 });
  await client.settle();
  expect(client.ticks().map((tick) => tick['symbol'])).toEqual(['A', 'B']);
});

test('the option `snapshot: false` leaves it out', async () => {
  const without = await RunningProxy.start({ snapshot: false });
  try {
    without.publisher().publishMarketData('SBIN', { ltp: 1 });
    await until('it was read', () => without.proxy.getStats().subscribers[0]?.messages_received === 1);
    const client = await without.client();
    await client.ask({ action: 'subscribe', symbol: 'SBIN', exchange: 'NSE', mode: 1 });
    await client.settle();
    expect(client.ticks()).toEqual([]);
  } finally {
    await without.stop();
  }
});

test('GET /snapshot gives the same, in the richest form or in the mode asked for', async () => {
  const path = '/snapshot?exchange=NSE&symbol=SBIN';
  expect(await running.get(path)).toMatchObject({ status: 404, body: { code: 'NO_TICK' } });
  publisher.publishMarketData('SBIN', { type: 2, ltp: 1, open: 2 });
  publisher.publishMarketData('SBIN', { type: 1, ltp: 3 });
  await seen(2);
  const richest = await running.get(path);
  expect(richest).toMatchObject({ status: 200, body: { mode: 2, snapshot: true, data: { ltp: 1, open: 2 } } });
  expect((await running.get(`${path}&mode=ltp`)).body).toMatchObject({ mode: 1, data: { ltp: 3 } });
  expect(await running.get(`${path}&mode=9`)).toMatchObject({ status: 400, body: { code: 'INVALID_MODE' } });
  expect(await running.get('/snapshot?symbol=SBIN')).toMatchObject({
    status: 400,
    body: { code: 'INVALID_PARAMETERS' },
  });
});

describe('last values', () => {
  const book = { buy: [{ price: 99, quantity: 5, orders: 1 }], sell: [{ price: 101, quantity: 6, orders: 2 }] };
  const ask = async (mode: number, extra = {}): Promise<Received[]> => {
    const client = await running.client();
    await client.ask({ action: 'subscribe', symbol: 'SBIN', exchange: 'NSE', mode, ...extra });
    await client.settle();
    return client.ticks();
  };

  test('are kept per field: a depth packet without a price hides no price', async () => {
    publisher.publishMarketData('SBIN', { type: 2, ltp: 100, open: 98 });
    publisher.publishMarketData('SBIN', { type: 3, depth: book });
    publisher.publishMarketData('SBIN', { type: 1, volume: 7 });
    await seen(3);
    expect(await ask(1)).toMatchObject([{ snapshot: true, data: { ltp: 100, open: 98, volume: 7, depth: book } }]);
    expect(await ask(2)).toMatchObject([{ snapshot: true, data: { ltp: 100, open: 98, depth: book } }]);
    const [deep] = await ask(3);
    expect(deep).toMatchObject({ snapshot: true, data: { depth: book } });
    // A subscriber of depth has seen none.
    expect(deep?.data).not.toHaveProperty('ltp');
  });

  test('that are old are not sent unasked, and come marked when they are asked for', async () => {
    await running.stop();
    running = await RunningProxy.start({ snapshotMaxAge: 50 });
    publisher = running.publisher();
    publisher.publishMarketData('SBIN', { type: 2, ltp: 1, open: 2 });
    await seen(1);
    await new Promise((resolve) => setTimeout(resolve, 60));
    expect(await ask(1)).toEqual([]);
    const [asked] = await ask(1, { snapshot: true });
    expect(asked).toMatchObject({ snapshot: true, data: { ltp: 1, open: 2 } });
    expect(asked?.['age_ms']).toBeGreaterThanOrEqual(50);
    expect(asked).not.toHaveProperty('oldest_age_ms');
    const { body } = await running.get('/snapshot?exchange=NSE&symbol=SBIN&mode=1');
    expect(body).toMatchObject({ snapshot: true, data: { ltp: 1, open: 2 } });
    // What is recent comes without what is old, unless that is asked for.
    publisher.publishMarketData('SBIN', { type: 2, ltp: 3 });
    await seen(2);
    const [, mixed] = [await ask(1), (await ask(1, { snapshot: true }))[0]];
    expect(mixed).toMatchObject({ data: { ltp: 3, open: 2 } });
    expect(mixed?.['oldest_age_ms']).toBeGreaterThanOrEqual(50);
  });

  test('do not come where the client asks for none', async () => {
    publisher.publishMarketData('SBIN', { ltp: 1 });
    await seen(1);
    expect(await ask(1, { snapshot: false })).toEqual([]);
    expect(await ask(1)).toMatchObject([{ snapshot: true }]);
  });
});
