import { execFileSync, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { Delivery } from '../../src/shm/delivery.ts';
import { type Client, RunningProxy, until } from './running-proxy.ts';

const opened: RunningProxy[] = [];
afterEach(async () => {
  for (const running of opened.splice(0)) await running.stop();
});

async function start(options = {}): Promise<RunningProxy> {
  const running = await RunningProxy.start(options);
  opened.push(running);
  return running;
}

async function subscriber(running: RunningProxy, symbol = 'SBIN'): Promise<Client> {
  const client = await running.client();
  await client.ask({ action: 'subscribe', symbol, exchange: 'NSE', mode: 1 });
  return client;
}

/** The proxies' own: no public name leads to it, so the calls that it gets tell. */
const looked = vi.spyOn(Delivery.prototype, 'ringStats');
const deliveryOf = (): Delivery => looked.mock.contexts.at(-1) as Delivery;

describe('a delivery thread that fails', () => {
  test('costs its clients their connections, is counted and shown, and the proxy goes on', async () => {
    const running = await start({ threads: 2 });
    const publisher = running.publisher();
    const clients = [await subscriber(running), await subscriber(running)];
    const gone: Client[] = [];
    for (const client of clients) void client.closed.then(() => gone.push(client));
    deliveryOf().panic(0);
    await until('one client has gone', () => gone.length === 1);
    await until('the thread runs again', async () => (await running.get('/health')).status === 200);
    const { body } = await running.get('/health');
    expect(body).toMatchObject({ status: 'ok', delivery_restarts: 1 });
    expect(body['last_delivery_failure']).toContain('asked to panic');
    expect(running.proxy.getStats().threads.map(({ restarts }) => restarts)).toEqual([1, 0]);
    expect(running.proxy.getStats()).toMatchObject({ clients: { connected: 1 }, subscriptions: { total: 1 } });
    const anew = await subscriber(running);
    publisher.publishMarketData('SBIN', { ltp: 7 });
    for (const client of [anew, clients.find((client) => !gone.includes(client)) as Client]) {
      expect(await client.nextOf('market_data')).toMatchObject({ data: { ltp: 7 } });
    }
  });

  test('answers what was asked of it', async () => {
    const running = await start();
    running.publisher().publishMarketData('SBIN', { ltp: 1 });
    await until('it was read', () => running.proxy.getStats().threads[0]!.messages_received === 1);
    const delivery = deliveryOf();
    delivery.panic(0);
    const snapshots = Array.from({ length: 5 }, () => delivery.snapshot('NSE', 'SBIN', [1]));
    for (const snapshot of await Promise.all(snapshots))
      expect([undefined, expect.any(Buffer)]).toContainEqual(snapshot);
  });
});

test('ticks reach clients while the event loop of their server stands still', async () => {
  const running = await start();
  const client = spawn(process.execPath, ['__test__/proxy/counting-client.mjs', running.url], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines: string[] = [];
  client.stdout.setEncoding('utf8').on('data', (text: string) => lines.push(...text.trim().split('\n')));
  await until('it is subscribed', () => lines.includes('subscribed'));
  const publisher = running.publisher();
  // Nothing of JavaScript runs in this process until the client has got them all: it ends then.
  for (let ltp = 1; ltp <= 1_000; ltp++) publisher.publishMarketData('SBIN', { ltp });
  execFileSync(process.execPath, ['__test__/proxy/await-end.mjs', String(client.pid)], { timeout: 20_000 });
  await once(client, 'exit').catch(() => undefined);
  await until('its words are read', () => lines.includes('got 1000'));
});

describe('several proxies and threads in one process', () => {
  test('two proxies have clients, figures and ends of their own', async () => {
    const [one, two] = [await start(), await start()];
    const [first, second] = [await subscriber(one), await subscriber(two)];
    one.publisher().publishMarketData('SBIN', { ltp: 1 });
    two.publisher().publishMarketData('SBIN', { ltp: 2 });
    expect(await first.nextOf('market_data')).toMatchObject({ data: { ltp: 1 } });
    expect(await second.nextOf('market_data')).toMatchObject({ data: { ltp: 2 } });
    await opened.shift()!.stop();
    two.publisher().publishMarketData('SBIN', { ltp: 3 });
    expect(await second.nextOf('market_data')).toMatchObject({ data: { ltp: 3 } });
  });

  test('a proxy in a worker thread that is ended in the middle of sending leaves the process as it was', async () => {
    const running = await start();
    const client = await subscriber(running);
    for (let round = 0; round < 3; round++) {
      const worker = new Worker(new URL('proxy-in-worker.mjs', import.meta.url));
      await once(worker, 'message');
      await worker.terminate();
    }
    running.publisher().publishMarketData('SBIN', { ltp: 1 });
    expect(await client.nextOf('market_data')).toMatchObject({ data: { ltp: 1 } });
  });

  test('a child process has none of it: connections end with their server', async () => {
    const running = await start();
    const client = await subscriber(running);
    const child = fork('__test__/proxy/idle-child.mjs');
    await once(child, 'message');
    await running.proxy.stop();
    expect(await client.closed).toMatchObject({ code: 1001 });
    child.disconnect();
    await once(child, 'exit');
  });
});
