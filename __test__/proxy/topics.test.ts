import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { MAX_TOPICS } from '../../src/shm/options.ts';
import type { SharedMemoryPublisher } from '../../src/shm/publisher.ts';
import { Delivery } from '../../src/shm/delivery.ts';
import { type Client, RunningProxy, until } from './running-proxy.ts';

let publisher: SharedMemoryPublisher;
let running: RunningProxy;

beforeEach(async () => {
  running = await RunningProxy.start({ ring: { topics: MAX_TOPICS }, limits: { subscriptionsPerClient: 3000 } });
  publisher = running.publisher();
});
afterEach(() => running.stop());

const invented = (round: number, count = 1000) =>
  Array.from({ length: count }, (_, i) => ({ exchange: 'NSE', symbol: `INVENTED${round}-${i}` }));

/** Whether nothing is kept of these names, nor of what stands behind them. */
async function areForgotten(names: readonly { exchange: string; symbol: string }[]): Promise<void> {
  const isKnown = ({ exchange, symbol }: { exchange: string; symbol: string }): boolean =>
    delivery().findTopic(exchange, symbol) !== undefined;
  // A thread lets go of its own a moment later.
  await until('the names are forgotten', () => !names.some(isKnown));
}

/** The proxy's own: no public name leads to it, so the calls that it gets tell. */
const asked = vi.spyOn(Delivery.prototype, 'ringStats');
const delivery = (): Delivery => asked.mock.contexts.at(-1) as Delivery;

async function subscribe(client: Client, symbols: object[]): Promise<void> {
  client.send({ action: 'subscribe', symbols, mode: 1 });
  await client.nextOf('subscribe');
}

async function unsubscribe(client: Client, symbols: object[]): Promise<void> {
  client.send({ action: 'unsubscribe', symbols });
  await client.nextOf('unsubscribe');
}

test('names that nobody wants leave nothing behind when they are unsubscribed', async () => {
  const client = await running.client();
  await unsubscribe(client, invented(1));
  await areForgotten(invented(1));
  for (let round = 0; round < 5; round++) {
    await subscribe(client, invented(round));
    expect(delivery().findTopic('NSE', `INVENTED${round}-7`)).toBeDefined();
    await unsubscribe(client, invented(round));
    await areForgotten(invented(round));
  }
  // The numbers are given again, so that none of them grows with what is asked.
  expect(delivery().holdTopic('NSE', 'FRESH')).toBeLessThan(3000);
});

test('nor do those of a client that leaves all at once, or goes', async () => {
  const client = await running.client();
  await subscribe(client, invented(1));
  client.send({ action: 'unsubscribe_all' });
  await client.nextOf('unsubscribe');
  await areForgotten(invented(1));
  await subscribe(client, invented(2));
  await client.close();
  await until('it has gone', () => running.proxy.getStats().clients.connected === 0);
  await areForgotten(invented(2));
});

test('nor do those beyond the room of a client', async () => {
  const client = await running.client();
  await subscribe(client, invented(1, 2999));
  const answer = await client.ask({ action: 'subscribe', symbols: invented(2), mode: 1 });
  const lines = answer['subscriptions'] as { status: string; message?: string }[];
  expect(lines.map(({ status }) => status)).toEqual(['success', ...Array<string>(999).fill('error')]);
  expect(lines[1]?.message).toContain('Maximum capacity reached');
  expect(delivery().findTopic('NSE', 'INVENTED2-0')).toBeDefined();
  expect(delivery().findTopic('NSE', 'INVENTED2-1')).toBeUndefined();
  expect(running.proxy.getStats().refused.too_many_subscriptions).toBe(999);
});

test('a name stays as long as one of several clients wants it, and its ticks reach that one', async () => {
  const [one, two] = [await running.client(), await running.client()];
  const symbols = [{ exchange: 'NSE', symbol: 'SBIN' }];
  await subscribe(one, symbols);
  await subscribe(two, symbols);
  await unsubscribe(one, symbols);
  publisher.publishMarketData('SBIN', { ltp: 1 });
  expect(await two.nextOf('market_data')).toMatchObject({ symbol: 'SBIN' });
  await one.settle();
  expect(one.ticks()).toEqual([]);
});

test('the wildcard of an exchange that nobody wants any more stands for no other', async () => {
  const client = await running.client();
  const all = (exchange: string) => [{ exchange, symbol: '*' }];
  for (let round = 0; round < 1100; round += 100) {
    const exchanges = Array.from({ length: 100 }, (_, i) => all(`X${round + i}`)).flat();
    await subscribe(client, exchanges);
    await unsubscribe(client, exchanges);
  }
  await subscribe(client, all('NSE'));
  publisher.publishMarketData('SBIN', { ltp: 1 });
  expect(await client.nextOf('market_data')).toMatchObject({ symbol: 'SBIN' });
  await unsubscribe(client, all('NSE'));
  await subscribe(client, all('BSE'));
  publisher.publishMarketData('SBIN', { ltp: 2 });
  publisher.publishMarketData('TCS', { ltp: 3, exchange: 'BSE' });
  expect(await client.nextOf('market_data')).toMatchObject({ symbol: 'TCS', exchange: 'BSE' });
});

test('ticks of more instruments than are kept are counted', async () => {
  const most = MAX_TOPICS;
  // One publisher can name no more than are kept.
  const other = running.publisher();
  const received = (): number => running.proxy.getStats().threads[0]!.messages_received;
  for (let first = 0; first < most; first += 1024) {
    publisher.publishBatch(Array.from({ length: 1024 }, (_, i) => ({ symbol: String(first + i), ltp: 1 })));
    await until('they were read', () => received() === first + 1024);
  }
  for (let ltp = 0; ltp < 3; ltp++) other.publishMarketData('ONE MORE', { ltp });
  await until('they are counted', () => running.proxy.getStats().messages.dropped === 3);
  expect(running.proxy.getStats().subscribers[0]).toMatchObject({ messages_received: most + 3, messages_lost: 0 });
  const metrics = await (await fetch(`${running.httpUrl}/metrics`)).text();
  expect(metrics).toMatch(/^openalgo_shm_ticks_dropped_total 3$/m);
  expect(metrics).toMatch(/^openalgo_shm_ticks_lost_total 0$/m);
});
