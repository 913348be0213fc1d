import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import { networkInterfaces } from 'node:os';
import { Writable } from 'node:stream';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { WebSocketProxyOptions } from '../../src/proxy/websocket-proxy.ts';
import { RunningApplication } from './running-application.ts';
import { Client, RunningProxy } from './running-proxy.ts';

const APP = 'https://app.example.com';

let running: RunningProxy;
let lines: Record<string, unknown>[];
afterEach(() => running.stop());

async function start(options: WebSocketProxyOptions = {}): Promise<void> {
  lines = [];
  const write = (chunk: Buffer, _encoding: unknown, done: () => void): void => {
    lines.push(JSON.parse(chunk.toString()) as Record<string, unknown>);
    done();
  };
  running = await RunningProxy.start({ ...options, log: pino({ level: 'info' }, new Writable({ write })) });
}

/** The status of a GET. */
function get(path: string, headers: Record<string, string>): Promise<number> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({ port: running.port, host: '127.0.0.1', path, headers });
    request.on('error', reject);
    request.on('response', (response) => resolve(response.resume().statusCode ?? 0));
    request.end();
  });
}

/** 101, or the status that a WebSocket was refused with. */
async function upgrade(headers: Record<string, string>): Promise<number> {
  const client = new Client(running.url, { headers });
  return new Promise((resolve) => {
    client.webSocket.once('open', () => {
      client.webSocket.terminate();
      resolve(101);
    });
    client.webSocket.once('unexpected-response', (_request, response) => resolve(response.statusCode ?? 0));
  });
}

describe('without keys, a request without an Origin', () => {
  beforeEach(() => start());

  test.each([
    'localhost',
    'localhost:8765',
    'LocalHost:1',
    'localhost.',
    'localhost.:8765',
    '127.0.0.1',
    '127.0.0.1:8765',
    '127.0.0.1.:8765',
    '127.8.9.10',
    '[::1]',
    '[::1]:8765',
    '[0:0:0:0:0:0:0:1]:8765',
    '[::ffff:127.0.0.1]:8765',
  ])('may call this machine %s', async (host) => {
    expect(await get('/stats', { host })).toBe(200);
  });

  test.each([
    'evil.example.com',
    'evil.example.com:8765',
    'localhost.evil.example.com',
    '127.0.0.1.evil.example.com',
    'evil.localhost',
    'user@localhost',
    'localhost/evil.example.com',
    'localhost#.evil.example.com',
    '192.168.1.2',
    '0.0.0.0:8765',
    '[::]:8765',
    '[fe80::1]:8765',
    '[::ffff:192.168.1.2]',
    '::1',
  ])('may not call it %j', async (host) => {
    expect(await get('/stats', { host })).toBe(403);
  });

  test.each([
    ['a Host without a name', 'GET /stats HTTP/1.1\r\nHost:\r\n\r\n', '403'],
    ['no Host, which no browser sends', 'GET /stats HTTP/1.0\r\n\r\n', '200'],
    ['two Hosts', 'GET /stats HTTP/1.1\r\nHost: evil.example.com\r\nHost: localhost\r\n\r\n', '403'],
  ])('with %s', async (_what, request, status) => {
    const socket = connect(running.port, '127.0.0.1').on('error', () => undefined);
    socket.write(request);
    const [answer] = (await once(socket, 'data')) as [Buffer];
    expect(answer.toString('latin1').split(' ')[1]).toBe(status);
    socket.destroy();
  });

  test.each(['/stats', '/metrics', '/topics', '/snapshot?exchange=NSE&symbol=X'])(
    'is refused at %s by a foreign name',
    async (path) => {
      expect(await get(path, { host: 'evil.example.com' })).toBe(403);
    },
  );

  test.each(['/', '/dashboard/theme.css', '/openapi.json', '/asyncapi.json'])(
    'gets %s by any name, since nothing in it is of this machine',
    async (path) => {
      expect(await get(path, { host: 'evil.example.com' })).toBe(200);
    },
  );

  test('gets /health by any name', async () => {
    expect(await get('/health', { host: 'evil.example.com' })).toBe(503);
  });

  test('is not believed what it says in X-Forwarded-Host or Forwarded', async () => {
    const said = { 'x-forwarded-host': 'localhost', forwarded: 'host=localhost' };
    expect(await get('/stats', { host: 'evil.example.com', ...said })).toBe(403);
    const foreign = { 'x-forwarded-host': 'evil.example.com', forwarded: 'host=evil.example.com' };
    expect(await get('/stats', { host: 'localhost', ...foreign })).toBe(200);
  });

  test('may become a WebSocket by any name: a page always has an Origin there', async () => {
    expect(await upgrade({ host: 'evil.example.com' })).toBe(101);
    expect(await upgrade({ host: 'evil.example.com', origin: 'http://evil.example.com' })).toBe(403);
  });
});

