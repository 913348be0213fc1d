import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { SharedMemoryBrokerAdapter } from '../../src/feeds/broker-adapter.ts';
import { SYNONYMS } from '../../src/feeds/dialect-table.ts';
import type { MarketData, Tick } from '../../src/message.ts';
import type { SharedMemoryPublisher } from '../../src/shm/publisher.ts';
import { type Client, type Received, RunningProxy } from './running-proxy.ts';

const numbers = (...names: string[]): number[] => {
  return names.map((name) => SYNONYMS.findIndex(([, synonym]) => synonym === name));
};

let running: RunningProxy;
let publisher: SharedMemoryPublisher;
let client: Client;

beforeEach(async () => {
  running = await RunningProxy.start();
  publisher = running.publisher();
  client = await running.client();
  await client.ask({ action: 'subscribe', symbol: 'TCS', exchange: 'NSE', mode: 1 });
});
afterEach(() => running.stop());

/** What a client gets of a tick beside what every tick has. */
function fieldsOf(message: Received): Record<string, unknown> {
  const { symbol: _, exchange: __, mode: ___, timestamp: ____, ...fields } = message.data!;
  return fields;
}

async function received(data: MarketData): Promise<Record<string, unknown>> {
  publisher.publishMarketData('TCS', data);
  return fieldsOf(await client.nextOf('market_data'));
}

describe('a client reads a value under the wire name and under each name that the adapter used', () => {
  const depth = { buy: [{ price: 9, quantity: 5, orders: 1 }], sell: [{ price: 11, quantity: 6, orders: 2 }] };
  test.each<[string, MarketData, Record<string, unknown>]>([
    ['of a price', { ltp: 7, synonyms: numbers('last_price') }, { ltp: 7, last_price: 7 }],
    [
      'of two names of one field',
      { ltp: 7, synonyms: numbers('last_price', 'last_traded_price') },
      { ltp: 7, last_price: 7, last_traded_price: 7 },
    ],
    [
      'of a quote',
      { ltp: 7, bid: 6.5, ask: 7.5, lastQuantity: 3, synonyms: numbers('bid_price', 'ask_price', 'ltq') },
      { ltp: 7, bid: 6.5, bid_price: 6.5, ask: 7.5, ask_price: 7.5, last_quantity: 3, last_trade_quantity: 3, ltq: 3 },
    ],
    [
      'of a name with a dot and spaces',
      { turnover: 7, synonyms: numbers('tot. traded value') },
      { turnover: 7, 'tot. traded value': 7 },
    ],
    [
      'of names in both words',
      { ltp: 7, open: 8, synonyms: numbers('open_price', 'last_price') },
      { ltp: 7, last_price: 7, open: 8, open_price: 8 },
    ],
    ['of the second word alone', { open: 8, synonyms: numbers('open_price') }, { open: 8, open_price: 8 }],
    ['of a book', { bid: 9, depth, synonyms: numbers('bid_price') }, { bid: 9, bid_price: 9, depth, depth_level: 1 }],
    ['of one that every client gets', { oi: 7, synonyms: numbers('open_interest') }, { oi: 7, open_interest: 7 }],
  ])('%s', async (_, data, expected) => {
    expect(await received(data)).toEqual(expected);
  });
});

test('a name whose field is absent, and a number without a name, say nothing', async () => {
  expect(await received({ ltp: 7, synonyms: [...numbers('bid_price', 'last_price'), 71, 127] })).toEqual({
    ltp: 7,
    last_price: 7,
  });
});

test('a tick without synonyms has none of the tick before it', async () => {
  await received({ ltp: 7, open: 8, synonyms: numbers('last_price', 'open_price') });
  expect(await received({ ltp: 9, open: 10 })).toEqual({ ltp: 9, open: 10 });
  expect(await received({ ltp: 9, open: 10, synonyms: [] })).toEqual({ ltp: 9, open: 10 });
  expect(await received({ ltp: 9, open: 10, synonyms: numbers('open_price') })).toEqual({
    ltp: 9,
    open: 10,
    open_price: 10,
  });
  publisher.topic('TCS').ltp(11);
  expect(fieldsOf(await client.nextOf('market_data'))).toEqual({ ltp: 11 });
});

test('each tick of a batch has its own', async () => {
  const ticks = Array.from({ length: 100 }, (_, i): Tick => ({
    symbol: 'TCS',
    ltp: i,
    open: 1,
    synonyms: [[], numbers('last_price'), numbers('open_price')][i % 3]!,
  }));
  publisher.publishBatch(ticks);
  for (let i = 0; i < 100; i++) {
    const expected = [{}, { last_price: i }, { open_price: 1 }][i % 3];
    expect(fieldsOf(await client.nextOf('market_data'))).toEqual({ ltp: i, open: 1, ...expected });
  }
});

test('the last tick that a new subscriber gets has its names, too, in every mode that it counts for', async () => {
  await received({ ltp: 7, open: 8, synonyms: numbers('last_price', 'open_price') });
  for (const mode of [1, 2]) {
    const late = await running.client();
    late.send({ action: 'subscribe', symbol: 'TCS', exchange: 'NSE', mode });
    const snapshot = await late.nextOf('market_data');
    expect(snapshot).toMatchObject({ mode, snapshot: true });
    expect(fieldsOf(snapshot)).toEqual({ ltp: 7, last_price: 7, open: 8, open_price: 8 });
  }
});

test("what a broker's adapter wrote is what a client reads, and one bad value costs only itself", async () => {
  using adapter = new SharedMemoryBrokerAdapter('fivepaisa', { name: running.ring });
  const raw = { ltp: 1402.5, bid_price: 1402.4, ask_size: 7, ltq: 3, cp: 1400, volume: 'N/A', '52w_high': 1600 };
  adapter.publishTickData('TCS', raw);
  const { volume: _, ...written } = raw;
  expect(fieldsOf(await client.nextOf('market_data'))).toMatchObject(written);
  expect(adapter.getStats().unreadableKeys).toEqual({ volume: 1 });
});
