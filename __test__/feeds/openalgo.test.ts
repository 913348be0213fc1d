import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { OpenAlgoFeed, type OpenAlgoFeedOptions } from '../../src/feeds/openalgo.ts';
import { EventReader, type RingEvent } from '../../src/shm/events.ts';
import { InterestPublisher } from '../../src/shm/interest.ts';
import { LockFreeRingBuffer } from '../../src/shm/ring-buffer.ts';
import { type SubscriptionResult, readResults } from '../../src/shm/subscription-results.ts';
import { userOfKey } from '../../src/user-of-key.ts';
import { until } from '../shm/living.ts';
import { Listener } from './listener.ts';
import { StandInOpenAlgo } from './stand-in.ts';

const LTP = 1 << 1;
const QUOTE = 1 << 2;
const DEPTH = 1 << 3;
const QUICK = { firstMs: 5, longestMs: 50 };

let server: StandInOpenAlgo;
let listener: Listener;
let clients: InterestPublisher;
let feeds: OpenAlgoFeed[];
let readers: EventReader[];

function feed(options: Partial<OpenAlgoFeedOptions> = {}): OpenAlgoFeed {
  const made = new OpenAlgoFeed({
    name: listener.ring.name,
    url: server.url,
    apiKey: 'good-key',
    graceMs: 20,
    reconnect: QUICK,
    retry: QUICK,
    login: QUICK,
    ...options,
  }).start();
  made.done.catch(() => undefined);
  feeds.push(made);
  return made;
}

async function subscribed(...expected: string[]): Promise<void> {
  let found: string[] = [];
  await until(`subscribed is ${expected.join(', ')}`, async () => {
    found = await server.subscribed();
    return found.join() === [...expected].sort().join();
  }).catch((error: Error) => {
    throw new Error(`${error.message}; it is ${found.join(', ')}`, { cause: error });
  });
}

/** What is told of the symbols of an exchange, the newest of each. */
function resultsOf(exchange: string): Map<string, SubscriptionResult> {
  const results = new Map<string, SubscriptionResult>();
  const reader = new EventReader({ name: listener.ring.name });
  readers.push(reader);
  reader.onEvent((event) => {
    if (event.type !== 'subscription_result') return;
    for (const result of readResults(event).results)
      if (result.exchange === exchange) results.set(result.symbol, result);
  });
  return results;
}

beforeEach(async () => {
  readers = [];
  server = await StandInOpenAlgo.start();
  listener = new Listener('openalgo', { depthLevels: 50 });
  clients = new InterestPublisher({ name: listener.ring.name });
  feeds = [];
});

afterEach(async () => {
  await Promise.all(feeds.map((feed) => feed.stop().catch(() => undefined)));
  clients.close();
  for (const reader of readers) reader.close();
  listener.close();
  for (const kind of ['interest', 'events']) LockFreeRingBuffer.unlink(`${listener.ring.name}.${kind}`);
  await server.end();
});