describe('behind a reverse proxy that is trusted (trustProxy)', () => {
  beforeEach(() => start({ server: { trustProxy: true } }));

  test('the Host may be no more than without', async () => {
    expect(await get('/stats', { host: 'evil.example.com', 'x-forwarded-host': 'localhost' })).toBe(403);
  });

  test('everybody comes from this machine', async () => {
    expect(await get('/stats', { 'x-forwarded-for': '192.0.2.1' })).toBe(200);
    expect(await upgrade({ 'x-forwarded-for': '192.0.2.1' })).toBe(101);
  });
});

test.each([
  ['localhost', 200],
  ['evil.example.com', 403],
])('over HTTP/2, where the name is the authority, %s gets %i', async (authority, status) => {
  await start();
  const application = new RunningApplication({ http2: true } as object);
  await application.registerPlugin();
  await application.listen();
  const session = connectHttp2(application.httpUrl);
  try {
    const stream = session.request({ ':path': '/stats', ':authority': authority });
    const [headers] = (await once(stream, 'response')) as [Record<string, unknown>];
    expect(headers[':status']).toBe(status);
  } finally {
    session.destroy();
    await application.stop();
  }
});

const outside = Object.values(networkInterfaces())
  .flat()
  .find((address) => address?.family === 'IPv4' && !address.internal)?.address;

test.skipIf(outside === undefined)('without keys, another address than this machine’s own may not', async () => {
  await start();
  const application = new RunningApplication({ trustProxy: true });
  await application.registerPlugin();
  await application.app.listen({ host: '0.0.0.0', port: 0 });
  try {
    const headers = { host: 'localhost', 'x-forwarded-for': '127.0.0.1' };
    const { port } = application;
    const socket = connect(port, outside).on('error', () => undefined);
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    socket.write(`GET /stats HTTP/1.1\r\n${lines.join('')}\r\n`);
    const [answer] = (await once(socket, 'data')) as [Buffer];
    expect(answer.toString('latin1')).toMatch(/^HTTP\/1\.1 403[^]*NOT_LOCAL/);
    socket.destroy();
    const client = new Client(`ws://${outside}:${port}/`, { headers });
    const [, response] = (await once(client.webSocket, 'unexpected-response')) as [unknown, { statusCode: number }];
    expect(response.statusCode).toBe(403);
  } finally {
    await application.stop();
  }
});

describe('without keys, an Origin', () => {
  test.each([
    ['http://localhost:3000', 200],
    ['http://localhost.:3000', 200],
    ['https://127.0.0.1', 200],
    ['http://[::1]:5173', 200],
    ['file://', 200],
    ['null', 403],
    ['http://evil.example.com', 403],
    ['http://localhost.evil.example.com', 403],
    ['http://192.168.1.2', 403],
    ['nonsense', 403],
  ])('of %s gets %i, for HTTP and for a WebSocket alike', async (origin, status) => {
    await start();
    expect(await get('/stats', { origin })).toBe(status);
    expect(await upgrade({ origin })).toBe(status === 200 ? 101 : status);
  });

  test('decides alone where there is one: then the Host does not matter', async () => {
    await start({ origins: [APP] });
    expect(await get('/stats', { origin: APP, host: 'other.example.com' })).toBe(200);
    expect(await upgrade({ origin: APP, host: 'other.example.com' })).toBe(101);
    expect(await get('/stats', { origin: 'http://evil.example.com', host: 'localhost' })).toBe(403);
  });
});

describe('a listed origin', () => {
  beforeEach(() => start({ origins: [APP, 'http://lan.example.com:8080'] }));

  test.each([
    ['app.example.com', 200],
    ['APP.example.com', 200],
    ['app.example.com.', 200],
    ['app.example.com:443', 200],
    ['app.example.com:8443', 403],
    ['lan.example.com:8080', 200],
    ['lan.example.com', 403],
    ['localhost:8765', 200],
    ['evil.example.com', 403],
  ])('may be the Host, with its port: %s gets %i', async (host, status) => {
    expect(await get('/stats', { host })).toBe(status);
  });

  test('takes the place of the default, so pages of this machine have to be listed as well', async () => {
    expect(await get('/stats', { origin: 'http://localhost:3000' })).toBe(403);
    expect(await upgrade({ origin: 'http://localhost:3000' })).toBe(403);
  });
});

