import fastifyStatic from '@fastify/static';
import Fastify, { type FastifyInstance } from 'fastify';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { openalgoShm, type OpenAlgoShmPluginOptions } from '../../src/proxy/plugin.ts';
import { LockFreeRingBuffer } from '../../src/shm/ring-buffer.ts';
import { RunningProxy } from './running-proxy.ts';

const RING = `test-dashboard-files-${process.pid}`;
let app: FastifyInstance;

beforeEach(() => {
  app = Fastify();
});
afterEach(async () => {
  await app.close();
  LockFreeRingBuffer.unlink(RING);
});

async function register(options: OpenAlgoShmPluginOptions): Promise<void> {
  await app.register(openalgoShm, { ring: { name: RING }, ...options });
}

describe('the dashboard of a plugin', () => {
  test('is not there unless it is asked for', async () => {
    await register({ prefix: '/market' });
    expect((await app.inject('/market')).statusCode).toBe(404);
    expect((await app.inject('/market/dashboard/main.js')).statusCode).toBe(404);
  });

  test('is at its prefix, and all that the page names is there too', async () => {
    await register({ prefix: '/market', dashboard: true });
    const page = await app.inject('/market/');
    expect([page.statusCode, page.headers['content-type']]).toEqual([200, 'text/html; charset=utf-8']);
    const named = [...page.body.matchAll(/(?:src|href)="(dashboard\/[^"]+)"/g)].map(([, file]) => file);
    expect(named.length).toBeGreaterThan(5);
    for (const file of named) expect((await app.inject(`/market/${file}`)).statusCode).toBe(200);
    const moved = await app.inject('/market?a=b');
    expect([moved.statusCode, moved.headers.location]).toEqual([302, 'market/?a=b']);
  });

  test('takes WebSockets at the same path', async () => {
    await register({ prefix: '/market', dashboard: true });
    await app.listen({ host: '127.0.0.1', port: 0 });
    const url = app.listeningOrigin.replace('http', 'ws');
    for (const path of ['/market', '/market/', '/market/ws']) {
      const webSocket = new WebSocket(url + path);
      await new Promise((resolve, reject) => webSocket.once('open', resolve).once('error', reject));
      webSocket.terminate();
    }
  });

  test('gets along with an application that serves files of its own', async () => {
    await app.register(fastifyStatic, { root: import.meta.dirname, prefix: '/own/' });
    await register({ dashboard: true });
    expect((await app.inject('/own/dashboard.test.ts')).statusCode).toBe(200);
    expect((await app.inject('/')).body).toContain('<title>openalgo-shm</title>');
    expect((await app.inject('/dashboard/main.js')).statusCode).toBe(200);
  });

  test('gives nothing but its own files', async () => {
    await register({ dashboard: true });
    for (const path of [
      'uPlot.d.ts',
      'uPlot.iife.js',
      '../proxy/plugin.ts',
      '%2e%2e/proxy/plugin.ts',
      '',
      'absent.js',
    ]) {
      expect((await app.inject(`/dashboard/${path}`)).statusCode).toBeGreaterThanOrEqual(400);
    }
  });

  test('allows no script, style or address but its own', async () => {
    await register({ dashboard: true });
    for (const path of ['/', '/dashboard/main.js']) {
      const { headers } = await app.inject(path);
      expect(headers['content-security-policy']).toMatch(/^default-src 'none'; script-src 'self'; style-src 'self';/);
      expect(headers['content-security-policy']).not.toMatch(/unsafe|https?:|\*/);
      expect(headers['x-content-type-options']).toBe('nosniff');
    }
  });
});

test('the proxy that runs alone has it at the root, unless told not to', async () => {
  for (const [dashboard, status] of [
    [undefined, 200],
    [false, 404],
  ] as const) {
    const running = await RunningProxy.start(dashboard === undefined ? {} : { dashboard });
    try {
      expect((await fetch(running.httpUrl)).status).toBe(status);
      await running.client('/');
    } finally {
      await running.stop();
    }
  }
});

test('search finds instruments by words of their names, those that begin with it first', async () => {
  const running = await RunningProxy.start();
  try {
    const publisher = running.publisher();
    const names = ['NIFTY', 'BANKNIFTY', 'TCS'].map((symbol) => ({ symbol, exchange: 'NSE_INDEX', ltp: 1 }));
    publisher.publishBatch([...names, { symbol: 'NIFTY24NOV26C', exchange: 'NFO', ltp: 1 }]);
    const search = async (query: string) => (await running.get(`/topics?${query}`)).body;
    await expect.poll(async () => (await search(''))['total'], { timeout: 20_000 }).toBe(4);
    expect(await search('query=nifty')).toEqual({
      topics: [
        { exchange: 'NSE_INDEX', symbol: 'NIFTY' },
        { exchange: 'NFO', symbol: 'NIFTY24NOV26C' },
        { exchange: 'NSE_INDEX', symbol: 'BANKNIFTY' },
      ],
      total: 3,
    });
    expect(await search('query=nfo%20nif')).toMatchObject({ total: 1 });
    expect(await search('query=ni&limit=1')).toMatchObject({ total: 3, topics: [{ symbol: 'NIFTY' }] });
    expect(await search('query=absent')).toEqual({ topics: [], total: 0 });
    expect((await running.get('/topics?limit=0')).status).toBe(400);
  } finally {
    await running.stop();
  }
});
