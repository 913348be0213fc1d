import { get } from 'node:http';
import { networkInterfaces } from 'node:os';
import { afterEach, describe, expect, test } from 'vitest';
import { isHostAllowed, isLoopback, isOriginAllowed } from '../../src/proxy/addresses.ts';
import { WebSocketProxy, type WebSocketProxyOptions } from '../../src/proxy/websocket-proxy.ts';
import { Client, RunningProxy, until } from './running-proxy.ts';

let running: RunningProxy;
afterEach(() => running?.stop());

const start = async (options: WebSocketProxyOptions): Promise<RunningProxy> =>
  (running = await RunningProxy.start(options));
const refusals = () => running.proxy.getStats().refused;

/** The HTTP status that a handshake is refused with. */
function handshakeStatus(url: string, headers: Record<string, string>): Promise<number> {
  const client = new Client(url, { headers });
  return new Promise((resolve) => {
    client.webSocket.once('unexpected-response', (_request, response) => {
      client.webSocket.on('error', () => undefined);
      resolve(response.statusCode ?? 0);
      client.webSocket.terminate();
    });
    client.webSocket.once('open', () => {
      client.webSocket.terminate();
      resolve(101);
    });
  });
}

/** The status of `GET /stats` by a name of this machine. */
function statusFor(port: number, host: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    get({ port, host: '127.0.0.1', path: '/stats', headers: { host } }, (response) => {
      response.resume();
      resolve(response.statusCode);
    }).on('error', reject);
  });
}

test('more clients than allowed are closed with 1013, and the next may come when one has gone', async () => {
  await start({ limits: { clients: 2 } });
  const [first] = await Promise.all([running.client(), running.client()]);
  expect(await new Client(running.url).closed).toEqual({ code: 1013, reason: 'too many clients' });
  expect(refusals().too_many_clients).toBe(1);
  await first.close();
  await until('it has gone', () => running.proxy.getStats().clients.connected === 1);
  const next = await running.client();
  expect(await next.ask({ action: 'ping' })).toMatchObject({ type: 'pong' });
});

test('more clients of one address than allowed are closed with 1008', async () => {
  await start({ limits: { clientsPerAddress: 1 } });
  await running.client();
  expect(await new Client(running.url).closed).toEqual({ code: 1008, reason: 'too many clients from this address' });
  expect(refusals().too_many_clients_of_address).toBe(1);
});

test('subscriptions beyond the limit fail one by one, and leaving makes room', async () => {
  await start({ limits: { subscriptionsPerClient: 2 } });
  const client = await running.client();
  const symbols = ['A', 'B', 'C'].map((symbol) => ({ symbol, exchange: 'NSE' }));
  const answer = await client.ask({ action: 'subscribe', symbols, mode: 1 });
  expect(answer['status']).toBe('partial');
  expect((answer['subscriptions'] as { status: string }[]).map((line) => line.status)).toEqual([
    'success',
    'success',
    'error',
  ]);
  expect(answer['subscriptions']).toMatchObject([
    {},
    {},
    { message: expect.stringContaining('Maximum capacity reached') },
  ]);
  expect(refusals().too_many_subscriptions).toBe(1);
  const again = await client.ask({ action: 'subscribe', symbols: symbols.slice(0, 2), mode: 1 });
  expect(again['status']).toBe('success');
  await client.ask({ action: 'unsubscribe', symbols: symbols.slice(0, 1) });
  expect((await client.ask({ action: 'subscribe', symbols: symbols.slice(2), mode: 1 }))['status']).toBe('success');
  expect(running.proxy.getStats().subscriptions.total).toBe(2);
});

test('a burst of messages is answered to the last one, in order, and nothing of it is refused', async () => {
  await start({});
  const publisher = running.publisher();
  const client = await running.client();
  const symbols = Array.from({ length: 3_000 }, (_, number) => `S${number}`);
  symbols.forEach((symbol, id) => {
    client.send({ action: 'subscribe', symbol, exchange: 'NSE', mode: 1, request_id: id });
  });
  await until('all are answered', () => client.received.length === symbols.length);
  expect(client.received.map(({ request_id: id }) => id)).toEqual(symbols.map((_, id) => id));
  expect(client.received.every(({ status }) => status === 'success')).toBe(true);
  client.received.length = 0;
  for (const symbol of symbols) publisher.publishMarketData(symbol, { ltp: 1 });
  await until('all tick', () => client.ticks().length === symbols.length);
  const { refused, messages } = running.proxy.getStats();
  expect([refused.total, messages.held_back]).toEqual([0, 0]);
});

