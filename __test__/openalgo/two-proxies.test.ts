import { afterEach, beforeEach, expect, test } from 'vitest';
import { Unpackr } from 'msgpackr';
import { OpenAlgoFeed } from '../../src/feeds/openalgo.ts';
import type { MarketData } from '../../src/message.ts';
import { Client, type Received, RunningProxy, until } from '../proxy/running-proxy.ts';

/** Ages that were carried, ms: so old that no slow machine makes a tick of now of it. */
const CARRIED = 4_000;
const OLDEST = 9_000;

let upper: RunningProxy;
let lower: RunningProxy;
let feed: OpenAlgoFeed;

beforeEach(async () => {
  upper = await RunningProxy.start({ snapshotMaxAge: 3_600_000 });
  lower = await RunningProxy.start();
  feed = new OpenAlgoFeed({ name: lower.ring, url: upper.url, apiKey: 'key', publisherName: 'upper' }).start();
});
afterEach(async () => {
  await feed.stop();
  await lower.stop();
  await upper.stop();
});

/** Publishes in the upper proxy's ring what a client of the lower one will ask for. */
async function before(data: MarketData): Promise<(data: MarketData) => void> {
  const publisher = upper.publisher();
  publisher.publishMarketData('SBIN', data);
  await until(
    'the upper proxy has it',
    async () => (await upper.get('/snapshot?exchange=NSE&symbol=SBIN')).status === 200,
  );
  return (later) => void publisher.publishMarketData('SBIN', later);
}

const subscribe = { action: 'subscribe', symbol: 'SBIN', exchange: 'NSE', mode: 1 };

test('a last value stays one through a chain of proxies, and its age adds up', async () => {
  const publish = await before({ ltp: 625.5, ageMs: CARRIED, oldestAgeMs: OLDEST });
  const client = await lower.client();
  client.send(subscribe);
  const first = await client.nextOf('market_data');
  expect(first).toMatchObject({ snapshot: true, seq: 0, mode: 1, broker: 'upper', data: { ltp: 625.5 } });
  expect(first['age_ms']).toBeGreaterThanOrEqual(CARRIED);
  expect(first['oldest_age_ms']).toBeGreaterThanOrEqual(OLDEST);
  const { body: health } = await lower.get('/health');
  expect(health['last_tick_age_ms']).toBeGreaterThanOrEqual(CARRIED);

  // Asked for later, it is older still.
  await until('a millisecond has passed', async () => {
    const { body } = await lower.get('/snapshot?exchange=NSE&symbol=SBIN');
    expect(body).toMatchObject({ snapshot: true, data: { ltp: 625.5 } });
    return (body['age_ms'] as number) > (first['age_ms'] as number);
  });

  publish({ ltp: 626 });
  const live = await client.nextOf('market_data');
  expect(live).toMatchObject({ seq: 1, data: { ltp: 626 } });
  expect(live).not.toHaveProperty('snapshot');
});

test('so it does in MessagePack', async () => {
  await before({ ltp: 625.5, ageMs: CARRIED });
  const client = new Client(lower.url, {}, ['openalgo-shm.msgpack']);
  const unpackr = new Unpackr({ int64AsType: 'number', mapsAsObjects: true });
  const ticks: Received[] = [];
  client.webSocket.removeAllListeners('message');
  client.webSocket.on('message', (bytes: Buffer, isBinary) => {
    const message = (isBinary ? unpackr.unpack(bytes) : JSON.parse(String(bytes))) as Received;
    if (message['type'] === 'market_data') ticks.push(message);
  });
  client.webSocket.once('open', () => client.send(subscribe));
  await until('it came', () => ticks.length > 0);
  expect(ticks[0]).toMatchObject({ snapshot: true, seq: 0, data: { ltp: 625.5 } });
  expect(ticks[0]!['age_ms']).toBeGreaterThanOrEqual(CARRIED);
  client.webSocket.terminate();
});

test('one that is too old for those who have not asked goes to nobody, and is there for who asks', async () => {
  const publish = await before({ ltp: 625.5, ageMs: 60_000 });
  const client = await lower.client();
  client.send(subscribe);
  await until('it is known', async () => (await lower.get('/snapshot?exchange=NSE&symbol=SBIN')).status === 200);
  publish({ ltp: 626 });
  expect(await client.nextOf('market_data')).toMatchObject({ seq: 1, data: { ltp: 626 } });
  const { body } = await lower.get('/snapshot?exchange=NSE&symbol=SBIN');
  expect(body['data']).toMatchObject({ ltp: 626 });
});

test('it changes no newer value that is known here', async () => {
  const own = lower.publisher({ publisherName: 'own' });
  own.publishMarketData('SBIN', { type: 1, ltp: 700 });
  await before({ type: 1, ltp: 625.5, volume: 5, ageMs: CARRIED });
  const client = await lower.client();
  client.send(subscribe);
  await until('what was missing is filled in', async () => {
    const { body } = await lower.get('/snapshot?exchange=NSE&symbol=SBIN');
    const data = body.data as { ltp: number; volume?: number };
    expect(data.ltp).toBe(700);
    return data.volume === 5;
  });
});
