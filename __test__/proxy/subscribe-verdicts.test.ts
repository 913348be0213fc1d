import { once } from 'node:events';
import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { unpack } from 'msgpackr';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import type { WebSocketProxyOptions } from '../../src/proxy/websocket-proxy.ts';
import { type Client, type Received, RunningProxy, until } from './running-proxy.ts';
import { type Broker, StandInHost } from './stand-in-host.ts';

/** Long enough for whatever is told at once, on any machine. */
const LONG = 20_000;
const REASON = 'Symbol not found in the master contract';

let running: RunningProxy;
let open: { close(): void }[];
let child: ChildProcess | undefined;

beforeEach(() => {
  open = [];
});

afterEach(async () => {
  for (const handle of open) handle.close();
  child?.kill('SIGKILL');
  child = undefined;
  await running.stop();
});

async function start(options: WebSocketProxyOptions = {}): Promise<void> {
  running = await RunningProxy.start({ broker: 'mock', subscribeTimeout: LONG, snapshot: false, ...options });
}

async function host(broker?: Broker, name?: string): Promise<StandInHost> {
  const host = await StandInHost.up(running, broker, name);
  open.push(host);
  return host;
}

const subscribe = (symbols: string | readonly string[], mode = 1, more: object = {}) => ({
  action: 'subscribe',
  symbols: [symbols].flat().map((symbol) => ({ symbol, exchange: 'NSE' })),
  mode,
  ...more,
});
const unsubscribe = (symbol: string) => ({ action: 'unsubscribe', symbols: [{ symbol, exchange: 'NSE' }] });
const taken = (symbol: string, mode = 'LTP', depth = 5) => ({
  symbol,
  exchange: 'NSE',
  status: 'success',
  mode,
  depth,
  broker: 'mock',
});
const refused = (symbol: string, message = REASON) => ({
  symbol,
  exchange: 'NSE',
  status: 'error',
  message,
  broker: 'mock',
});
const linesOf = ({ subscriptions }: Received) => subscriptions;
const subscriptionCount = (): number => running.proxy.getStats().subscriptions.total;
/** Takes all but what begins with BAD. */
const picky: Broker = ({ symbol }) =>
  symbol.startsWith('BAD') ? { status: 'error', message: REASON } : { status: 'success' };

/** Whether the client has an answer to this, after all that the proxy can have sent. */
async function isAnswered(client: Client, requestId: unknown): Promise<boolean> {
  const other = await running.client();
  await other.ask({ action: 'ping' });
  return client.received.some((message) => message['request_id'] === requestId);
}

