import { Publisher } from 'zeromq';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ZmqFeed } from '../../src/feeds/zmq.ts';
import { FIELDS, type Mode } from '../../src/message.ts';
import { type Client, RunningProxy, until } from '../proxy/running-proxy.ts';
import { BROKER_TICKS } from './broker-ticks.ts';

/** What a client may find in `data` that the adapter did not write; docs/openalgo.md says so. */
const ADDED: ReadonlySet<string> = new Set([
  ...FIELDS.map(([, wireName]) => wireName).filter((name) => name !== 'timestamp' && name !== 'ltt'),
  'symbol',
  'exchange',
  'mode',
  'last_trade_quantity',
  'avg_trade_price',
  'open_interest',
  'depth_level',
  'ltt_ms',
  'timestamp_ms',
  'exchange_timestamp_ms',
]);
const MODES: Record<string, Mode> = { LTP: 1, QUOTE: 2, DEPTH: 3 };

let running: RunningProxy;
let feed: ZmqFeed;
let bus: Publisher;
const clients = new Map<Mode, Client>();

beforeAll(async () => {
  running = await RunningProxy.start({ ring: { depthLevels: 50 }, snapshot: false });
  feed = new ZmqFeed({ name: running.ring, bind: 'tcp://127.0.0.1:0', publisherName: 'broker' }).start();
  await until('the feed is bound', () => feed.endpoint !== undefined);
  bus = new Publisher();
  bus.connect(feed.endpoint!);
  for (const mode of [1, 2, 3] as const) {
    const client = await running.client();
    await client.ask({ action: 'subscribe', symbol: '*', exchange: '*', mode });
    clients.set(mode, client);
  }
  await until('the bus is heard', async () => {
    await bus.send(['NSE_PROBE_LTP', '{"ltp":1}']);
    return feed.counters.published > 0;
  });
});
afterAll(async () => {
  bus.close();
  await feed.stop();
  await running.stop();
});

/** What the clients of each mode that a tick is for get of it. */
async function received(topic: string, tick: object) {
  const mode = MODES[topic.slice(topic.lastIndexOf('_') + 1)]!;
  await bus.send([topic, JSON.stringify(tick)]);
  const messages = [];
  for (const [wanted, client] of clients) {
    if (wanted > mode) continue;
    let message = await client.nextOf('market_data');
    while (message['symbol'] === 'PROBE') message = await client.nextOf('market_data');
    messages.push(message);
  }
  return messages;
}

describe('a client finds what the adapter wrote, as it gets it from OpenAlgo', () => {
  test.each(BROKER_TICKS)('$name', async ({ topic, tick }) => {
    const messages = await received(topic, tick);
    expect(messages).not.toEqual([]);
    for (const { data = {}, mode, seq, ...message } of messages) {
      const [, exchange, symbol] = /^((?:NSE_INDEX|[A-Z]+))_(.*)_[A-Z]+$/.exec(topic)!;
      expect(message).toEqual({ type: 'market_data', symbol, exchange, broker: 'broker' });
      expect([1, 2, 3]).toContain(mode);
      expect(seq).toBeGreaterThan(0);
      expect(data).toMatchObject(tick);
      const added = Object.keys(data).filter((key) => !(key in tick));
      expect(added.filter((key) => !ADDED.has(key))).toEqual([]);
    }
  });
});

describe('what differs from OpenAlgo, and nothing else does', () => {
  const depth = { buy: [{ price: 1, quantity: 2, orders: 3 }], sell: [] };
  test.each<[string, Record<string, unknown>, Record<string, unknown>]>([
    [
      'numbers as text are numbers',
      { ltp: '1,402.50', change_percent: '1.25%' },
      { ltp: 1402.5, change_percent: 1.25 },
    ],
    ['null, the empty text and a dash are absent', { ltp: 1, oi: null, open: '', high: '-' }, { ltp: 1 }],
    ['what cannot be read is absent', { ltp: 1, volume: 'N/A', oi: true, ltt: '03:29:59 PM' }, { ltp: 1 }],
    ['a timestamp of 0 is absent', { ltp: 1, timestamp: 0 }, { ltp: 1 }],
    [
      'levels have one form, with the number of orders, and nothing else',
      { depth: { bids: [[1, 2, 3]], asks: [{ price: '2', qty: 5 }], timestamp: 1_795_600_799_123 } },
      { depth: { buy: depth.buy, sell: [{ price: 2, quantity: 5, orders: 0 }] }, depth_level: 1 },
    ],
    ['sides beside the fields are a book', { buy: depth.buy, sell: [] }, { depth, depth_level: 1 }],
    ['prices of the day in a dictionary of their own stand beside the others', { ohlc: { open: 1 } }, { open: 1 }],
    ['other lists and dictionaries under unknown keys are absent', { ltp: 1, greeks: { delta: 1 } }, { ltp: 1 }],
    ['what has no room is absent', { ltp: 1, remark: 'x'.repeat(300) }, { ltp: 1 }],
  ])('%s', async (_, tick, expected) => {
    const [message] = await received('NSE_TCS_DEPTH', tick);
    const { symbol: _symbol, exchange: _exchange, mode: _mode, ...data } = message!.data!;
    expect(data).toEqual(expected);
  });

  test('not a number is null, which JSON has a word for', async () => {
    await bus.send(['NSE_TCS_LTP', '{"ltp":NaN,"volume":1}']);
    const message = await clients.get(1)!.nextOf('market_data');
    expect(message.data).toMatchObject({ ltp: null, volume: 1 });
  });

  test('times are as the adapter wrote them, and in ms under names of their own', async () => {
    const forms = { ltt: '25-Nov-2026 15:29:59', timestamp: 1_795_600_799, last_trade_time: '15:29:59' };
    const [message] = await received('NSE_TCS_LTP', { ltp: 1, ...forms });
    expect(message!.data).toEqual({
      symbol: 'TCS',
      exchange: 'NSE',
      mode: 1,
      ltp: 1,
      ...forms,
      ltt_ms: 1_795_600_799_000,
      timestamp_ms: 1_795_600_799_000,
    });
  });
});
