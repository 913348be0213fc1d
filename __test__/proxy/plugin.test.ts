import { randomBytes } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import websocket from '@fastify/websocket';
import Fastify, { type FastifyInstance } from 'fastify';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import plugin, { openalgoShm } from '../../src/proxy/plugin.ts';
import { SharedMemoryPublisher } from '../../src/shm/publisher.ts';
import { LockFreeRingBuffer } from '../../src/shm/ring-buffer.ts';
import { Client } from './running-proxy.ts';

let ring: string;
let app: FastifyInstance;

beforeEach(() => {
  ring = `test_${process.pid}_${randomBytes(4).toString('hex')}`;
  app = Fastify();
});
afterEach(async () => {
  await app.close();
  LockFreeRingBuffer.unlink(ring);
});

async function listen(): Promise<string> {
  await app.listen({ host: '127.0.0.1', port: 0 });
  return `127.0.0.1:${(app.server.address() as AddressInfo).port}`;
}

const refusal = (url: string): Promise<number> =>
  new Promise((resolve) => {
    const client = new Client(url);
    client.webSocket.once('unexpected-response', (_request, response) => resolve(response.statusCode ?? 0));
    client.webSocket.once('close', (code) => resolve(code));
  });

test('is the default export and a named one', () => {
  expect(plugin).toBe(openalgoShm);
});

test('takes its place under a prefix, and only there', async () => {
  await app.register(openalgoShm, { ring: { name: ring }, prefix: '/market' });
  app.get('/', () => 'mine');
  const host = await listen();
  for (const path of ['/market', '/market/', '/market/ws']) {
    const client = await Client.open(`ws://${host}${path}`);
    expect(await client.ask({ action: 'ping' })).toMatchObject({ type: 'pong' });
    await client.close();
  }
  for (const path of ['/market/stats', '/market/health']) {
    expect((await fetch(`http://${host}${path}`)).headers.get('content-type')).toContain('application/json');
  }
  expect(await (await fetch(`http://${host}/`)).text()).toBe('mine');
  expect((await fetch(`http://${host}/stats`)).status).toBe(404);
  expect(await refusal(`ws://${host}/elsewhere`)).not.toBe(101);
});

test('gives the application its proxy', async () => {
  await app.register(openalgoShm, { ring: { name: ring } });
  const host = await listen();
  const client = await Client.open(`ws://${host}/`);
  await client.ask({ action: 'subscribe', symbol: 'SBIN', exchange: 'NSE', mode: 1 });
  expect(app.openalgoShm.stats().clients.connected).toBe(1);
  expect(app.openalgoShm.interests()).toMatchObject([{ exchange: 'NSE', symbol: 'SBIN' }]);
  const publisher = new SharedMemoryPublisher({ name: ring }).start();
  publisher.publishMarketData('SBIN', { ltp: 5 });
  expect(await client.nextOf('market_data')).toMatchObject({ data: { ltp: 5 } });
  expect(await app.openalgoShm.lastTick('NSE', 'SBIN')).toMatchObject({ data: { ltp: 5 } });
  publisher.stop();
});

test('closes its clients with 1001 when the application closes', async () => {
  await app.register(openalgoShm, { ring: { name: ring } });
  const client = await Client.open(`ws://${await listen()}/`);
  await app.close();
  expect(await client.closed).toEqual({ code: 1001, reason: 'server is shutting down' });
});

test('lives beside routes of an application that has @fastify/websocket itself', async () => {
  await app.register(websocket);
  await app.register(openalgoShm, { ring: { name: ring }, prefix: '/market' });
  app.get('/echo', { websocket: true }, (socket) => {
    socket.on('message', (data) => socket.send(data.toString()));
  });
  const host = await listen();
  const [own, market] = await Promise.all([Client.open(`ws://${host}/echo`), Client.open(`ws://${host}/market`)]);
  expect(await own.ask({ mine: true })).toEqual({ mine: true });
  expect(await market.ask({ action: 'ping' })).toMatchObject({ type: 'pong' });
});

describe('options are checked at registration', () => {
  test.each<[string, object, string]>([
    ['an unknown one', { colour: 'red' }, 'ERR_INVALID_OPTION'],
    ['a ring that cannot be', { ring: { name: 'a/b' } }, 'ERR_SHM_NAME'],
    ['a key file that is not there', { auth: { file: '/nowhere/keys' } }, 'ERR_FILE'],
  ])('%s', async (_what, options, code) => {
    await expect(app.register(openalgoShm, { ring: { name: ring }, ...options }).ready()).rejects.toMatchObject({
      code,
    });
    app = Fastify();
  });
});

test('fails as a whole when its routes are taken, and leaves the ring', async () => {
  app.get('/stats', () => 'mine');
  await expect(app.register(openalgoShm, { ring: { name: ring } }).ready()).rejects.toThrow(/already declared/);
  expect(LockFreeRingBuffer.list().find((found) => found.name === ring)?.inUse).toBe(false);
  app = Fastify();
});