describe('a subscribe', () => {
  test('is answered with the depth that the broker sends', async () => {
    await start({ ring: { depthLevels: 20 } });
    await host(() => ({ status: 'success', depth: 5 }));
    const client = await running.client();
    const answer = await client.ask(subscribe('TCS', 3, { depth: 20, request_id: 1 }));
    expect(answer).toEqual({
      type: 'subscribe',
      status: 'success',
      subscriptions: [taken('TCS', 'Depth', 5)],
      message: 'Subscription processing complete',
      broker: 'mock',
      request_id: 1,
    });
  });

  test('is partial with the broker’s reasons where it refuses some', async () => {
    await start();
    await host(picky);
    const client = await running.client();
    const answer = await client.ask(subscribe(['TCS', 'BAD', 'INFY']));
    expect(answer).toMatchObject({ type: 'subscribe', status: 'partial' });
    expect(linesOf(answer)).toEqual([taken('TCS'), refused('BAD'), taken('INFY')]);
    expect(subscriptionCount()).toBe(2);
  });

  test('whose answer waits costs nobody anything, whatever its client has put into it', async () => {
    await start({ subscribeTimeout: 50 });
    await host(() => undefined);
    const poison = await running.client();
    const deep = `${'['.repeat(20_000)}${']'.repeat(20_000)}`;
    const symbols = `[{"symbol":"TCS","exchange":"NSE"},{"symbol":${deep},"exchange":"NSE"}]`;
    poison.webSocket.send(`{"action":"subscribe","symbols":${symbols},"mode":1,"request_id":"json"}`);
    poison.webSocket.send(`{"action":"ping","_pingId":${deep}}`);
    expect(await poison.nextOf('subscribe')).toMatchObject({ status: 'partial', request_id: 'json' });
    expect(await poison.nextOf('pong')).not.toHaveProperty('_pingId');
  });

  test('is partial where it refuses all, in every mode', async () => {
    await start();
    const feed = await host(picky);
    const client = await running.client();
    const answer = await client.ask({ action: 'subscribe', symbol: 'BAD', request_id: 'r' });
    expect(answer).toMatchObject({ status: 'partial', request_id: 'r' });
    expect(linesOf(answer)).toEqual([refused('BAD'), refused('BAD'), refused('BAD')]);
    expect(subscriptionCount()).toBe(0);
    await until('the feed has ended them', () => feed.heard.filter((change) => change.startsWith('-')).length === 3);
    expect(running.proxy.getStats().subscriptions).toMatchObject({ refused: 3, refusal_notices: 0, topics: 0 });
  });

  test('is answered once the last result is there, whatever comes before', async () => {
    await start();
    const feed = await host();
    const client = await running.client();
    client.send(subscribe(['A', 'B'], 1, { request_id: 1 }));
    await until('both are asked for', () => feed.heard.length === 2);
    feed.tell([{ exchange: 'NSE', symbol: 'A', mode: 1, status: 'success' }]);
    feed.tell([{ exchange: 'NSE', symbol: 'B', mode: 2, status: 'success' }]);
    feed.tell([{ exchange: 'BSE', symbol: 'B', mode: 1, status: 'error', message: 'not ours' }]);
    feed.tell([{ exchange: 'NSE', symbol: 'B', mode: 1, status: 'ended' }]);
    await feed.isHeard();
    expect(await isAnswered(client, 1)).toBe(false);
    feed.tell([{ exchange: 'NSE', symbol: 'B', mode: 1, status: 'error', message: 'no' }]);
    expect(linesOf(await client.next())).toEqual([taken('A'), refused('B', 'no')]);
  });

  test('lets ticks through before its answer', async () => {
    await start();
    const feed = await host();
    const client = await running.client();
    client.send(subscribe('TCS'));
    await until('it is asked for', () => feed.heard.length === 1);
    running.publisher().publishMarketData('TCS', { ltp: 7 });
    expect(await client.next()).toMatchObject({ type: 'market_data', data: { ltp: 7 } });
    feed.tell([{ exchange: 'NSE', symbol: 'TCS', mode: 1, status: 'success' }]);
    expect(await client.next()).toMatchObject({ type: 'subscribe', status: 'success' });
  });

  test('is answered at once where the result is known', async () => {
    await start();
    const feed = await host(({ mode }) => ({ status: 'success', ...(mode === 3 && { depth: 5 }) }));
    const [first, second] = await Promise.all([running.client(), running.client()]);
    await first.ask(subscribe('TCS', 3));
    const before = feed.heard.length;
    expect(linesOf(await second.ask(subscribe('TCS', 3)))).toEqual([taken('TCS', 'Depth')]);
    expect(feed.heard).toHaveLength(before);
  });

  test('that asks for a deeper book than anybody before waits for a new result', async () => {
    await start({ ring: { depthLevels: 50 } });
    await host(({ depth }) => ({ status: 'success', depth: Math.min(depth, 20) }));
    const [first, second, third] = await Promise.all([running.client(), running.client(), running.client()]);
    expect(linesOf(await first.ask(subscribe('TCS', 3, { depth: 5 })))).toEqual([taken('TCS', 'Depth', 5)]);
    expect(linesOf(await second.ask(subscribe('TCS', 3, { depth: 50 })))).toEqual([taken('TCS', 'Depth', 20)]);
    expect(linesOf(await third.ask(subscribe('TCS', 3, { depth: 50 })))).toEqual([taken('TCS', 'Depth', 20)]);
  });

  test('of wildcards and of what is no name waits for nobody', async () => {
    await start();
    await host();
    const client = await running.client();
    const answer = await client.ask(subscribe(['*', 'x'.repeat(60)]));
    expect(answer).toMatchObject({ status: 'partial', subscriptions: [taken('*'), { status: 'error' }] });
  });

  test.each<[string, object]>([
    ['that has said nothing of results', { answers: undefined }],
    ['whose source is away', { up: false, reason: 'logged out' }],
  ])('waits for no feed %s', async (_what, members) => {
    await start();
    const feed = await host();
    await feed.source({ feed: 'zerodha', up: true, ...members });
    const client = await running.client();
    expect(await client.ask(subscribe('TCS', 3))).toMatchObject({ status: 'success' });
  });

  test('waits no longer than it may', async () => {
    await start({ subscribeTimeout: 30 });
    await host();
    const client = await running.client();
    expect(await client.ask(subscribe('TCS'))).toMatchObject({ status: 'success', subscriptions: [taken('TCS')] });
  });

  test('waits not at all with a timeout of 0, and is told later', async () => {
    await start({ subscribeTimeout: 0 });
    await host(picky);
    const client = await running.client();
    expect(await client.ask(subscribe('BAD'))).toMatchObject({ status: 'success' });
    expect(await client.next()).toMatchObject({ type: 'subscription_refused', symbol: 'BAD' });
  });

  test('of 3,100 symbols with 100 refused is one answer that says which', async () => {
    await start();
    await host(({ symbol }) => picky({ exchange: '', symbol, mode: 1, depth: 0 }));
    const client = await running.client();
    const symbols = Array.from({ length: 3_100 }, (_, i) => (i % 31 === 0 ? `BAD${i}` : `SYMBOL${i}`));
    const answer = await client.ask(subscribe(symbols, 2));
    expect(answer).toMatchObject({ status: 'partial' });
    const lines = linesOf(answer) as { symbol: string; status: string }[];
    expect(lines.map(({ symbol }) => symbol)).toEqual(symbols);
    expect(lines.filter(({ status }) => status === 'error')).toHaveLength(100);
    expect(lines.every(({ symbol, status }) => symbol.startsWith('BAD') === (status === 'error'))).toBe(true);
    await client.settle();
    expect(client.received).toHaveLength(1);
    expect(subscriptionCount()).toBe(3_000);
  });
});