describe('the feed of a running OpenAlgo', () => {
  test('subscribes upstream to what clients want, each topic and mode once', async () => {
    feed();
    const others = new InterestPublisher({ name: listener.ring.name });
    clients.set('NSE', 'RELIANCE', LTP | DEPTH, 20);
    others.set('NSE', 'RELIANCE', LTP, 0);
    others.set('NSE_INDEX', 'NIFTY', QUOTE, 0);
    await subscribed('NSE:RELIANCE 1 5', 'NSE:RELIANCE 3 20', 'NSE_INDEX:NIFTY 2 5');
    others.close();
    await subscribed('NSE:RELIANCE 1 5', 'NSE:RELIANCE 3 20');
  });

  test('publishes what comes, under the name of the broker', async () => {
    feed();
    clients.set('NFO', 'NIFTY28APR2425000CE', QUOTE, 0);
    await subscribed('NFO:NIFTY28APR2425000CE 2 5');
    const data = {
      ltp: 101.5,
      ltt: 1748426445,
      timestamp: 1748426445123,
      volume: 1200,
      oi: 55,
      mode: 'quote',
      atp: 100.25,
    };
    server.tell('tick', { exchange: 'NFO', symbol: 'NIFTY28APR2425000CE', mode: 2, data });
    await listener.until('the tick is there', ({ ticks }) => ticks.length === 1);
    expect(listener.ticks[0]).toEqual({
      symbol: 'NIFTY28APR2425000CE',
      exchange: 'NFO',
      type: 2,
      ltp: 101.5,
      ltt: 1748426445000,
      timestamp: 1748426445123,
      volume: 1200,
      oi: 55,
      averagePrice: 100.25,
      members: { ltt: 1748426445, mode: 'quote' },
    });
    expect([...listener.publishers]).toEqual(['mock']);
  });

  test.each([5, 20, 50])('passes books of %i levels on, whole', async (levels) => {
    feed();
    clients.set('NSE', 'TCS:50', DEPTH, levels);
    await subscribed(`NSE:TCS:50 3 ${levels}`);
    server.tell('burst');
    await listener.until('the book is there', ({ ticks }) => ticks.length === 1);
    const [tick] = listener.ticks;
    expect(tick?.symbol).toBe('TCS:50');
    expect(tick?.depth?.buy).toHaveLength(levels);
    expect(tick?.depth?.sell.at(-1)).toEqual({
      price: (tick?.ltp ?? 0) + 0.05 * levels,
      quantity: 10 * levels,
      orders: levels,
    });
  });

  test('asks for a deeper book when somebody wants one: OpenAlgo keeps the one that it has until that is left', async () => {
    const results = resultsOf('NSE');
    feed();
    clients.set('NSE', 'TCS', DEPTH, 5);
    await subscribed('NSE:TCS 3 5');
    clients.set('NSE', 'TCS', DEPTH, 20);
    await subscribed('NSE:TCS 3 20');
    await until('it is told', () => results.get('TCS')?.depth === 20);
  });

  test('tells the depth that comes: what OpenAlgo says, and no more than the ring has room for', async () => {
    server.tell('faults', { mostLevels: 5 });
    const results = resultsOf('NSE');
    feed();
    clients.set('NSE', 'TCS', DEPTH, 20);
    await until('it is told', () => results.get('TCS')?.depth === 5);
    await subscribed('NSE:TCS 3 5');
  });

  test('subscribes to thousands in batches', async () => {
    feed({ batchSize: 500 });
    for (let i = 0; i < 2_000; i++) clients.set('NFO', `OPTION${i}`, QUOTE, 0);
    await until('all are subscribed', async () => (await server.subscribed()).length === 2_000);
    const { subscribes, longest } = await server.report();
    expect(longest).toBe(500);
    expect(subscribes).toBeLessThan(20);
  });

  test('sends one symbol in a message to a server that takes no more', async () => {
    server.tell('faults', { onePerMessage: true });
    feed();
    for (let i = 0; i < 50; i++) clients.set('NSE', `SHARE${i}`, LTP, 0);
    await until('all are subscribed', async () => (await server.subscribed()).length === 50);
    expect((await server.report()).longest).toBe(1);
    for (let i = 1; i < 50; i++) clients.set('NSE', `SHARE${i}`, 0, 0);
    await subscribed('NSE:SHARE0 1 5');
  });

  test('asks again for what was refused, and only for that', async () => {
    server.tell('faults', { refuse: ['NSE:NEWLISTING'] });
    const { counters } = feed();
    clients.set('NSE', 'NEWLISTING', LTP, 0);
    clients.set('NSE', 'TCS', LTP, 0);
    await subscribed('NSE:TCS 1 5');
    await until('it was refused more than once', () => counters.refused > 1);
    server.tell('faults', { refuse: [] });
    await subscribed('NSE:NEWLISTING 1 5', 'NSE:TCS 1 5');
  });

  test('asks again when the server answers with an error', async () => {
    server.tell('faults', { failRequests: 3 });
    feed();
    clients.set('NSE', 'TCS', LTP, 0);
    clients.set('NSE', 'INFY', LTP, 0);
    await subscribed('NSE:INFY 1 5', 'NSE:TCS 1 5');
  });

  test('connects anew to a server that gives no answer', async () => {
    server.tell('faults', { ignoreRequests: 1 });
    const { counters } = feed({ answerTimeoutMs: 200 });
    clients.set('NSE', 'TCS', LTP, 0);
    await subscribed('NSE:TCS 1 5');
    expect(counters.connections).toBe(2);
  });

  test.each([
    ['a list without the symbol', '{"type":"subscribe","status":"partial","subscriptions":[],"request_id":"ID"}'],
    [
      'a list of names that are none',
      '{"type":"subscribe","status":"partial","subscriptions":[{"symbol":{"toString":1},"exchange":"NSE"}],"request_id":"ID"}',
    ],
    ['an error that is none', '{"status":"error","code":{"toString":1},"message":{"toString":1}}'],
    ['a list of nonsense', '{"type":"subscribe","status":"partial","subscriptions":[7,null,{}],"request_id":"ID"}'],
    ['no list', '{"type":"subscribe","status":"partial","subscriptions":"none","request_id":"ID"}'],
    ['an error without a word', '{"status":"error"}'],
    [
      'answers to others before its own',
      '{"type":"auth","status":"success"}',
      '{"type":"subscribe","status":"success","request_id":"other"}',
    ],
  ])('survives %s in the place of an answer', async (_what, ...answers) => {
    server.tell('faults', { answers: [...answers, ...answers] });
    const { counters } = feed({ answerTimeoutMs: 300 });
    clients.set('NSE', 'TCS', LTP, 0);
    clients.set('NSE', 'INFY', LTP, 0);
    await subscribed('NSE:INFY 1 5', 'NSE:TCS 1 5');
    expect(counters.refused).toBe(0);
  });

  test('hears the end of a subscription that comes in one packet with its success', async () => {
    const results = resultsOf('NSE');
    const success = '{"type":"subscribe","status":"success","request_id":"ID"}';
    const notice = { type: 'subscription_refused', exchange: 'NSE', symbol: 'TCS', mode: 1, message: 'delisted' };
    server.tell('faults', { answers: [[success, JSON.stringify(notice)]] });
    feed({ retry: { firstMs: 3_600_000, longestMs: 3_600_000 } });
    clients.set('NSE', 'TCS', LTP, 0);
    await until('the end is told', () => results.get('TCS')?.message === 'delisted');
  });

  test('finds the symbol that makes a whole list fail, and subscribes to the others', async () => {
    server.tell('faults', { poison: ['NSE:POISON'] });
    const { counters } = feed();
    for (const symbol of ['TCS', 'POISON', 'INFY']) clients.set('NSE', symbol, LTP, 0);
    await subscribed('NSE:INFY 1 5', 'NSE:TCS 1 5');
    await until('it counts as refused', () => counters.refused > 0);
    expect(counters.connections).toBe(1);
  });

  test('survives an unsubscribe that is refused', async () => {
    server.tell('faults', { keep: ['NSE:TCS'] });
    const running = feed();
    clients.set('NSE', 'TCS', DEPTH, 5);
    clients.set('NSE', 'INFY', LTP, 0);
    await subscribed('NSE:INFY 1 5', 'NSE:TCS 3 5');
    clients.set('NSE', 'TCS', 0, 0);
    await subscribed('NSE:INFY 1 5');
    clients.set('NSE', 'TCS', DEPTH, 5);
    await subscribed('NSE:INFY 1 5', 'NSE:TCS 3 5');
    expect(running.counters.connections).toBe(1);
  });

  test('is not taken for silent while the server works on a long list', async () => {
    server.tell('faults', { msPerSymbol: 2 });
    const { counters } = feed({ pingIntervalMs: 50 });
    for (let i = 0; i < 200; i++) clients.set('NSE', `SHARE${i}`, LTP, 0);
    await until('all are subscribed', async () => (await server.subscribed()).length === 200);
    expect(counters.connections).toBe(1);
  });

  test('has 100 of 3,100 symbols refused, where the broker takes 3,000, and nothing else suffers', async () => {
    const results = resultsOf('NSE');
    const { counters } = feed();
    for (let i = 0; i < 3_100; i++) clients.set('NSE', `SHARE${i}`, LTP, 0);
    await until('each has its result', () => results.size === 3_100);
    const refused = [...results].filter(([, { status }]) => status === 'error');
    expect(refused).toHaveLength(100);
    expect(refused[0]?.[1].message).toMatch(/^Maximum capacity reached: .*Currently subscribed to 3000 symbols\.$/);
    expect((await server.subscribed()).length).toBe(3_000);
    expect(counters.connections).toBe(1);
    // As proxies do: what was refused has ended.
    for (const [symbol] of refused) clients.set('NSE', symbol, 0, 0);
    clients.set('NSE', 'SHARE0', 0, 0);
    const [last] = refused.at(-1) as [string, unknown];
    await until('one has left', async () => (await server.subscribed()).length === 2_999);
    clients.set('NSE', last, LTP, 0);
    await until('another has taken its place', () => results.get(last)?.status === 'success');
  });

  test('tries at once when a client wants something, however long it would still wait', async () => {
    const reconnect = { firstMs: 3_600_000, longestMs: 3_600_000 };
    const { counters } = feed({ reconnect });
    clients.set('NSE', 'TCS', LTP, 0);
    await subscribed('NSE:TCS 1 5');
    const { port } = server;
    await server.end();
    server = await StandInOpenAlgo.start(port);
    clients.set('NSE', 'INFY', LTP, 0);
    await subscribed('NSE:INFY 1 5', 'NSE:TCS 1 5');
    expect(counters.connections).toBe(2);
  });

  test('keeps a topic for the grace period, for clients that come back', async () => {
    const running = feed({ graceMs: 3_600_000 });
    clients.set('NSE', 'TCS', LTP, 0);
    await subscribed('NSE:TCS 1 5');
    clients.set('NSE', 'TCS', 0, 0);
    await until('nobody wants it', () => running.subscriptions.wanted === 0);
    clients.set('NSE', 'INFY', LTP, 0);
    await subscribed('NSE:INFY 1 5', 'NSE:TCS 1 5');
    clients.set('NSE', 'TCS', LTP, 0);
    await until('both are wanted', () => running.subscriptions.wanted === 2);
    const { subscribes, unsubscribes } = await server.report();
    expect([subscribes, unsubscribes]).toEqual([2, 0]);
  });

  test('comes back after a disconnect with what is wanted by then', async () => {
    const { counters } = feed();
    clients.set('NSE', 'TCS', LTP, 0);
    clients.set('NSE', 'INFY', LTP, 0);
    await subscribed('NSE:INFY 1 5', 'NSE:TCS 1 5');
    const port = server.port;
    await server.end();
    await until('it has tried in vain', () => counters.failedAttempts > 1);
    clients.set('NSE', 'INFY', 0, 0);
    clients.set('BSE', 'SENSEX', QUOTE, 0);
    server = await StandInOpenAlgo.start(port);
    await subscribed('BSE:SENSEX 2 5', 'NSE:TCS 1 5');
    expect(counters.connections).toBe(2);
    expect(counters.awayMs).toBeGreaterThan(0);
  });

  test('survives a server that drops it again and again', async () => {
    const { counters } = feed();
    clients.set('NSE', 'TCS', LTP, 0);
    for (let times = 1; times <= 5; times++) {
      await subscribed('NSE:TCS 1 5');
      server.tell('drop');
      await until('it is back', () => counters.connections > times);
    }
    await subscribed('NSE:TCS 1 5');
  });

  test('waits longer and longer for a server that takes every connection and drops it', async () => {
    const waits: string[] = [];
    const warn = (message: string): unknown => waits.push(/trying again in (.*)$/.exec(message)?.[1] ?? message);
    const { counters } = feed({ reconnect: { random: () => 1 }, log: { info: () => {}, warn } });
    for (let times = 1; times <= 3; times++) {
      await until('it is connected', () => counters.connections === times);
      server.tell('drop');
      await until('it waits', () => waits.length === times);
    }
    expect(waits).toEqual(['0.2 s', '0.4 s', '0.8 s']);
  });

  test('keeps its own name where that of the broker cannot be one', async () => {
    server.tell('faults', { broker: 'b'.repeat(49) });
    const warnings: string[] = [];
    const running = feed({ log: { info: () => {}, warn: (message) => warnings.push(message) } });
    clients.set('NSE', 'TCS', LTP, 0);
    await subscribed('NSE:TCS 1 5');
    server.tell('burst');
    await listener.until('a tick', ({ ticks }) => ticks.length === 1);
    expect([[...listener.publishers], running.name]).toEqual([['openalgo'], 'openalgo']);
    expect(warnings).toEqual([expect.stringContaining('stays openalgo')]);
  });

  test('shows nothing of its address that may be a secret', async () => {
    const said: string[] = [];
    const say = (message: string): unknown => said.push(message);
    const url = server.url.replace('ws://', 'ws://alice:secret@');
    feed({ url: `${url}/feed?token=secret`, log: { info: say, warn: say } });
    await until('it is connected', () => said.length >= 1);
    server.tell('drop');
    await until('it is gone', () => said.length >= 2);
    await server.end();
    await until('it is not there', () => said.length > 3);
    expect(said.filter((message) => message.includes('secret') || message.includes('alice'))).toEqual([]);
    expect(said[0]).toContain(`connected to OpenAlgo at ${server.url}/feed`);
  });

  test('notices a server that stands still, and comes back when it goes on', async () => {
    const { counters } = feed({ pingIntervalMs: 50, answerTimeoutMs: 500 });
    clients.set('NSE', 'TCS', LTP, 0);
    await subscribed('NSE:TCS 1 5');
    const before = counters.connections;
    server.standStill();
    await until('it has tried in vain to connect anew', () => counters.failedAttempts > 0);
    server.goOn();
    await until('it is back', () => counters.connections > before);
    await subscribed('NSE:TCS 1 5');
  });

  test('ends at once with the message of the server when the key is bad', async () => {
    const running = feed({ apiKey: 'bad-key' });
    await expect(running.done).rejects.toMatchObject({
      code: 'ERR_UPSTREAM',
      message: 'OpenAlgo refuses (AUTHENTICATION_ERROR): Invalid API key',
    });
    expect(running.running).toBe(false);
  });

  test('keeps trying when a key that was good is refused, and when the broker is not ready', async () => {
    const { counters } = feed();
    await until('it is connected', () => counters.connections === 1);
    server.tell('faults', { refuseKey: true });
    server.tell('drop');
    await until('it was refused', () => counters.failedAttempts > 1);
    server.tell('faults', { refuseKey: false, brokerDown: true });
    const before = counters.failedAttempts;
    await until('it was refused again', () => counters.failedAttempts > before + 1);
    server.tell('faults', { brokerDown: false });
    await until('it is back', () => counters.connections === 2);
  });

  test('goes by the mode beside the tick, whatever the adapter says inside', async () => {
    const { counters } = feed();
    clients.set('NSE', 'TCS', QUOTE, 0);
    await subscribed('NSE:TCS 2 5');
    const depth = { buy: [{ price: 99, quantity: 1, orders: 1 }], sell: [] };
    server.tell('tick', {
      exchange: 'NSE',
      symbol: 'TCS',
      mode: 3,
      data: { ltp: 1, mode: 'full', symbol: 'tcs', depth },
    });
    server.tell('tick', { exchange: 'NSE', symbol: 'TCS', mode: 2, data: { ltp: 2, mode: 'ltpc' } });
    await listener.until('both are there', ({ ticks }) => ticks.length === 2);
    expect(listener.ticks).toEqual([
      { exchange: 'NSE', symbol: 'TCS', type: 2, ltp: 1, depth, members: { mode: 'full', symbol: 'tcs' } },
      { exchange: 'NSE', symbol: 'TCS', type: 2, ltp: 2, members: { mode: 'ltpc' } },
    ]);
    expect(counters.malformed).toBe(0);
  });

  test('passes the last value of another proxy on as what it is, with its age', async () => {
    feed();
    clients.set('NSE', 'TCS', LTP, 0);
    await subscribed('NSE:TCS 1 5');
    const message = { type: 'market_data', symbol: 'TCS', exchange: 'NSE', mode: 1, data: { ltp: 1 } };
    for (const age of [{ age_ms: 4000, oldest_age_ms: 9000 }, { age_ms: 4000 }, {}]) {
      server.tell('raw', { text: JSON.stringify({ ...message, snapshot: true, ...age }) });
    }
    server.tell('raw', { text: JSON.stringify({ ...message, snapshot: false, age_ms: 5 }) });
    await listener.until('all are there', ({ ticks }) => ticks.length === 4);
    expect(listener.ticks.map(({ ageMs, oldestAgeMs }) => [ageMs, oldestAgeMs])).toEqual([
      [4000, 9000],
      [4000, 4000],
      // Of unknown age: as old as can be.
      [2 ** 32 - 1, 2 ** 32 - 1],
      [undefined, undefined],
    ]);
  });

  test('leaves values out that cannot be read, counts them by their keys and names the first of each', async () => {
    const warnings: string[] = [];
    const { counters } = feed({ log: { info: () => {}, warn: (message) => warnings.push(message) } });
    clients.set('NSE', 'TCS', LTP, 0);
    await subscribed('NSE:TCS 1 5');
    for (const ltp of [1, 2]) {
      const data = { ltp, volume: 'N/A', oi: true, depth: { buy: [{ price: 1, quantity: 'x' }] } };
      server.tell('tick', { exchange: 'NSE', symbol: 'TCS', mode: 1, data });
    }
    await listener.until('both are there', ({ ticks }) => ticks.length === 2);
    expect(listener.ticks).toEqual([1, 2].map((ltp) => ({ exchange: 'NSE', symbol: 'TCS', type: 1, ltp })));
    expect(counters.unreadableKeys).toEqual({ volume: 2, oi: 2, depth: 2 });
    expect(counters.malformed).toBe(0);
    expect(warnings).toEqual([
      'volume left out, 1 so far: volume must be a number or text with a number, got "N/A"',
      'oi left out, 1 so far: oi must be a number or text with a number, got boolean true',
      'depth left out, 1 so far: depth.buy[0].quantity must be a number or text with a number, got "x"',
    ]);
  });

  test('counts what it cannot understand, shows a sample, and goes on', async () => {
    const warnings: string[] = [];
    const { counters } = feed({ log: { info: () => {}, warn: (message) => warnings.push(message) } });
    clients.set('NSE', 'TCS', LTP, 0);
    await subscribed('NSE:TCS 1 5');
    for (const text of [
      '{"type":"market_data"',
      '[1]',
      '{"type":"market_data","symbol":"TCS","mode":1,"data":{"ltp":1}}',
      '{"type":"market_data","symbol":"TCS","exchange":"NSE","mode":1,"data":{"ltp":{}}}',
      '{"type":"news","text":"of no concern"}',
    ]) {
      server.tell('raw', { text });
    }
    server.tell('tick', { exchange: 'NSE', symbol: 'TCS', mode: 1, data: { ltp: 'NaN', volume: 5 } });
    server.tell('tick', { exchange: 'NSE', symbol: 'TCS', mode: 1, data: { ltp: 3500 } });
    await listener.until('the last tick is there', ({ ticks }) => ticks.at(-1)?.ltp === 3500);
    expect(listener.ticks[0]).toMatchObject({ ltp: Number.NaN, volume: 5 });
    expect(counters.malformed).toBe(4);
    expect(counters.published).toBe(2);
    expect(warnings).toEqual([
      expect.stringContaining('{"type":"market_data"'),
      expect.stringContaining('ltp left out, 1 so far'),
    ]);
  });

  test('passes order updates on with who owns them', async () => {
    const events: RingEvent[] = [];
    const reader = new EventReader({ name: listener.ring.name });
    reader.onEvent((event) => events.push(event));
    const { counters } = feed();
    const update = { user_id: 'bench_user', mode: 'live', broker: 'mock', orderid: '240', order_status: 'complete' };
    await until('the update is there', async () => {
      if (counters.connections > 0) server.tell('order', { update });
      return counters.orderUpdates > 0;
    });
    await until('it has come', () => events.some(({ type }) => type === 'order_update'));
    expect(events.find(({ type }) => type === 'order_update')).toEqual({
      type: 'order_update',
      owners: ['bench_user', expect.stringMatching(/^key-[0-9a-f]{12}$/)],
      update: { type: 'order_update', ...update },
    });
    reader.close();
  });

  test('tells when its source is away and when it is back', async () => {
    const told: RingEvent[] = [];
    const reader = new EventReader({ name: listener.ring.name });
    reader.onEvent((event) => told.push(event));
    const { counters } = feed();
    await until('it is up', () => told.at(-1)?.['up'] === true);
    // So that proxies know whose its key is.
    expect(told.at(-1)?.['owners']).toEqual(['bench_user', userOfKey('good-key')]);
    const port = server.port;
    await server.end();
    await until('it is down', () => told.at(-1)?.['up'] === false);
    expect(told.at(-1)).toMatchObject({
      type: 'feed_source',
      feed: 'mock',
      reason: expect.stringContaining('OpenAlgo'),
    });
    server = await StandInOpenAlgo.start(port);
    await until('it is up again', () => told.at(-1)?.['up'] === true);
    expect(counters.connections).toBe(2);
    reader.close();
  });

  test('cuts books deeper than the ring, and counts them', async () => {
    await Promise.all(feeds.map((one) => one.stop()));
    const shallow = new Listener('openalgo-shallow', { depthLevels: 5 });
    const wishes = new InterestPublisher({ name: shallow.ring.name });
    const running = feed({ name: shallow.ring.name });
    wishes.set('NSE', 'TCS', DEPTH, 20);
    await subscribed('NSE:TCS 3 20');
    server.tell('burst');
    await shallow.until('the book is there', ({ ticks }) => ticks.length === 1);
    expect(shallow.ticks[0]?.depth?.buy).toHaveLength(5);
    expect(running.counters.booksCut).toBe(1);
    await running.stop();
    wishes.close();
    shallow.close();
    for (const kind of ['interest', 'events']) LockFreeRingBuffer.unlink(`${shallow.ring.name}.${kind}`);
  });
});

