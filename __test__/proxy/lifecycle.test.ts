import { randomBytes } from 'node:crypto';
import { type AddressInfo, type Socket, connect, createServer } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { WebSocketProxy } from '../../src/proxy/websocket-proxy.ts';
import { LockFreeRingBuffer } from '../../src/shm/ring-buffer.ts';
import { certificate, hasOpenSsl } from './certificate.ts';
import { Client, RunningProxy, until } from './running-proxy.ts';

let running: RunningProxy;
afterEach(() => running?.stop());

describe('starting', () => {
  test('takes WebSocket clients on any path', async () => {
    running = await RunningProxy.start();
    for (const path of ['/', '/ws', '/some/where', '/stats', '/health', '/snapshot', '/?a=b']) {
      const client = await running.client(path);
      expect(await client.ask({ action: 'ping' })).toMatchObject({ type: 'pong' });
    }
    expect(running.proxy.getStats().clients.connected).toBe(7);
  });

  test('tells where it listens, and starts once however often it is asked', async () => {
    running = await RunningProxy.start();
    expect(running.proxy.address()).toEqual({
      host: '127.0.0.1',
      port: expect.any(Number),
      url: `ws://127.0.0.1:${running.port}`,
    });
    const { port } = running;
    await Promise.all([running.proxy.start(), running.proxy.start()]);
    expect(running.port).toBe(port);
  });

  test('a port in use is an error that says so, and leaves the one that has it alone', async () => {
    running = await RunningProxy.start();
    const client = await running.client();
    const second = new WebSocketProxy({ port: running.port, log: 'silent', ring: { name: running.ring } });
    await expect(second.start()).rejects.toMatchObject({
      code: 'ERR_PORT_IN_USE',
      message: expect.stringContaining(`127.0.0.1:${running.port} is in use`),
    });
    expect(second.address()).toBeUndefined();
    expect(await client.ask({ action: 'ping' })).toMatchObject({ type: 'pong' });
  });

  test('can be tried again once the port is free', async () => {
    running = await RunningProxy.start();
    const blocker = createServer();
    await new Promise<void>((resolve) => blocker.listen(0, '127.0.0.1', resolve));
    const { port } = blocker.address() as AddressInfo;
    const proxy = new WebSocketProxy({ port, log: 'silent', ring: { name: running.ring } });
    await expect(proxy.start()).rejects.toMatchObject({ code: 'ERR_PORT_IN_USE' });
    await new Promise((resolve) => blocker.close(resolve));
    await proxy.start();
    expect(proxy.address()?.port).toBe(port);
    await proxy.stop();
  });

  test('an address of another machine is an error that says so', async () => {
    const proxy = new WebSocketProxy({
      host: '192.0.2.1',
      port: 0,
      log: 'silent',
      auth: { keys: ['k'] },
      ring: { name: `never_${process.pid}` },
    });
    await expect(proxy.start()).rejects.toMatchObject({ code: 'ERR_INVALID_OPTION' });
    LockFreeRingBuffer.unlink(`never_${process.pid}`);
  });

  test('a ring that cannot be is an error, with its code', async () => {
    await expect(new WebSocketProxy({ port: 0, log: 'silent', ring: { name: 'a/b' } }).start()).rejects.toMatchObject({
      code: 'ERR_SHM_NAME',
    });
    await expect(
      new WebSocketProxy({ port: 0, log: 'silent', ring: { name: 'never', bufferSize: 0 } }).start(),
    ).rejects.toMatchObject({ code: 'ERR_INVALID_OPTION' });
  });

  test('before it runs there are no figures', () => {
    const proxy = new WebSocketProxy({ log: 'silent' });
    expect(proxy.address()).toBeUndefined();
    expect(() => proxy.getStats()).toThrow(expect.objectContaining({ code: 'ERR_CLOSED' }));
  });
});