describe('a subscribe while the broker is away', () => {
  const message = 'subscribed; the broker is away: logged out';
  const away = { feed: 'zerodha', up: false, reason: 'logged out' };

  test('succeeds, and says so of each symbol that it took', async () => {
    await start();
    const feed = await host();
    running.publisher();
    await feed.source(away);
    const client = await running.client();
    const answer = await client.ask(subscribe(['TCS', 'x'.repeat(60), '*']));
    expect(answer).toMatchObject({ status: 'partial', message: 'Subscription processing complete' });
    const [taken1, failed, wildcard] = linesOf(answer) as unknown[];
    expect(taken1).toEqual({ ...taken('TCS'), message });
    expect(failed).toMatchObject({ status: 'error', message: expect.stringContaining('60 bytes') as unknown });
    expect(wildcard).toEqual({ ...taken('*'), message });
    expect(await client.ask(subscribe('INFY'))).toMatchObject({ status: 'success' });
    await feed.source({ feed: 'zerodha', up: true });
    feed.tell([{ exchange: 'NSE', symbol: 'TCS', mode: 1, status: 'success' }]);
    expect(linesOf(await client.ask(subscribe('TCS')))).toEqual([taken('TCS')]);
  });

  test('says so too where it goes while the answer waits', async () => {
    await start();
    const feed = await host();
    const client = await running.client();
    client.send(subscribe('TCS'));
    await until('it is asked for', () => feed.heard.length === 1);
    await feed.source(away);
    expect(linesOf(await client.next())).toEqual([{ ...taken('TCS'), message }]);
  });

  test('says no more of a reason than fits a line', async () => {
    await start();
    const feed = await host();
    await feed.source({ ...away, reason: 'r'.repeat(1_000) });
    const client = await running.client();
    const [line] = linesOf(await client.ask(subscribe('TCS'))) as { message: string }[];
    expect(line?.message).toBe(`subscribed; the broker is away: ${'r'.repeat(200)}`);
  });

  test('says nothing where another feed may send its ticks', async () => {
    await start();
    const [first] = [await host(), await host(() => ({ status: 'success' }), 'dhan')];
    await first.source(away);
    const client = await running.client();
    expect(linesOf(await client.ask(subscribe('TCS')))).toEqual([taken('TCS')]);
  });

  test('says nothing where a feed that does not tell of its source publishes', async () => {
    await start();
    const feed = await host();
    await feed.source(away);
    running.publisher({ publisherName: 'simulated' });
    const client = await running.client();
    const info = () => client.ask({ action: 'get_broker_info' });
    await until('it publishes', async () => (await info())['adapter_status'] === 'connected');
    expect(linesOf(await client.ask(subscribe('TCS')))).toEqual([taken('TCS')]);
  });
});

