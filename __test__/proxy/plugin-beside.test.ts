import { createRequire } from 'node:module';
import websocket from '@fastify/websocket';
import type { FastifyInstance } from 'fastify';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { WebSocketServer } from 'ws';
import { openalgoShm } from '../../src/proxy/plugin.ts';
import { SharedMemoryPublisher } from '../../src/shm/publisher.ts';
import { RunningApplication } from './running-application.ts';
import { Client, until } from './running-proxy.ts';

let running: RunningApplication;
let app: FastifyInstance;
beforeEach(() => {
  running = new RunningApplication();
  ({ app } = running);
});
afterEach(() => running.stop());

/** @fastify/websocket as a package manager may install it a second time: what it marks requests with differs. */
function otherCopy(): typeof websocket {
  const require = createRequire(import.meta.url);
  const path = require.resolve('@fastify/websocket');
  const cached = require.cache[path];
  delete require.cache[path];
  const copy = require(path) as typeof websocket;
  require.cache[path] = cached;
  return copy;
}

/** The application's own WebSocket route, which answers each message with itself. */
const echo = (own: FastifyInstance): void => {
  own.get('/echo', { websocket: true }, (socket) => {
    socket.on('message', (data) => socket.send(data.toString()));
  });
};
const own = { options: { maxPayload: 100 } };
// Short, since clients that are injected do not end their side of the closing handshake.
const closeTimeout = 500;
const market = { prefix: '/market', closeTimeout, limits: { messageBytes: 300, bulkMessageBytes: 1_000 } };

const ORDERS: [string, () => Promise<void>][] = [
  [
    'before the plugin',
    async () => {
      await app.register(websocket, own);
      await running.registerPlugin(market);
      echo(app);
    },
  ],
  [
    'after the plugin',
    async () => {
      await running.registerPlugin(market);
      await app.register(websocket, own);
      echo(app);
    },
  ],
  [
    'in a context of its own before the plugin',
    async () => {
      await app.register(async (context) => {
        await context.register(websocket, own);
        echo(context);
      });
      await running.registerPlugin(market);
    },
  ],
  [
    'in a context of its own after the plugin',
    async () => {
      await running.registerPlugin(market);
      await app.register(async (context) => {
        await context.register(websocket, own);
        echo(context);
      });
    },
  ],
  [
    'in the context that the plugin is registered in',
    async () => {
      await app.register(async (context) => {
        await context.register(websocket, own);
        echo(context);
        await context.register(openalgoShm, { ring: { name: running.ring }, ...market });
      });
    },
  ],
  [
    'as another copy before the plugin',
    async () => {
      await app.register(otherCopy(), own);
      await running.registerPlugin(market);
      echo(app);
    },
  ],
  [
    'as another copy after the plugin',
    async () => {
      await running.registerPlugin(market);
      await app.register(otherCopy(), own);
      echo(app);
    },
  ],
];

describe.each(ORDERS)('where the application has @fastify/websocket %s', (_when, prepare) => {
  beforeEach(async () => {
    await prepare();
    await running.listen();
  });

  test('both routes take WebSockets, each with its own limits', async () => {
    const mine = await Client.open(`${running.url}/echo`);
    const theirs = await Client.open(`${running.url}/market`);
    expect(await mine.ask({ mine: true })).toEqual({ mine: true });
    expect(await theirs.ask({ action: 'ping', padding: 'x'.repeat(150) })).toMatchObject({ type: 'pong' });
    mine.send('x'.repeat(101));
    expect(await mine.closed).toMatchObject({ code: 1009 });
    const list = Array.from({ length: 20 }, () => ({ symbol: 'SBIN', exchange: 'NSE' }));
    theirs.send({ action: 'subscribe', symbols: list, mode: 1 });
    expect(await theirs.next()).toMatchObject({ type: 'subscribe' });
    theirs.send('x'.repeat(1_001));
    expect(await theirs.closed).toMatchObject({ code: 1009 });
    await running.untilNoConnections();
  });

  test('only what is offered and known becomes the subprotocol', async () => {
    const client = new Client(`${running.url}/market`, {}, ['other', 'openalgo-shm.msgpack']);
    await new Promise((resolve) => client.webSocket.once('open', resolve));
    expect(client.webSocket.protocol).toBe('openalgo-shm.msgpack');
    await client.close();
  });

  test('ticks come from the native thread, and clients see 1001 when the application closes', async () => {
    const client = await Client.open(`${running.url}/market/ws`);
    const mine = await Client.open(`${running.url}/echo`);
    await client.ask({ action: 'subscribe', symbol: 'SBIN', exchange: 'NSE', mode: 1 });
    const publisher = new SharedMemoryPublisher({ name: running.ring }).start();
    publisher.publishMarketData('SBIN', { ltp: 5 });
    expect(await client.nextOf('market_data')).toMatchObject({ data: { ltp: 5 } });
    publisher.stop();
    await app.close();
    expect(await client.closed).toEqual({ code: 1001, reason: 'server is shutting down' });
    // Its own code, which is none.
    expect(await mine.closed).toMatchObject({ code: 1005 });
  });
});