describe('stopping', () => {
  test('closes the clients with 1001 after what is queued has gone', async () => {
    running = await RunningProxy.start({ snapshot: false });
    const publisher = running.publisher();
    const clients = await Promise.all([running.client(), running.client()]);
    for (const client of clients) await client.ask({ action: 'subscribe', symbol: 'SBIN', exchange: 'NSE', mode: 1 });
    for (let i = 0; i < 100; i++) publisher.publishMarketData('SBIN', { ltp: i });
    await until('they were sent', () => running.proxy.getStats().messages.sent === 200);
    await running.proxy.stop();
    for (const client of clients) {
      expect(await client.closed).toEqual({ code: 1001, reason: 'server is shutting down' });
      expect(client.ticks()).toHaveLength(100);
    }
  });

  test('does not wait longer than told for clients that do not go', async () => {
    running = await RunningProxy.start({ closeTimeout: 50 });
    const socket = await running.rawClient();
    socket.pause();
    await running.proxy.stop();
    expect(running.proxy.address()).toBeUndefined();
    socket.destroy();
  });

  const upgrade = (path: string): string =>
    `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n` +
    `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\n\r\n`;

  /** A connection that does not mind being cut off, once the proxy has taken it. */
  async function connection(text: string): Promise<Socket> {
    const socket = connect(running.port, '127.0.0.1').on('error', () => undefined);
    await new Promise<void>((resolve) => socket.once('connect', resolve));
    socket.write(text);
    // The proxy has seen what came before the answer to this.
    await running.get('/health');
    return socket;
  }

  test.each([
    ['has never said anything', ''],
    ['is in the middle of a request', 'GET /stats HT'],
    ['asked for a WebSocket at a URL that is none', upgrade('/%zz')],
    ['was refused and does not take notice', upgrade('/')],
  ])('does not wait for a connection that %s', async (_what, text) => {
    running = await RunningProxy.start({ limits: { clients: 1 } });
    await running.client();
    const socket = await connection(text);
    let stopped = false;
    void running.proxy.stop().then(() => (stopped = true));
    await until('it has stopped', () => stopped);
    socket.destroy();
  });

  test('does not wait for a handshake that comes meanwhile', async () => {
    running = await RunningProxy.start({ closeTimeout: 500 });
    const stubborn = await running.rawClient();
    stubborn.pause();
    const { port } = running;
    let stopped = false;
    void running.proxy.stop().then(() => (stopped = true));
    const late = connect(port, '127.0.0.1').on('error', () => undefined);
    late.end(upgrade('/'));
    await until('it has stopped', () => stopped);
    stubborn.destroy();
    late.destroy();
  });

  test.skipIf(!hasOpenSsl)('does not wait for a connection that never finishes the handshake of TLS', async () => {
    running = await RunningProxy.start({ server: { https: certificate() } });
    const silent = connect(running.port, '127.0.0.1').on('error', () => undefined);
    // The proxy has seen it: it takes connections in their order.
    const client = await running.client('/', { rejectUnauthorized: false });
    expect(await client.ask({ action: 'ping' })).toMatchObject({ type: 'pong' });
    let stopped = false;
    void running.proxy.stop().then(() => (stopped = true));
    await until('it has stopped', () => stopped);
    expect(await client.closed).toMatchObject({ code: 1001 });
    silent.destroy();
  });

  test('is the same twice as once, and frees the port', async () => {
    running = await RunningProxy.start();
    const { port } = running;
    await Promise.all([running.proxy.stop(), running.proxy.stop()]);
    await running.proxy.stop();
    const next = new WebSocketProxy({ port, log: 'silent', ring: { name: running.ring } });
    await next.start();
    expect(next.address()?.port).toBe(port);
    await next.stop();
  });

  test('a stopped proxy can be started again, and clients find it', async () => {
    running = await RunningProxy.start();
    await running.proxy.stop();
    await running.proxy.start();
    const client = await running.client();
    expect(await client.ask({ action: 'ping' })).toMatchObject({ type: 'pong' });
  });
});

describe('a ring that goes away', () => {
  test('is attached to anew, and clients keep their connections and subscriptions', async () => {
    running = await RunningProxy.start({ snapshot: false });
    const first = running.publisher();
    const client = await running.client();
    await client.ask({ action: 'subscribe', symbol: 'SBIN', exchange: 'NSE', mode: 1, status: true });
    const wild = await running.client();
    await wild.ask({ action: 'subscribe', symbol: '*', exchange: '*', mode: 1 });
    first.publishMarketData('SBIN', { ltp: 1 });
    await client.nextOf('market_data');
    first.cleanup();
    expect(await running.get('/health')).toMatchObject({ status: 503, body: { reasons: [{ code: 'ring_gone' }] } });
    await until('it is back', () => running.proxy.getStats().ring?.reattached === 1);
    const second = running.publisher();
    second.publishMarketData('SBIN', { ltp: 2 });
    expect(await client.nextOf('market_data')).toMatchObject({ data: { ltp: 2 } });
    await until('the other has it', () => wild.ticks().length === 2);
    expect(await running.get('/health')).toMatchObject({ status: 200 });
    expect(
      client.received.filter((message) => message['type'] === 'feed_status').map((message) => message['reason']),
    ).toContain('ring_gone');
  });

  test('and is made by another meanwhile is followed, from its first message on', async () => {
    running = await RunningProxy.start({ snapshot: false });
    const client = await running.client();
    await client.ask({ action: 'subscribe', symbol: 'SBIN', exchange: 'NSE', mode: 1 });
    LockFreeRingBuffer.unlink(running.ring);
    const publisher = running.publisher({ depthLevels: 20, bufferSize: 64 * 1024 });
    for (let i = 1; i <= 3; i++) publisher.publishMarketData('SBIN', { ltp: i });
    await until('they came', () => client.ticks().length === 3);
    expect(running.proxy.getStats().ring).toMatchObject({ attached: true, reattached: 1, depth_levels: 20 });
  });
});

test('clients that do not answer pings are ended, those that do are kept', async () => {
  running = await RunningProxy.start({ pingInterval: 50 });
  const [living, dead] = await Promise.all([running.client(), Client.open(running.url, { autoPong: false })]);
  expect((await dead.closed).code).toBe(1006);
  expect(await living.ask({ action: 'ping' })).toMatchObject({ type: 'pong' });
  expect(running.proxy.getStats().refused.unresponsive_client).toBe(1);
});