describe('a refusal', () => {
  test('that comes after the answer is a notice, and ends the subscription', async () => {
    await start({ subscribeTimeout: 20 });
    const feed = await host();
    const client = await running.client();
    await client.ask(subscribe(['TCS', 'INFY'], 2));
    feed.tell([{ exchange: 'NSE', symbol: 'TCS', mode: 2, status: 'error', message: REASON }]);
    expect(await client.next()).toEqual({
      type: 'subscription_refused',
      symbol: 'TCS',
      exchange: 'NSE',
      mode: 'Quote',
      message: REASON,
      broker: 'mock',
    });
    await until('the feed has ended it', () => feed.heard.includes('-NSE:TCS 2'));
    running.publisher().publishBatch([
      { symbol: 'TCS', ltp: 1, open: 1 },
      { symbol: 'INFY', ltp: 2, open: 1 },
    ]);
    expect(await client.nextOf('market_data')).toMatchObject({ symbol: 'INFY' });
    expect(running.proxy.getStats().subscriptions).toMatchObject({ total: 1, refused: 1, refusal_notices: 1 });
  });

  test('later in the day ends what was taken, for all of its clients and for no other mode', async () => {
    await start();
    const feed = await host(() => ({ status: 'success' }));
    const clients = await Promise.all([1, 2, 3].map(() => running.client()));
    for (const client of clients) await client.ask(subscribe('TCS', 1));
    await clients[0]!.ask(subscribe('TCS', 2));
    feed.tell([{ exchange: 'NSE', symbol: 'TCS', mode: 1, status: 'error' }]);
    for (const client of clients) {
      expect(await client.next()).toMatchObject({
        type: 'subscription_refused',
        mode: 'LTP',
        message: 'The broker refused the subscription',
      });
    }
    expect(subscriptionCount()).toBe(1);
  });

  test('is not remembered: who asks next asks the broker anew', async () => {
    await start();
    let isListed = false;
    const feed = await host(() => (isListed ? { status: 'success' } : { status: 'error', message: REASON }));
    const [first, second] = await Promise.all([running.client(), running.client()]);
    expect(linesOf(await first.ask(subscribe('IPO')))).toEqual([refused('IPO')]);
    expect(linesOf(await second.ask(subscribe('IPO')))).toEqual([refused('IPO')]);
    isListed = true;
    expect(linesOf(await second.ask(subscribe('IPO')))).toEqual([taken('IPO')]);
    expect(feed.heard).toEqual(['+', '-', '+', '-', '+'].map((sign) => `${sign}NSE:IPO 1`));
  });

  test('reaches all that wait for it', async () => {
    await start();
    const feed = await host();
    const [first, second] = await Promise.all([running.client(), running.client()]);
    first.send(subscribe('BAD'));
    second.send(subscribe('BAD'));
    second.send(subscribe('BAD', 1, { request_id: 2 }));
    await until('all are there', () => running.proxy.getStats().messages.received === 3);
    feed.tell([{ exchange: 'NSE', symbol: 'BAD', mode: 1, status: 'error', message: REASON }]);
    for (const client of [first, second, second]) expect(linesOf(await client.next())).toEqual([refused('BAD')]);
    expect(running.proxy.getStats().subscriptions).toMatchObject({ total: 0, refused: 2, refusal_notices: 0 });
  });

  test('of one feed is none while another takes it, and one once all refuse', async () => {
    await start();
    const [first, second] = [await host(undefined, 'zerodha'), await host(undefined, 'dhan')];
    const client = await running.client();
    client.send(subscribe('A', 1, { request_id: 1 }));
    client.send(subscribe('B', 1, { request_id: 2 }));
    await until('the first feed is asked', () => first.heard.length === 2 && second.heard.length === 2);
    for (const symbol of ['A', 'B'])
      first.tell([{ exchange: 'NSE', symbol, mode: 1, status: 'error', message: 'one' }]);
    await first.isHeard();
    expect(await isAnswered(client, 1)).toBe(false);
    second.tell([{ exchange: 'NSE', symbol: 'A', mode: 1, status: 'success' }]);
    expect(linesOf(await client.next())).toEqual([taken('A')]);
    second.close();
    expect(linesOf(await client.next())).toEqual([refused('B', 'one')]);
    // What the feed that left had taken stays: it is subscribed again when the feed is back.
    expect(subscriptionCount()).toBe(1);
    const back = await host(undefined, 'dhan');
    back.tell([{ exchange: 'NSE', symbol: 'A', mode: 1, status: 'error', message: 'two' }]);
    expect(await client.next()).toMatchObject({ type: 'subscription_refused', symbol: 'A', message: 'two' });
  });

  test('reaches clients that speak MessagePack', async () => {
    await start({ subscribeTimeout: 20 });
    const feed = await host();
    const webSocket = new WebSocket(running.url, ['openalgo-shm.msgpack']);
    const received: Received[] = [];
    webSocket.on('message', (data: Buffer) => received.push(unpack(data) as Received));
    await once(webSocket, 'open');
    webSocket.send(JSON.stringify(subscribe('BAD', 3)));
    await until('it is answered', () => received.length === 1);
    feed.tell([{ exchange: 'NSE', symbol: 'BAD', mode: 3, status: 'error', message: REASON }]);
    await until('it is told', () => received.length === 2);
    expect(received[1]).toMatchObject({ type: 'subscription_refused', symbol: 'BAD', mode: 'Depth' });
    expect(subscriptionCount()).toBe(0);
    webSocket.terminate();
  });
});