describe('an OpenAlgo that has dropped its broker', () => {
  test('is noticed while no ticks come, and logged in to again on the same connection', async () => {
    const said: string[] = [];
    const say = (message: string): unknown => said.push(message);
    const { counters } = feed({ brokerCheckMs: 20, refreshMs: 0, log: { info: say, warn: say } });
    clients.set('NSE', 'TCS', LTP, 0);
    await subscribed('NSE:TCS 1 5');
    server.tell('dropAdapter');
    await until('it is noticed', () => counters.brokerLosses === 1);
    await subscribed('NSE:TCS 1 5');
    expect(counters.connections).toBe(1);
    expect((await server.report()).connections).toBe(1);
    expect(said).toContain('OpenAlgo has dropped its broker; logging in again until it is back');
  });

  test('is noticed by what it answers to a subscribe, without a question', async () => {
    const { counters } = feed({ brokerCheckMs: 0 });
    clients.set('NSE', 'TCS', LTP, 0);
    await subscribed('NSE:TCS 1 5');
    server.tell('dropAdapter');
    clients.set('NSE', 'INFY', LTP, 0);
    await subscribed('NSE:INFY 1 5', 'NSE:TCS 1 5');
    expect([counters.brokerLosses, counters.connections, counters.refused]).toEqual([1, 1, 0]);
  });

  test('is noticed by what it answers to an unsubscribe', async () => {
    const { counters } = feed({ brokerCheckMs: 0 });
    clients.set('NSE', 'TCS', LTP, 0);
    clients.set('NSE', 'INFY', LTP, 0);
    await subscribed('NSE:INFY 1 5', 'NSE:TCS 1 5');
    server.tell('dropAdapter');
    clients.set('NSE', 'INFY', 0, 0);
    await subscribed('NSE:TCS 1 5');
    expect([counters.brokerLosses, counters.connections]).toEqual([1, 1]);
  });

  test.each([
    ['nobody is logged in', { brokerDown: true }, { brokerDown: false }],
    ['its broker has no valid token', { login: 'BROKER_INIT_ERROR' }, { login: '' }],
    ['its broker cannot be reached', { login: 'BROKER_CONNECTION_ERROR' }, { login: '' }],
    ['it does not know the key for a while', { refuseKey: true }, { refuseKey: false }],
  ])('is asked until it is back, on the same connection: %s', async (_what, trouble, cure) => {
    const { counters } = feed({ brokerCheckMs: 20 });
    clients.set('NSE', 'TCS', LTP, 0);
    await subscribed('NSE:TCS 1 5');
    server.tell('faults', trouble);
    server.tell('dropAdapter');
    await until('it was asked in vain', () => counters.failedAttempts > 2);
    clients.set('NSE', 'INFY', LTP, 0);
    server.tell('faults', cure);
    await subscribed('NSE:INFY 1 5', 'NSE:TCS 1 5');
    expect([counters.brokerLosses, counters.connections, counters.refused]).toEqual([1, 1, 0]);
  });

  test('is waited for from the start: the feed may start before the login', async () => {
    server.tell('faults', { brokerDown: true });
    const { counters } = feed();
    clients.set('NSE', 'TCS', LTP, 0);
    await until('it was asked in vain', () => counters.failedAttempts > 2);
    server.tell('faults', { brokerDown: false });
    await subscribed('NSE:TCS 1 5');
    expect([counters.brokerLosses, counters.connections]).toEqual([0, 1]);
  });

  test('is asked again for everything, also while it says all the time that it has none', async () => {
    server.tell('faults', { seemsDisconnected: true });
    feed({ brokerCheckMs: 0 });
    clients.set('NSE', 'TCS', LTP, 0);
    await subscribed('NSE:TCS 1 5');
    server.tell('dropAdapter');
    clients.set('NSE', 'INFY', LTP, 0);
    await subscribed('NSE:INFY 1 5', 'NSE:TCS 1 5');
  });

  test('is logged in to at once when a client wants something, however long it would still wait', async () => {
    server.tell('faults', { brokerDown: true });
    const { counters } = feed({ login: { firstMs: 3_600_000, longestMs: 3_600_000 } });
    await until('it was asked in vain', () => counters.failedAttempts === 1);
    server.tell('faults', { brokerDown: false });
    clients.set('NSE', 'TCS', LTP, 0);
    await subscribed('NSE:TCS 1 5');
  });
});

