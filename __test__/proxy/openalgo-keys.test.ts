import type { ServerResponse } from 'node:http';
import { Writable } from 'node:stream';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { EventPublisher } from '../../src/shm/events.ts';
import { userOfKey } from '../../src/user-of-key.ts';
import { authenticator } from '../../src/proxy/auth.ts';
import type { WebSocketProxyOptions } from '../../src/proxy/websocket-proxy.ts';
import { OpenAlgoApi } from './openalgo-api.ts';
import { type Client, RunningProxy, until } from './running-proxy.ts';

let openAlgo: OpenAlgoApi;
let running: RunningProxy | undefined;
beforeEach(async () => {
  openAlgo = await OpenAlgoApi.listen();
  openAlgo.keys.set('good', 'upstox');
});
afterEach(async () => {
  await running?.stop();
  running = undefined;
  openAlgo.close();
});

async function start(
  auth: { userId?: string; cacheMs?: number; timeoutMs?: number } = {},
  more: WebSocketProxyOptions = {},
): Promise<RunningProxy> {
  return (running = await RunningProxy.start({ ...more, auth: { openalgo: openAlgo.url, ...auth } }));
}

const authenticate = (client: Client, key: string) => client.ask({ action: 'authenticate', api_key: key });
const refused = (message: string) => ({ type: 'auth', status: 'error', code: 'AUTHENTICATION_ERROR', message });
const revoked = { code: 4401, reason: 'key revoked' };
const from = (address: string) => ({ headers: { 'x-forwarded-for': address } });

test('a key is asked for once, with all that OpenAlgo wants, and a wrong one is refused', async () => {
  const proxy = await start();
  const clients = await Promise.all([1, 2, 3, 4].map(() => proxy.client()));
  const answers = await Promise.all(clients.map((client) => authenticate(client, 'good')));
  for (const got of answers) expect(got).toMatchObject({ type: 'auth', status: 'success', broker: 'upstox' });
  expect(openAlgo.asked).toEqual([{ endpoint: 'ping', key: 'good' }]);
  expect(await authenticate(clients[0] as Client, 'bad')).toEqual(refused('Invalid API key'));
});

test('a nightly logout ends no session and keeps no client out; a revoked key ends its sessions', async () => {
  const proxy = await start({ cacheMs: 150 }, { broker: 'mock' });
  const client = await proxy.client();
  await authenticate(client, 'good');
  openAlgo.keys.set('good', undefined);
  const asked = () => openAlgo.asked.filter(({ endpoint }) => endpoint === 'chart').length;
  await until('it was asked again, twice', () => asked() >= 2);
  expect(await client.ask({ action: 'get_broker_info' })).toMatchObject({ status: 'success' });
  openAlgo.keys.set('new', undefined);
  expect(await authenticate(await proxy.client(), 'new')).toMatchObject({ status: 'success', broker: 'mock' });
  openAlgo.keys.delete('good');
  expect(await client.closed).toEqual(revoked);
});

test.each<[string, () => void]>([
  ['is away', () => (openAlgo.instead = (response) => response.destroy())],
  ['fails', () => (openAlgo.instead = (response) => response.writeHead(500).end('<html>'))],
  ['is asked too often', () => (openAlgo.instead = (response) => response.writeHead(429).end('{"status":"error"}'))],
  ['has banned the proxy', () => (openAlgo.isBanning = true)],
])('an OpenAlgo that %s ends no session, and lets no new key in', async (_what, change) => {
  const proxy = await start({ cacheMs: 150 });
  const client = await proxy.client();
  await authenticate(client, 'good');
  change();
  const before = openAlgo.asked.length;
  await until('it was asked again, twice', () => openAlgo.asked.length >= before + 2);
  expect(await client.ask({ action: 'get_broker_info' })).toMatchObject({ status: 'success' });
  const other = await proxy.client();
  expect(await authenticate(other, 'other')).toEqual(refused('The API key could not be checked; try again'));
  expect(await other.closed).toMatchObject({ code: 1013 });
});