test('who sends more messages than allowed is read more slowly, loses none, and keeps nobody else waiting', async () => {
  await start({ limits: { messagesPerSecond: 50 } });
  const [hasty, other] = [await running.client(), await running.client()];
  for (let number = 0; number < 300; number++) hasty.send({ action: 'ping', _pingId: number });
  await until('it is held back', () => running.proxy.getStats().messages.held_back > 0);
  expect(hasty.received.length).toBeLessThan(300);
  expect(await other.ask({ action: 'ping' })).toMatchObject({ type: 'pong' });
  await until('all are answered', () => hasty.received.length === 300);
  expect(hasty.received.map(({ _pingId: id }) => id)).toEqual(Array.from({ length: 300 }, (_, number) => number));
  expect(refusals().total).toBe(0);
});

test('a client that goes while it is held back leaves nothing behind', async () => {
  await start({ limits: { messagesPerSecond: 5 } });
  const client = await running.client();
  for (let number = 0; number < 40; number++) {
    client.send({ action: 'subscribe', symbol: `S${number}`, exchange: 'NSE', mode: 1 });
  }
  await until('it is held back', () => running.proxy.getStats().messages.held_back > 0);
  client.webSocket.terminate();
  await until('it has gone', () => running.proxy.getStats().clients.connected === 0);
  expect(running.proxy.getStats().subscriptions).toMatchObject({ total: 0, topics: 0 });
});

test.each<[string, object]>([
  ['INVALID_ACTION', { action: 'buy' }],
  ['INVALID_MODE', { action: 'subscribe', symbol: 'SBIN', exchange: 'NSE', mode: 9 }],
  ['INVALID_PARAMETERS', { action: 'subscribe' }],
])('a refusal with %s carries the number of the request', async (code, message) => {
  await start({});
  const client = await running.client();
  expect(await client.ask({ ...message, request_id: 'r7' })).toMatchObject({ status: 'error', code, request_id: 'r7' });
});

test('a message longer than the limit costs the connection, one as long as it does not', async () => {
  await start({ limits: { messageBytes: 100, bulkMessageBytes: 200 } });
  const client = await running.client();
  const ping = (bytes: number): string => '{"action":"ping"}'.padEnd(bytes, ' ');
  expect(await client.ask(ping(100))).toMatchObject({ type: 'pong' });
  client.send(ping(101));
  expect(await client.closed).toEqual({ code: 1009, reason: 'message too big' });
});

describe('origins', () => {
  test('without keys only pages of this machine may connect', async () => {
    await start({});
    const status = (origin: string) => handshakeStatus(running.url, { origin });
    expect(await status('https://evil.example')).toBe(403);
    expect(await status('http://localhost.evil.example')).toBe(403);
    expect(await status('http://localhost:3000')).toBe(101);
    expect(await status('http://127.0.0.1:5000')).toBe(101);
    // Any page can have a frame of this origin.
    expect(await status('null')).toBe(403);
    expect(refusals().origin).toBe(3);
    const { status: http } = await running.get('/stats', { origin: 'https://evil.example' });
    expect(http).toBe(403);
  });

  test.each(['/ws', '/some/where', '/stats', '/health', '/metrics', '/snapshot', '/openapi.json', '/asyncapi.json'])(
    'nobody else may connect at %s either',
    async (path) => {
      await start({});
      expect(await handshakeStatus(running.url + path, { origin: 'https://evil.example' })).toBe(403);
    },
  );

  test('a page whose name was made to lead to this machine sees no figures', async () => {
    await start({});
    const [foreign, own] = ['evil.example:8765', 'localhost:8765'].map((host) => statusFor(running.port, host));
    expect(await foreign).toBe(403);
    expect(await own).toBe(200);
    expect(refusals().origin).toBe(1);
  });

  test('a list names those that may, and none but those', async () => {
    await start({ origins: ['https://app.example'] });
    const status = (origin: string) => handshakeStatus(running.url, { origin });
    expect(await status('https://app.example')).toBe(101);
    expect(await status('http://localhost:3000')).toBe(403);
    expect((await running.client()).webSocket.readyState).toBe(1);
  });

  test.each<[string | undefined, readonly string[] | undefined, boolean, boolean]>([
    [undefined, [], true, true],
    ['https://any.example', undefined, false, true],
    ['https://any.example', undefined, true, false],
    ['https://any.example', ['*'], true, true],
    ['http://[::1]:80', undefined, true, true],
    ['no url', undefined, true, false],
    ['file:///home/me/page.html', undefined, true, true],
    ['null', undefined, true, false],
    ['null', ['null'], true, true],
  ])('origin %s with the list %j, open %s: %s', (origin, allowed, open, expected) => {
    expect(isOriginAllowed(origin, allowed, open)).toBe(expected);
  });

  test.each<[string | undefined, readonly string[] | undefined, boolean]>([
    [undefined, undefined, true],
    ['127.0.0.1:8765', undefined, true],
    ['[::1]:8765', ['https://app.example'], true],
    ['evil.example', undefined, false],
    ['evil.example', ['*'], true],
    ['App.Example', ['https://app.example'], true],
    ['no host', undefined, false],
  ])('host %s with the list %j: %s', (host, allowed, expected) => {
    expect(isHostAllowed(host, allowed)).toBe(expected);
  });
});