describe('while a subscribe waits', () => {
  test('later messages of the client are served, and answered in their order', async () => {
    await start();
    const feed = await host();
    const client = await running.client();
    client.send(subscribe('A', 1, { request_id: 1 }));
    client.send(subscribe('B', 1, { request_id: 2 }));
    client.send({ action: 'ping', _pingId: 3 });
    client.send({ action: 'nonsense' });
    await until('both are asked for', () => feed.heard.length === 2);
    feed.tell([{ exchange: 'NSE', symbol: 'B', mode: 1, status: 'success' }]);
    await feed.isHeard();
    expect(await isAnswered(client, 2)).toBe(false);
    feed.tell([{ exchange: 'NSE', symbol: 'B', mode: 1, status: 'error', message: 'after all' }]);
    feed.tell([{ exchange: 'NSE', symbol: 'A', mode: 1, status: 'success' }]);
    expect(await client.next()).toMatchObject({ request_id: 1, status: 'success' });
    expect(await client.next()).toMatchObject({ request_id: 2, subscriptions: [refused('B', 'after all')] });
    expect(await client.next()).toMatchObject({ _pingId: 3 });
    expect(await client.next()).toMatchObject({ code: 'INVALID_ACTION' });
  });

  test('other clients do not', async () => {
    await start();
    await host(({ symbol }) => (symbol === 'SLOW' ? undefined : { status: 'success' }));
    const [slow, quick] = await Promise.all([running.client(), running.client()]);
    slow.send(subscribe('SLOW'));
    expect(await quick.ask(subscribe('TCS'))).toMatchObject({ status: 'success' });
    expect(slow.received).toEqual([]);
  });

  test.each([
    ['unsubscribe', unsubscribe('TCS')],
    ['unsubscribe_all', { action: 'unsubscribe_all' }],
  ])('%s wins, and ends the wait', async (_what, message) => {
    await start();
    const feed = await host();
    const client = await running.client();
    client.send(subscribe('TCS', 1, { request_id: 1 }));
    await until('it is asked for', () => feed.heard.length === 1);
    client.send(message);
    expect(await client.next()).toMatchObject({ type: 'subscribe', request_id: 1, subscriptions: [taken('TCS')] });
    expect(await client.next()).toMatchObject({ type: 'unsubscribe', status: 'success' });
    expect(subscriptionCount()).toBe(0);
    feed.tell([{ exchange: 'NSE', symbol: 'TCS', mode: 1, status: 'error', message: REASON }]);
    await feed.isHeard();
    await client.settle();
    expect(client.received).toHaveLength(2);
  });

  test('an unsubscribe and a new subscribe ask the broker anew', async () => {
    await start();
    const feed = await host();
    const client = await running.client();
    client.send(subscribe('TCS', 1, { request_id: 1 }));
    await until('it is asked for', () => feed.heard.length === 1);
    client.send(unsubscribe('TCS'));
    client.send(subscribe('TCS', 1, { request_id: 2 }));
    expect(await client.next()).toMatchObject({ request_id: 1 });
    expect(await client.next()).toMatchObject({ type: 'unsubscribe' });
    await until('it is asked for again', () => feed.heard.join() === '+NSE:TCS 1,-NSE:TCS 1,+NSE:TCS 1');
    feed.tell([{ exchange: 'NSE', symbol: 'TCS', mode: 1, status: 'error', message: REASON }]);
    expect(await client.next()).toMatchObject({ request_id: 2, subscriptions: [refused('TCS')] });
  });

  test('a client that goes leaves nothing behind', async () => {
    await start();
    const feed = await host();
    const [gone, stays] = await Promise.all([running.client(), running.client()]);
    gone.send(subscribe(['TCS', 'INFY']));
    stays.send(subscribe('TCS'));
    await until('both are there', () => subscriptionCount() === 3);
    gone.webSocket.terminate();
    await until('it is gone', () => subscriptionCount() === 1);
    await until('the feed has ended its own', () => feed.heard.includes('-NSE:INFY 1'));
    feed.tell([{ exchange: 'NSE', symbol: 'TCS', mode: 1, status: 'error', message: REASON }]);
    expect(linesOf(await stays.next())).toEqual([refused('TCS')]);
    expect(running.proxy.getStats().subscriptions).toMatchObject({ total: 0, topics: 0, refused: 1 });
  });

  test('a proxy that closes answers first', async () => {
    await start();
    await host();
    const client = await running.client();
    client.send(subscribe('TCS'));
    await until('it waits', () => subscriptionCount() === 1);
    await running.proxy.stop();
    expect(await client.next()).toMatchObject({ type: 'subscribe', status: 'success' });
    expect(await client.closed).toMatchObject({ code: 1001 });
  });

  test('a client that asks on and on is not read any more, until it is answered', async () => {
    await start({ limits: { entriesPerSecond: 1_000_000 } });
    const feed = await host();
    const client = await running.client();
    // All but one are no names, so that a single result is waited for.
    const symbols = ['TCS', ...Array.from({ length: 399 }, (_, index) => 'X'.repeat(100 + index))];
    for (let i = 0; i < 200; i++) client.send(subscribe(symbols, 1, { request_id: i }));
    await until('it is read', () => running.proxy.getStats().messages.received > 25);
    const other = await running.client();
    for (let i = 0; i < 20; i++) await other.ask({ action: 'ping' });
    expect(running.proxy.getStats().messages.received).toBeLessThan(200);
    feed.tell([{ exchange: 'NSE', symbol: 'TCS', mode: 1, status: 'success' }]);
    await until('all are answered', () => client.received.length === 200);
    expect(client.received.map((message) => message['request_id'])).toEqual(Array.from({ length: 200 }, (_, i) => i));
  });
});