describe('an OpenAlgo that another client of the user has logged in to first', () => {
  test('has its ticks back: all is asked for once more when they cease', async () => {
    const { counters } = feed({ brokerCheckMs: 20 });
    clients.set('NSE', 'TCS', LTP, 0);
    clients.set('NSE', 'INFY', LTP, 0);
    await subscribed('NSE:INFY 1 5', 'NSE:TCS 1 5');
    server.tell('dropAdapter', { isRebuilt: true });
    await subscribed('NSE:INFY 1 5', 'NSE:TCS 1 5');
    expect([counters.brokerLosses, counters.connections]).toEqual([0, 1]);
  });

  test('has its ticks back even if that client wants some of them, so that they never cease', async () => {
    feed({ brokerCheckMs: 50, refreshMs: 100 });
    clients.set('NSE', 'TCS', LTP, 0);
    clients.set('NSE', 'INFY', LTP, 0);
    await subscribed('NSE:INFY 1 5', 'NSE:TCS 1 5');
    server.tell('stream', { everyMs: 5 });
    server.tell('dropAdapter', { isRebuilt: true, keys: ['NSE:TCS 1'] });
    await subscribed('NSE:INFY 1 5', 'NSE:TCS 1 5');
  });
});

describe('an OpenAlgo that is silent', () => {
  test('and has its broker is at fault of nothing: it may be night', async () => {
    const told: RingEvent[] = [];
    const reader = new EventReader({ name: listener.ring.name });
    readers.push(reader);
    reader.onEvent((event) => told.push(event));
    const { counters } = feed({ brokerCheckMs: 5 });
    clients.set('NSE', 'TCS', LTP, 0);
    await subscribed('NSE:TCS 1 5');
    await until('it was asked many times', async () => (await server.report()).questions > 20);
    const { connections, logins, subscribes } = await server.report();
    expect([connections, logins, counters.brokerLosses]).toEqual([1, 1, 0]);
    expect(subscribes).toBeLessThan(10);
    expect(told.filter(({ type, up }) => type === 'feed_source' && up === false)).toEqual([]);
  });

  test('is not asked while ticks come', async () => {
    const { counters } = feed({ brokerCheckMs: 3_000 });
    clients.set('NSE', 'TCS', LTP, 0);
    await subscribed('NSE:TCS 1 5');
    const before = (await server.report()).questions;
    server.tell('stream', { everyMs: 5 });
    await until('many ticks have come', () => counters.published > 300);
    expect((await server.report()).questions).toBe(before);
  });

  test('and answers no such question keeps its connection', async () => {
    server.tell('faults', { ignoreQuestions: true });
    const { counters } = feed({ brokerCheckMs: 5, answerTimeoutMs: 1_000 });
    clients.set('NSE', 'TCS', LTP, 0);
    await subscribed('NSE:TCS 1 5');
    await until('it was asked again', async () => (await server.report()).questions > 1);
    clients.set('NSE', 'INFY', LTP, 0);
    await subscribed('NSE:INFY 1 5', 'NSE:TCS 1 5');
    expect([counters.connections, counters.brokerLosses]).toEqual([1, 0]);
  });

  test('and knows no such question is not asked again', async () => {
    server.tell('faults', { tellsBroker: false });
    const { counters } = feed({ brokerCheckMs: 5 });
    clients.set('NSE', 'TCS', LTP, 0);
    await subscribed('NSE:TCS 1 5');
    server.tell('burst', { rounds: 3 });
    await until('ticks come', () => counters.published === 3);
    expect(counters.connections).toBe(1);
  });
});