describe('other machines', () => {
  test.each([
    ['127.0.0.1', true],
    ['127.8.9.10', true],
    ['::1', true],
    ['[::1]', true],
    ['::ffff:127.0.0.1', true],
    ['localhost', true],
    ['0.0.0.0', false],
    ['::', false],
    ['192.168.1.2', false],
    ['127.evil.example', false],
    [undefined, false],
  ])('%s is this machine’s own: %s', (host, expected) => {
    expect(isLoopback(host)).toBe(expected);
  });

  test.each(['0.0.0.0', '::', '192.168.1.2', 'example.com'])('listening on %s without keys is refused', (host) => {
    expect(() => new WebSocketProxy({ host })).toThrow(expect.objectContaining({ code: 'ERR_AUTH_REQUIRED' }));
    expect(() => new WebSocketProxy({ host, auth: { keys: ['k'] } })).not.toThrow();
  });
});

describe('options that cannot be', () => {
  test.each<[string, object]>([
    ['an unknown one', { colour: 'red' }],
    ['an unknown limit', { limits: { friends: 3 } }],
    ['a limit of nothing', { limits: { clients: 0 } }],
    ['a mark that is no number', { highWaterMark: '1m' }],
    ['a negative time', { authTimeout: -1 }],
    ['a time that no timer can wait for', { slowClientTimeout: 2 ** 31 }],
    ['a key that is given bare', { auth: 'secret' }],
    ['origins that are no list', { origins: 'https://app.example' }],
    ['a port beyond all ports', { port: 65_536 }],
    ['an empty host', { host: '' }],
    ['a flag that is a word', { snapshot: 'yes' }],
  ])('%s', (_what, options) => {
    expect(() => new WebSocketProxy(options as WebSocketProxyOptions)).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_OPTION' }),
    );
  });
});

// Only a machine with an address beside the loopback's can play the other machine.
const outside = Object.values(networkInterfaces())
  .flat()
  .find((face) => face?.family === 'IPv4' && !face.internal);
test.skipIf(outside === undefined)('a plugin in a server that others can reach lets only this machine in', async () => {
  const { default: Fastify } = await import('fastify');
  const { openalgoShm } = await import('../../src/proxy/plugin.ts');
  await start({});
  const app = Fastify();
  await app.register(openalgoShm, { ring: { name: running.ring } });
  try {
    await app.listen({ host: '127.0.0.1', port: 0 });
    const { port } = app.server.address() as { port: number };
    expect(await handshakeStatus(`ws://127.0.0.1:${port}`, {})).toBe(101);
    const response = await app.inject({ url: '/stats', remoteAddress: '10.1.2.3' });
    expect([response.statusCode, response.json()]).toMatchObject([403, { code: 'NOT_LOCAL' }]);
  } finally {
    await app.close();
  }
});