test.each([
  ['is too long', 'k'.repeat(257)],
  ['is no text', '\ud800'],
])('a key that %s is wrong, and OpenAlgo is not asked', async (_what, key) => {
  const proxy = await start();
  expect(await authenticate(await proxy.client(), key)).toEqual(refused('Invalid API key'));
  expect(openAlgo.asked).toEqual([]);
});

test('an OpenAlgo that is too old to tell a logout from a wrong key is believed', async () => {
  openAlgo.isOld = true;
  const proxy = await start();
  expect(await authenticate(await proxy.client(), 'good')).toMatchObject({ status: 'success' });
  expect(await authenticate(await proxy.client(), 'bad')).toEqual(refused('Invalid API key'));
});

test('a server that answers any path with a page makes no key valid', async () => {
  openAlgo.hasPageForAnyPath = true;
  const proxy = await start();
  const client = await proxy.client();
  expect(await authenticate(client, 'bad')).toEqual(refused('The API key could not be checked; try again'));
  expect(await authenticate(client, 'good')).toMatchObject({ status: 'success' });
});

test.each([
  { openalgo: 'ftp://127.0.0.1' },
  { openalgo: 'http://user:secret@127.0.0.1:5000' },
  { openalgo: 'http://127.0.0.1:5000', userId: '' },
])('%o is refused at the start', (option) => {
  const invalid: unknown = expect.objectContaining({ code: 'ERR_INVALID_OPTION' });
  expect(() => authenticator(option, undefined, () => undefined)).toThrow(invalid as Error);
});

test.each<[string, (response: ServerResponse) => unknown]>([
  ['breaks off', (response) => response.destroy()],
  ['leads elsewhere', (response) => response.writeHead(302, { location: `${response.req.url}&more` }).end()],
  ['is no HTTP', (response) => response.socket?.end(`NO HTTP ${response.req.url}`)],
  ['never comes', () => undefined],
])('a key is in no line of the log, although it is in the URL, where the answer %s', async (_what, answer) => {
  const lines: string[] = [];
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      lines.push(chunk.toString());
      done();
    },
  });
  const proxy = await start({ timeoutMs: 200 }, { log: pino({ level: 'trace' }, stream) as never });
  openAlgo.instead = (response) => {
    if (response.req.url?.includes('/chart')) answer(response);
    else response.writeHead(403, { 'content-type': 'application/json' }).end('{"status":"error"}');
  };
  const trouble = refused('The API key could not be checked; try again');
  expect(await authenticate(await proxy.client(), 'very-secret-key')).toEqual(trouble);
  await proxy.stop();
  expect(lines.join('')).toContain('keys could not be checked');
  expect(lines.join('')).not.toContain('very-secret-key');
});

test('an OpenAlgo that cannot be reached, or gives no answer, refuses a new key', async () => {
  openAlgo.hold();
  const proxy = await start({ timeoutMs: 50 });
  const client = await proxy.client();
  const trouble = refused('The API key could not be checked; try again');
  expect(await authenticate(client, 'good')).toEqual(trouble);
  openAlgo.close();
  expect(await authenticate(client, 'other')).toEqual(trouble);
});

test('order updates find their owner: its name is an option, for OpenAlgo tells it to nobody', async () => {
  const proxy = await start({ userId: 'alice' });
  const client = await proxy.client();
  expect(await authenticate(client, 'good')).toMatchObject({ user_id: 'alice' });
  await client.ask({ action: 'subscribe_orders' });
  const feed = new EventPublisher({ name: proxy.ring, ownerName: 'zmq' });
  feed.publish({ type: 'order_update', owners: ['alice'], update: { orderid: '7' } });
  expect(await client.nextOf('order_update')).toMatchObject({ user_id: 'alice', orderid: '7' });
  feed.close();
});