describe('a feed', () => {
  test('that loses its source ends all waits, and what it told is forgotten without a notice', async () => {
    await start();
    const feed = await host(({ symbol }) => (symbol === 'TCS' ? { status: 'success', depth: 5 } : undefined));
    const client = await running.client();
    await client.ask(subscribe('TCS'));
    client.send(subscribe('INFY'));
    await until('it is asked for', () => feed.heard.length === 2);
    await feed.source({ feed: 'zerodha', up: false, reason: 'logged out' });
    expect(await client.next()).toMatchObject({ status: 'success', subscriptions: [taken('INFY')] });
    feed.tell([{ exchange: 'NSE', symbol: 'TCS', mode: 1, status: 'error', message: 'no session' }]);
    await feed.isHeard();
    expect(subscriptionCount()).toBe(2);
    await feed.source({ feed: 'zerodha', up: true });
    feed.tell([
      { exchange: 'NSE', symbol: 'TCS', mode: 1, status: 'success' },
      { exchange: 'NSE', symbol: 'INFY', mode: 1, status: 'error', message: REASON },
    ]);
    expect(await client.next()).toMatchObject({ type: 'subscription_refused', symbol: 'INFY' });
    expect(subscriptionCount()).toBe(1);
  });

  test('that leaves ends all waits, and is waited for no more', async () => {
    await start();
    const feed = await host();
    const client = await running.client();
    client.send(subscribe('TCS'));
    await until('it is asked for', () => feed.heard.length === 1);
    feed.close();
    expect(await client.next()).toMatchObject({ status: 'success' });
    expect(await client.ask(subscribe('INFY'))).toMatchObject({ status: 'success' });
  });

  test('that is killed is waited for no more, and one that takes its place is', async () => {
    await start();
    child = fork(fileURLToPath(new URL('telling-host.mjs', import.meta.url)), [running.ring]);
    await until('the proxy has heard it', () => running.proxy.getStats().feed_events.unknown > 0);
    const client = await running.client();
    client.send(subscribe('TCS', 1, { request_id: 1 }));
    await until('it waits', () => subscriptionCount() === 1);
    expect(await isAnswered(client, 1)).toBe(false);
    child.kill('SIGKILL');
    expect(await client.next()).toMatchObject({ request_id: 1, status: 'success' });
    await host(picky);
    expect(linesOf(await client.ask(subscribe('BAD')))).toEqual([refused('BAD')]);
  });

  test('names its broker, and is connected while its source is there', async () => {
    running = await RunningProxy.start();
    const feed = await host(undefined, 'openalgo-host');
    const client = await running.client();
    const info = async (): Promise<unknown> => {
      const { broker, adapter_status: status } = await client.ask({ action: 'get_broker_info' });
      return [broker, status];
    };
    await feed.source({ feed: 'openalgo-host', up: false, reason: 'no login yet', broker: 'zerodha' });
    expect(await info()).toEqual(['zerodha', 'disconnected']);
    await feed.source({ feed: 'openalgo-host', up: true });
    const publisher = running.publisher({ publisherName: 'openalgo-host' });
    await until('it publishes', async () => String(await info()) === 'openalgo-host,connected');
    await feed.source({ feed: 'openalgo-host', up: true, broker: 'zerodha' });
    expect(await info()).toEqual(['zerodha', 'connected']);
    expect(await client.ask({ action: 'get_supported_brokers' })).toMatchObject({ brokers: ['zerodha'] });
    await feed.source({ feed: 'openalgo-host', up: false, reason: 'logged out', broker: 'zerodha' });
    expect(await info()).toEqual(['zerodha', 'disconnected']);
    await feed.source({ feed: 'openalgo-host', up: true, broker: 5 });
    expect(await info()).toEqual(['openalgo-host', 'connected']);
    publisher.stop();
    await until('nobody publishes', async () => String(await info()) === 'openalgo-shm,disconnected');
  });

  test('that tells nonsense is ignored, and its nonsense counted', async () => {
    await start();
    const feed = await host();
    const client = await running.client();
    client.send(subscribe('TCS', 1, { request_id: 1 }));
    await until('it is asked for', () => feed.heard.length === 1);
    const before = running.proxy.getStats().feed_events.unknown;
    const good = { exchange: 'NSE', symbol: 'TCS', mode: 1, status: 'success' };
    const nonsense: unknown[] = [
      null,
      7,
      'TCS',
      [],
      {},
      { ...good, exchange: 5 },
      { ...good, exchange: '' },
      { ...good, exchange: 'E'.repeat(17) },
      { ...good, symbol: undefined },
      { ...good, symbol: 'S'.repeat(1_500) },
      { ...good, mode: '1' },
      { ...good, mode: 4 },
      { ...good, status: 'maybe' },
      { ...good, depth: '20' },
      { ...good, depth: -1 },
      { ...good, depth: 1e9 },
      { ...good, status: 'error', message: { text: 'no' } },
    ];
    for (const result of nonsense) {
      feed.publish({ type: 'subscription_result', feed: 'zerodha', results: [result] });
    }
    for (const results of [undefined, null, 'all', {}, 3]) {
      feed.publish({ type: 'subscription_result', feed: 'zerodha', results });
    }
    await feed.isHeard();
    expect(running.proxy.getStats().feed_events.unknown - before).toBe(nonsense.length + 5 + 1);
    expect(await isAnswered(client, 1)).toBe(false);
    // What nobody here has asked for is no nonsense: another proxy's clients may have.
    feed.publish({
      type: 'subscription_result',
      feed: 'zerodha',
      results: [{ ...good, symbol: 'UNKNOWN', status: 'error' }, null, { ...good, symbol: '*' }, good],
    });
    expect(await client.next()).toMatchObject({ request_id: 1, status: 'success' });
    expect(running.proxy.getStats().feed_events).toMatchObject({ lost: 0 });
  });
});