test('with * every name and every page may', async () => {
  await start({ origins: ['*'] });
  expect(await get('/stats', { host: 'any.example.com' })).toBe(200);
  expect(await upgrade({ origin: 'null' })).toBe(101);
});

test.each([
  ['https://app.example.com/', 'https://app.example.com'],
  ['https://APP.example.com', 'https://app.example.com'],
  ['https://app.example.com:443', 'https://app.example.com'],
  ['http://localhost:3000/page', 'http://localhost:3000'],
  ['app.example.com', 'an origin like https://app.example.com'],
  ['', 'an origin like https://app.example.com'],
])('an origin that no browser would send is an error that says which: %j', async (origin, expected) => {
  await start();
  await expect(RunningProxy.start({ origins: [APP, origin] })).rejects.toMatchObject({
    code: 'ERR_INVALID_OPTION',
    message: `origins has ${origin}, expected ${expected}`,
  });
});

test.each(['null', 'file://', 'chrome-extension://abcdef', 'capacitor://localhost'])(
  'an origin of another scheme may be listed: %s',
  async (origin) => {
    await start({ origins: [origin] });
    expect(await upgrade({ origin })).toBe(101);
  },
);

describe('with keys', () => {
  test('the key decides, by any name and from any page', async () => {
    await start({ auth: { keys: ['a-long-secret'] } });
    const key = { 'x-api-key': 'a-long-secret' };
    expect(await get('/stats', { host: 'evil.example.com', ...key })).toBe(200);
    expect(await get('/stats', { origin: 'http://evil.example.com', ...key })).toBe(200);
    expect(await get('/stats', { host: 'localhost' })).toBe(401);
    expect(await upgrade({ origin: 'http://evil.example.com' })).toBe(101);
  });

  test('a list of origins narrows who may open a WebSocket', async () => {
    await start({ auth: { keys: ['a-long-secret'] }, origins: [APP] });
    expect(await upgrade({ origin: 'http://evil.example.com' })).toBe(403);
    expect(await upgrade({ origin: APP })).toBe(101);
    expect(await upgrade({})).toBe(101);
  });
});

describe('the log', () => {
  const told = (field: string) => lines.filter((line) => field in line).map((line) => line[field]);

  test('tells each origin that was refused once, with what would let it in', async () => {
    await start();
    for (let i = 0; i < 3; i++) {
      await upgrade({ origin: 'http://evil.example.com' });
      await get('/stats', { origin: 'http://evil.example.com' });
    }
    await upgrade({ origin: 'http://other.example.com' });
    expect(told('origin')).toEqual(['http://evil.example.com', 'http://other.example.com']);
    expect(lines.find((line) => 'origin' in line)).toMatchObject({
      level: 30,
      msg: expect.stringContaining('--origins'),
    });
    expect(running.proxy.getStats().refused.origin).toBe(7);
  });

  test('tells a Host that was refused once', async () => {
    await start();
    for (let i = 0; i < 3; i++) await get('/stats', { host: 'evil.example.com' });
    expect(told('host')).toEqual(['evil.example.com']);
    expect(lines.find((line) => 'host' in line)?.['msg']).toContain('--origins');
  });

  test('says nothing of those that may connect', async () => {
    await start({ origins: [APP] });
    await upgrade({ origin: APP });
    expect(told('origin')).toEqual([]);
  });

  test('is not filled by origins that are made up, and stays readable', async () => {
    await start();
    const evil = `http://${'x'.repeat(500)}\u009b31m`;
    await get('/stats', { origin: `${evil.slice(0, 20)}\u009b31m` });
    await get('/stats', { origin: evil });
    expect(told('origin')).toEqual([`${evil.slice(0, 20)}\\u009b31m`, `${evil.slice(0, 200)}…`]);
    for (let i = 0; i < 150; i++) await get('/stats', { origin: `http://${i}.example.com` });
    expect(told('origin')).toHaveLength(100);
    expect(lines.filter(({ msg }) => String(msg).includes('only counted'))).toHaveLength(1);
    expect(running.proxy.getStats().refused.origin).toBe(152);
  });
});