test('a feed that is OpenAlgo’s client tells whose its key is: before and after, each update comes once', async () => {
  const proxy = await start();
  openAlgo.keys.set('other', 'upstox');
  const [early, foreign] = [await proxy.client(), await proxy.client()];
  expect(await authenticate(early, 'good')).toMatchObject({ user_id: userOfKey('good') });
  await authenticate(foreign, 'other');
  for (const client of [early, foreign]) await client.ask({ action: 'subscribe_orders' });
  const feed = new EventPublisher({ name: proxy.ring, ownerName: 'openalgo' });
  const owners = ['alice', userOfKey('good')];
  feed.publish({ type: 'order_update', owners, update: { orderid: '1' } });
  expect(await early.nextOf('order_update')).toMatchObject({ user_id: 'alice', orderid: '1' });
  const late = await proxy.client();
  expect(await authenticate(late, 'good')).toMatchObject({ user_id: 'alice' });
  await late.ask({ action: 'subscribe_orders' });
  // A feed of OpenAlgo's bus knows the name alone.
  feed.publish({ type: 'order_update', owners: ['alice'], update: { orderid: '2' } });
  for (const client of [early, late]) {
    expect(await client.nextOf('order_update')).toMatchObject({ user_id: 'alice', orderid: '2' });
  }
  for (const client of [early, late, foreign]) await client.settle();
  const updates = (client: Client) => client.received.filter(({ type }) => type === 'order_update').length;
  expect([early, late, foreign].map(updates)).toEqual([2, 1, 0]);
  feed.close();
});

test('a feed that has told whose its key is needs no order update for that', async () => {
  const proxy = await start();
  const feed = new EventPublisher({ name: proxy.ring, ownerName: 'openalgo' });
  feed.publish({ type: 'feed_source', feed: 'openalgo', up: true, owners: ['alice', userOfKey('good')] });
  await until('it is known', async () => {
    const client = await proxy.client();
    const { user_id: user } = await authenticate(client, 'good');
    await client.close();
    return user === 'alice';
  });
  feed.close();
});

test('at most eight keys are being checked, however many come at once, and all are answered', async () => {
  const proxy = await start();
  const clients = await Promise.all(Array.from({ length: 30 }, () => proxy.client()));
  openAlgo.hold();
  clients.forEach((client, index) => {
    openAlgo.keys.set(`key${index}`, 'upstox');
    client.send({ action: 'authenticate', api_key: `key${index}`, request_id: index });
  });
  await until('all are there', () => proxy.proxy.getStats().messages.received === 30);
  await until('as many as may be are being checked', () => openAlgo.underWay === 6);
  openAlgo.release?.();
  for (const client of clients) expect(await client.next()).toMatchObject({ status: 'success' });
  expect(openAlgo.most).toBeLessThanOrEqual(8);
});

test('wrong keys of an address are slowed down; known keys and other addresses do not notice', async () => {
  const proxy = await start({}, { server: { trustProxy: true } });
  await authenticate(await proxy.client('/', from('10.0.0.1')), 'good');
  for (let number = 0; number < 10; number++) {
    const client = await proxy.client('/', from('10.0.0.1'));
    expect(await authenticate(client, `wrong${number}`)).toEqual(refused('Invalid API key'));
  }
  const guesser = await proxy.client('/', from('10.0.0.1'));
  const before = openAlgo.asked.length;
  expect(await guesser.ask({ action: 'auth', api_key: 'wrong', request_id: 'r' })).toMatchObject({
    code: 'RATE_LIMIT_EXCEEDED',
    message: expect.stringMatching(/^Too many wrong API keys from this address; try again in \d s$/) as unknown,
    request_id: 'r',
  });
  expect(openAlgo.asked).toHaveLength(before);
  expect(proxy.proxy.getStats().refused.too_many_key_checks).toBe(1);
  expect(await authenticate(await proxy.client('/', from('10.0.0.1')), 'good')).toMatchObject({ status: 'success' });
  openAlgo.keys.set('another', 'upstox');
  expect(await authenticate(await proxy.client('/', from('10.0.0.2')), 'another')).toMatchObject({ status: 'success' });
});
