import cors from '@fastify/cors';
import type { FastifyInstance } from 'fastify';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { RunningApplication } from './running-application.ts';
import { RunningProxy } from './running-proxy.ts';

const PAGE = 'https://app.example.com';
const KEY = 'a-long-secret-key';
const PATHS = ['/stats', '/health', '/topics', '/metrics', '/snapshot', '/openapi.json', '/asyncapi.json'];

let running: RunningApplication;
let app: FastifyInstance;
beforeEach(() => {
  running = new RunningApplication();
  ({ app } = running);
});
afterEach(() => running.stop());

/** What a browser looks at. */
async function headersOf(path: string, origin: string, init: RequestInit = {}): Promise<Record<string, string>> {
  const response = await fetch(running.httpUrl + path, { ...init, headers: { origin, ...init.headers } });
  return { status: String(response.status), ...Object.fromEntries(response.headers) };
}

const preflight = (path: string, origin: string) =>
  headersOf(path, origin, {
    method: 'OPTIONS',
    headers: { 'access-control-request-method': 'GET', 'access-control-request-headers': 'x-api-key' },
  });

const OWN = {
  origin: ['https://mine.example.com'],
  credentials: true,
  methods: ['GET', 'DELETE'],
  exposedHeaders: ['X-Mine'],
  cacheControl: 60,
};
const options = { prefix: '/market', auth: { keys: [KEY] }, origins: [PAGE, 'http://localhost:5173'] };

const HOSTS: [string, () => Promise<void>][] = [
  ['without CORS of its own', () => running.registerPlugin(options)],
  [
    'that has @fastify/cors before the plugin',
    async () => {
      await app.register(cors, OWN);
      await running.registerPlugin(options);
    },
  ],
  [
    'that has @fastify/cors after the plugin',
    async () => {
      await running.registerPlugin(options);
      await app.register(cors, OWN);
    },
  ],
];

describe.each(HOSTS)('with listed origins, in an application %s', (_which, prepare) => {
  beforeEach(async () => {
    await prepare();
    app.get('/mine', () => 'mine');
    await running.listen();
  });

  test.each(PATHS)('%s is for these pages and no others', async (path) => {
    for (const origin of options.origins) {
      const headers = await headersOf(`/market${path}`, origin);
      expect(headers['access-control-allow-origin']).toBe(origin);
      expect(headers['vary']).toBe('Origin');
      expect(headers['access-control-allow-credentials']).toBeUndefined();
      expect(headers['access-control-expose-headers']).toBeUndefined();
    }
    for (const origin of [
      'https://evil.example.com',
      `${PAGE}.evil.com`,
      `${PAGE}:8443`,
      'null',
      OWN.origin[0] ?? '',
    ]) {
      expect((await headersOf(`/market${path}`, origin))['access-control-allow-origin']).toBeUndefined();
    }
  });

  test.each(PATHS)('a preflight of %s is answered without a key', async (path) => {
    const allowed = await preflight(`/market${path}`, PAGE);
    expect(allowed['cache-control']).toBeUndefined();
    expect(allowed).toMatchObject({
      status: '204',
      'access-control-allow-origin': PAGE,
      'access-control-allow-methods': 'GET, HEAD',
      'access-control-allow-headers': 'X-API-Key, Authorization',
      'access-control-max-age': '600',
    });
    const refused = await preflight(`/market${path}`, 'https://evil.example.com');
    expect(refused['access-control-allow-origin']).toBeUndefined();
  });

  test('a page can read why its key was refused, and figures with a valid one', async () => {
    const refused = await headersOf('/market/stats', PAGE);
    expect(refused).toMatchObject({ status: '401', 'access-control-allow-origin': PAGE });
    const served = await headersOf('/market/stats', PAGE, { headers: { 'x-api-key': KEY } });
    expect(served).toMatchObject({ status: '200', 'access-control-allow-origin': PAGE });
  });

  test('routes of the application keep their own rules', async () => {
    const mine = await headersOf('/mine', PAGE);
    expect(mine['access-control-allow-origin']).toBeUndefined();
    if (!_which.includes('@fastify/cors')) return;
    const allowed = await headersOf('/mine', 'https://mine.example.com');
    expect(allowed).toMatchObject({
      'access-control-allow-origin': 'https://mine.example.com',
      'access-control-allow-credentials': 'true',
    });
    expect((await preflight('/mine', 'https://mine.example.com'))['access-control-allow-methods']).toBe('GET, DELETE');
  });
});

test('at the root of an application, @fastify/cors may come later', async () => {
  await running.registerPlugin({ origins: [PAGE] });
  await app.register(cors);
  await running.listen();
  expect((await headersOf('/stats', PAGE))['access-control-allow-origin']).toBe(PAGE);
  expect((await headersOf('/elsewhere', PAGE))['access-control-allow-origin']).toBe('*');
});

test('without a list nothing is said about other origins, and a preflight finds nothing', async () => {
  await running.registerPlugin({ prefix: '/market', auth: { keys: [KEY] } });
  await running.listen();
  const headers = await headersOf('/market/stats', PAGE, { headers: { 'x-api-key': KEY } });
  expect(Object.keys(headers).filter((name) => name.startsWith('access-control') || name === 'vary')).toEqual([]);
  expect((await preflight('/market/stats', PAGE))['status']).toBe('404');
});

test('* is for all pages', async () => {
  await running.registerPlugin({ prefix: '/market', auth: { keys: [KEY] }, origins: ['*'] });
  await running.listen();
  expect((await headersOf('/market/health', 'https://any.example.com'))['access-control-allow-origin']).toBe('*');
});

test('an OPTIONS that is no preflight is refused', async () => {
  await running.registerPlugin(options);
  await running.listen();
  const response = await fetch(`${running.httpUrl}/market/stats`, { method: 'OPTIONS' });
  expect(response.status).toBe(400);
});

test('two registrations have lists of their own', async () => {
  await running.registerPlugin({ ...options, prefix: '/a' });
  await running.registerPlugin({ ...options, prefix: '/b', origins: ['https://b.example.com'], name: 'b' });
  await running.listen();
  expect((await headersOf('/a/health', PAGE))['access-control-allow-origin']).toBe(PAGE);
  expect((await headersOf('/b/health', PAGE))['access-control-allow-origin']).toBeUndefined();
  expect((await headersOf('/b/health', 'https://b.example.com'))['access-control-allow-origin']).toBe(
    'https://b.example.com',
  );
});

test('the proxy with a server of its own answers the same', async () => {
  const proxy = await RunningProxy.start({ origins: [PAGE] });
  try {
    const response = await fetch(`${proxy.httpUrl}/stats`, { headers: { origin: PAGE } });
    expect(response.status).toBe(200);
    expect(response.headers.get('access-control-allow-origin')).toBe(PAGE);
    const method = { method: 'OPTIONS', headers: { origin: PAGE, 'access-control-request-method': 'GET' } };
    expect((await fetch(`${proxy.httpUrl}/snapshot`, method)).status).toBe(204);
    expect(await (await proxy.client('/any/path')).ask({ action: 'ping' })).toMatchObject({ type: 'pong' });
  } finally {
    await proxy.stop();
  }
});
