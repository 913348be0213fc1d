import { afterEach, beforeEach, expect, test } from 'vitest';
import { MAX_TOPICS } from '../../src/shm/options.ts';
import { SharedMemoryPublisher } from '../../src/shm/publisher.ts';
import { LockFreeRingBuffer } from '../../src/shm/ring-buffer.ts';
import { TickEncoder } from '../../src/shm/tick-encoder.ts';
import { type Client, RunningProxy, until } from './running-proxy.ts';

const name = `test-topics-${process.pid}`;
let encoder: TickEncoder;
let publisher: SharedMemoryPublisher;
let running: RunningProxy;

beforeEach(async () => {
  encoder = new TickEncoder({ name, topics: MAX_TOPICS });
  publisher = new SharedMemoryPublisher({ name, publisherName: 'zerodha' }).start();
  running = await RunningProxy.start({ source: () => encoder, limits: { subscriptionsPerClient: 3000 } });
});
afterEach(async () => {
  publisher.stop();
  await running.stop();
  LockFreeRingBuffer.unlink(name);
});

const invented = (round: number, count = 1000) =>
  Array.from({ length: count }, (_, i) => ({ exchange: 'NSE', symbol: `INVENTED${round}-${i}` }));

/** Whether nothing is kept of any name: then the next one gets the first number. */
function isEmpty(): boolean {
  const topic = encoder.topic('NSE', 'FRESH');
  encoder.want(topic, 0);
  return topic === 0;
}

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
  expect(isEmpty()).toBe(true);
  for (let round = 0; round < 5; round++) {
    await subscribe(client, invented(round));
    expect(isEmpty()).toBe(false);
    await unsubscribe(client, invented(round));
    expect(isEmpty()).toBe(true);
  }
});

test('nor do those of a client that leaves all at once, or goes', async () => {
  const client = await running.client();
  await subscribe(client, invented(1));
  client.send({ action: 'unsubscribe_all' });
  await client.nextOf('unsubscribe');
  expect(isEmpty()).toBe(true);
  await subscribe(client, invented(2));
  await client.close();
  await until('it has gone', () => running.proxy.getStats().clients.connected === 0);
  expect(isEmpty()).toBe(true);
});

test('nor do those beyond the room of a client', async () => {
  const client = await running.client();
  await subscribe(client, invented(1, 2999));
  const answer = await client.ask({ action: 'subscribe', symbols: invented(2), mode: 1 });
  const lines = answer['subscriptions'] as { status: string; message?: string }[];
  expect(lines.map(({ status }) => status)).toEqual(['success', ...Array<string>(999).fill('error')]);
  expect(lines[1]?.message).toContain('Maximum capacity reached');
  expect(encoder.topicName(2999)).toMatchObject({ symbol: 'INVENTED2-0' });
  expect(encoder.topicName(3000)).toBeUndefined();
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
  // One publisher can name no more than the encoder keeps.
  const other = new SharedMemoryPublisher({ name }).start();
  for (let first = 0; first < most; first += 1024) {
    publisher.publishBatch(Array.from({ length: 1024 }, (_, i) => ({ symbol: String(first + i), ltp: 1 })));
    encoder.drain();
  }
  for (let ltp = 0; ltp < 3; ltp++) other.publishMarketData('ONE MORE', { ltp });
  other.stop();
  await until('they are counted', () => running.proxy.getStats().messages.dropped === 3);
  expect(running.proxy.getStats().subscribers[0]).toMatchObject({ messages_received: most + 3, messages_lost: 0 });
  const metrics = await (await fetch(`${running.httpUrl}/metrics`)).text();
  expect(metrics).toMatch(/^openalgo_shm_ticks_dropped_total\{worker="0"\} 3$/m);
  expect(metrics).toMatch(/^openalgo_shm_ticks_lost_total\{worker="0"\} 0$/m);
});