test('the close code of the application’s own WebSockets is left to it', async () => {
  await running.registerPlugin(market);
  await app.register(websocket, {
    preClose(done) {
      for (const client of this.websocketServer.clients) client.close(4000, 'mine');
      done();
    },
  });
  echo(app);
  await running.listen();
  const mine = await Client.open(`${running.url}/echo`);
  await app.close();
  expect(await mine.closed).toEqual({ code: 4000, reason: 'mine' });
});

describe('an application that takes upgrades of a path of its own with ws alone', () => {
  let server: WebSocketServer;
  let release: () => void;

  beforeEach(async () => {
    server = new WebSocketServer({ noServer: true });
    const released = new Promise<void>((resolve) => (release = resolve));
    app.server.on('upgrade', (request, socket, head) => {
      const take = (): void => {
        server.handleUpgrade(request, socket, head, (webSocket) =>
          webSocket.on('message', (data) => webSocket.send(data)),
        );
      };
      if (request.url === '/raw') take();
      else if (request.url === '/raw/later') void released.then(take);
    });
    await running.registerPlugin(market);
    app.addHook('preClose', async () => server.clients.forEach((client) => client.close(4001)));
    await running.listen();
  });

  test.each(['/raw', '/raw/later'])('gets those of %s, and the plugin gets its own', async (path) => {
    const later = Client.open(running.url + path);
    const client = await Client.open(`${running.url}/market`);
    expect(await client.ask({ action: 'ping' })).toMatchObject({ type: 'pong' });
    release();
    const raw = await later;
    expect(await raw.ask({ raw: true })).toEqual({ raw: true });
    await app.close();
    expect(await raw.closed).toMatchObject({ code: 4001 });
    expect(await client.closed).toMatchObject({ code: 1001 });
  });

  test('is not kept from closing by an upgrade that nobody takes', async () => {
    const nobody = await running.rawClient('/nowhere');
    await app.close();
    await nobody.ended;
    expect(nobody.status).toBe(503);
  });
});

describe('registered for several rings', () => {
  test('each has its own prefix, ring and proxy; the first one is app.openalgoShm', async () => {
    const mcx = running.anotherRing();
    await running.registerPlugin({ prefix: '/nse' });
    await running.registerPlugin({ prefix: '/mcx', name: 'mcx', ring: { name: mcx } });
    await running.listen();
    const clients = await Promise.all(['/nse', '/mcx'].map((path) => Client.open(running.url + path)));
    for (const client of clients) {
      await client.ask({ action: 'subscribe', symbol: 'GOLD', exchange: 'MCX', mode: 1 });
    }
    const publisher = new SharedMemoryPublisher({ name: mcx }).start();
    publisher.publishMarketData('GOLD', { ltp: 7, exchange: 'MCX' });
    expect(await clients[1]?.nextOf('market_data')).toMatchObject({ data: { ltp: 7 } });
    publisher.stop();
    expect(clients[0]?.ticks()).toEqual([]);
    expect([...app.openalgoShmProxies.keys()]).toEqual([running.ring, 'mcx']);
    expect(app.openalgoShm).toBe(app.openalgoShmProxies.get(running.ring));
    expect(await app.openalgoShmProxies.get('mcx')?.lastTick('MCX', 'GOLD')).toMatchObject({ data: { ltp: 7 } });
    for (const [path, ring] of [
      ['/nse', running.ring],
      ['/mcx', mcx],
    ]) {
      expect((await app.inject(`${path}/stats`)).json()).toMatchObject({ ring: { name: ring } });
    }
  });

  test('the clients of all are closed with 1001, and stubborn ones are cut off', async () => {
    await running.registerPlugin({ prefix: '/nse', closeTimeout });
    await running.registerPlugin({ prefix: '/mcx', closeTimeout, ring: { name: running.anotherRing() } });
    await running.registerPlugin({
      prefix: '/bse',
      closeTimeout,
      delivery: 'ws',
      ring: { name: running.anotherRing() },
    });
    await running.listen();
    const paths = ['/nse', '/mcx', '/bse'];
    const clients = await Promise.all(paths.map((path) => Client.open(running.url + path)));
    const stubborn = await Promise.all(paths.map((path) => running.rawClient(path)));
    await until('all are in', () => stubborn.every(({ status }) => status === 101));
    await app.close();
    for (const client of clients) expect(await client.closed).toMatchObject({ code: 1001 });
    await Promise.all(stubborn.map(({ ended }) => ended));
  });

  test('two of one name are an error that says what to do, and the first goes on', async () => {
    await running.registerPlugin({ prefix: '/nse' });
    const again = app.register(openalgoShm, { prefix: '/again', ring: { name: running.ring } });
    await expect(again).rejects.toMatchObject({
      code: 'ERR_INVALID_OPTION',
      message: expect.stringContaining('another name with the option name'),
    });
  });

  test.each([[''], [5]])('a name that is none (%j) is an error', async (name) => {
    await expect(running.registerPlugin({ name: name as string })).rejects.toMatchObject({
      code: 'ERR_INVALID_OPTION',
      message: expect.stringContaining('name is'),
    });
  });

  test('contexts that do not see each other may each have their own', async () => {
    const seen: string[] = [];
    for (const [prefix, ring] of [
      ['/a', running.ring],
      ['/b', running.anotherRing()],
    ] as const) {
      await app.register(async (context) => {
        await context.register(openalgoShm, { prefix, name: 'mine', ring: { name: ring } });
        seen.push(context.openalgoShm.settings.ring.name ?? '');
      });
    }
    await running.listen();
    expect(new Set(seen).size).toBe(2);
    expect(app.hasDecorator('openalgoShm')).toBe(false);
    for (const prefix of ['/a', '/b']) await (await Client.open(running.url + prefix)).close();
  });
});

describe('a prefix', () => {
  test('may be that of the context, with the plugin’s own behind it', async () => {
    await app.register(
      async (context) => {
        await context.register(openalgoShm, { prefix: '/market', ring: { name: running.ring } });
      },
      { prefix: '/v1' },
    );
    await running.listen();
    const client = await Client.open(`${running.url}/v1/market/ws`);
    expect(await client.ask({ action: 'ping' })).toMatchObject({ type: 'pong' });
    expect((await app.inject('/v1/market/stats')).statusCode).toBe(200);
    expect((await app.inject('/v1/market/asyncapi.json')).json()).toMatchObject({
      channels: { ticks: { address: '/v1/market/ws' } },
    });
  });

  test('may have a parameter', async () => {
    await running.registerPlugin({ prefix: '/:tenant/market' });
    await running.listen();
    const client = await Client.open(`${running.url}/acme/market`);
    expect(await client.ask({ action: 'ping' })).toMatchObject({ type: 'pong' });
  });
});

describe('injectWS', () => {
  test.each<[string, () => Promise<void>]>([
    ['of the plugin', () => running.registerPlugin(market)],
    ...ORDERS.filter(([when]) => !when.includes('context')),
  ])('%s gives a client without a network', async (_whose, prepare) => {
    await prepare();
    await app.ready();
    const webSocket = await app.injectWS('/market/ws');
    const answer = new Promise((resolve) => webSocket.once('message', (data) => resolve(JSON.parse(String(data)))));
    webSocket.send('{"action":"ping"}');
    expect(await answer).toMatchObject({ type: 'pong' });
    const closed = new Promise((resolve) => webSocket.once('close', resolve));
    await app.close();
    expect(await closed).toBe(1001);
  });

  test('goes through the hooks of the application', async () => {
    app.addHook('onRequest', async (_request, reply) => {
      await new Promise((resolve) => setTimeout(resolve, 5));
      return reply.code(401).send('no');
    });
    await running.registerPlugin(market);
    await app.ready();
    await expect(app.injectWS('/market')).rejects.toThrow('401');
  });

  test('ticks reach its client', async () => {
    await running.registerPlugin(market);
    await app.ready();
    const webSocket = await app.injectWS('/market');
    const received: unknown[] = [];
    webSocket.on('message', (data) => received.push(JSON.parse(String(data))));
    webSocket.send('{"action":"subscribe","symbol":"SBIN","exchange":"NSE","mode":1}');
    await until('it is subscribed', () => received.length === 1);
    const publisher = new SharedMemoryPublisher({ name: running.ring }).start();
    publisher.publishMarketData('SBIN', { ltp: 5 });
    await until('the tick has come', () => received.length === 2);
    expect(received[1]).toMatchObject({ type: 'market_data', data: { ltp: 5 } });
    publisher.stop();
  });
});
