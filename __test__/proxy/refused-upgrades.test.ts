import { once } from 'node:events';
import { connect } from 'node:tls';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import websocket from '@fastify/websocket';
import type { FastifyInstance } from 'fastify';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { WebSocketServer } from 'ws';
import { certificate, hasOpenSsl } from './certificate.ts';
import { RawClient, RunningApplication, UPGRADE } from './running-application.ts';
import { Client, until } from './running-proxy.ts';

let running: RunningApplication;
let reached: number;
beforeEach(() => {
  running = new RunningApplication();
  reached = 0;
});
afterEach(() => running.stop());

const moment = () => new Promise((resolve) => setTimeout(resolve, 10));

type Hooks = (app: FastifyInstance) => void;

async function start(hooks: Hooks, more: { closeTimeout?: number } = {}): Promise<void> {
  hooks(running.app);
  await running.registerPlugin({ prefix: '/market', ...more });
  await running.listen();
}

const REFUSING: [string, Hooks, number][] = [
  ['answers at once', (app) => app.addHook('onRequest', (_request, reply) => void reply.code(403).send('no')), 403],
  [
    'answers after an await',
    (app) =>
      app.addHook('onRequest', async (_request, reply) => {
        await moment();
        return reply.code(403).send({ error: 'no' });
      }),
    403,
  ],
  [
    'throws after an await',
    (app) =>
      app.addHook('onRequest', async () => {
        await moment();
        throw Object.assign(new Error('no'), { statusCode: 401 });
      }),
    401,
  ],
  [
    'answers in preValidation',
    (app) =>
      app.addHook('preValidation', async (_request, reply) => {
        await moment();
        return reply.code(402).send('pay');
      }),
    402,
  ],
  [
    'throws in preHandler',
    (app) =>
      app.addHook('preHandler', async () => {
        await moment();
        throw new Error('broken');
      }),
    500,
  ],
  [
    'hijacks and answers itself',
    (app) =>
      app.addHook('onRequest', async (_request, reply) => {
        reply.hijack();
        await moment();
        reply.raw.writeHead(429, { 'retry-after': '5' });
        reply.raw.end();
      }),
    429,
  ],
];

describe.each([
  ['of an application without @fastify/websocket', (_app: FastifyInstance) => undefined],
  ['of an application that has @fastify/websocket', (app: FastifyInstance) => void app.register(websocket)],
])('an upgrade that a hook %s', (_whose, prepare) => {
  test.each(REFUSING)('refuses and %s leaves no connection behind', async (_how, hooks, status) => {
    await start((app) => {
      hooks(app);
      prepare(app);
    });
    const clients = await Promise.all([1, 2, 3].map(() => running.rawClient('/market')));
    for (const client of clients) {
      await client.ended;
      expect(client.status).toBe(status);
    }
    // None of them has ended its side.
    await running.untilNoConnections();
    await running.app.close();
  });
});

test('an upgrade that a hook refuses leaves no connection behind where @fastify/websocket comes after the plugin', async () => {
  running.app.addHook('onRequest', async (_request, reply) => {
    await moment();
    return reply.code(403).send('no');
  });
  await running.registerPlugin({ prefix: '/market' });
  await running.app.register(websocket);
  await running.listen();
  const client = await running.rawClient('/market/ws');
  await client.ended;
  expect(client.status).toBe(403);
  await running.untilNoConnections();
});

test('a client that goes while a hook awaits leaves no connection behind', async () => {
  let goOn = (): void => undefined;
  const gone = new Promise<void>((resolve) => (goOn = resolve));
  await start((app) => {
    app.addHook('onRequest', async () => {
      reached += 1;
      await gone;
    });
  });
  const [ending, resetting] = await Promise.all([running.rawClient('/market'), running.rawClient('/market')]);
  await until('both are in the hook', () => reached === 2);
  ending.socket.end();
  resetting.socket.resetAndDestroy();
  await until('one is gone', async () => (await running.connections()) <= 1);
  goOn();
  // The other one has ended its side, and becomes a WebSocket that is closed.
  ending.socket.on('data', () => ending.socket.destroy());
  await running.untilNoConnections();
  await until('no client is left', () => running.app.openalgoShm.stats().clients.connected === 0);
});

test('a hook that never answers does not keep the application from closing; its clients get 503', async () => {
  await start((app) => {
    app.addHook('onRequest', (request, _reply, done) => {
      if (request.url.startsWith('/market')) reached += 1;
      else done();
    });
  });
  const client = await running.rawClient('/market');
  await until('it is in the hook', () => reached === 1);
  await running.app.close();
  await client.ended;
  expect(client.status).toBe(503);
});

test('a hook that hijacks, answers half and stops does not keep the application from closing', async () => {
  await start((app) => {
    app.addHook('onRequest', async (_request, reply) => {
      reply.hijack();
      reply.raw.writeHead(200, { 'content-length': '100' });
      reply.raw.write('half');
    });
  });
  const client = await running.rawClient('/market');
  await until('the half has come', () => client.received.endsWith('half'));
  await running.app.close();
  await client.ended;
});

test('one hook may let some in and refuse others', async () => {
  await start((app) => {
    app.addHook('onRequest', async (request, reply) => {
      await moment();
      if (request.headers['x-may'] !== 'yes') return reply.code(401).send('no');
      return undefined;
    });
  });
  const [refused, admitted] = await Promise.all([
    running.rawClient('/market'),
    Client.open(`${running.url}/market`, { headers: { 'x-may': 'yes' } }),
  ]);
  await refused.ended;
  expect(refused.status).toBe(401);
  expect(await admitted.ask({ action: 'ping' })).toMatchObject({ type: 'pong' });
  await until('only the admitted one is left', async () => (await running.connections()) === 1);
  await running.app.close();
  expect(await admitted.closed).toMatchObject({ code: 1001 });
});

describe.skipIf(!hasOpenSsl)('over TLS', () => {
  beforeEach(() => {
    running = new RunningApplication({ https: certificate() } as object);
  });

  /** The first line that the server answers to an upgrade. */
  async function answerTo(path: string): Promise<string> {
    const socket = connect({ port: running.port, host: '127.0.0.1', rejectUnauthorized: false });
    socket.on('error', () => undefined);
    socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n${UPGRADE}\r\n`);
    let received = '';
    socket.on('data', (data) => (received += data.toString('latin1')));
    await once(socket, 'end');
    return received.split('\r\n')[0] ?? '';
  }

  test('a hook that refuses after an await leaves no connection behind', async () => {
    await start((app) => {
      app.addHook('onRequest', async (_request, reply) => {
        await moment();
        return reply.code(403).send('no');
      });
    });
    expect(await answerTo('/market')).toBe('HTTP/1.1 403 Forbidden');
    await running.untilNoConnections();
  });

  test('a hook that never answers does not keep the application from closing', async () => {
    await start((app) => {
      app.addHook('onRequest', () => void (reached += 1));
    });
    const answer = answerTo('/market');
    await until('it is in the hook', () => reached === 1);
    await running.app.close();
    expect(await answer).toBe('HTTP/1.1 503 Service Unavailable');
  });
});

describe('an upgrade', () => {
  test.each([
    ['on a path that nobody has', '/nowhere', 404],
    ['on a route that takes none', '/market/stats', 404],
    ['on a route of the application that takes none', '/mine', 200],
    ['at a URL that is none', '/market/%zz', 400],
  ])('%s is answered without one and leaves no connection behind', async (_what, path, status) => {
    running.app.get('/mine', () => 'mine');
    await start(() => undefined);
    const client = await running.rawClient(path);
    await client.ended;
    expect(client.status).toBe(status);
    await running.untilNoConnections();
  });

  test('by HEAD needs a key like any other request', async () => {
    await running.registerPlugin({ prefix: '/market', auth: { keys: ['a-long-secret'] } });
    await running.listen();
    const stats = await running.rawClient('/market/stats', UPGRADE, 'HEAD');
    await stats.ended;
    expect(stats.status).toBe(401);
    await running.untilNoConnections();
  });

  test('to another protocol is served as if it had not been asked for', async () => {
    await start(() => undefined);
    const client = await running.rawClient('/market/health', 'Connection: Upgrade\r\nUpgrade: h2c\r\n');
    const received = await client.ended;
    expect(client.status).toBe(503);
    expect(received).toContain('"no_publisher"');
    await running.untilNoConnections();
  });

  test('to another protocol with a body is answered with 400 and leaves no connection behind', async () => {
    running.app.post('/mine', () => 'mine');
    await start(() => undefined);
    const headers = 'Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n';
    const client = await running.rawClient('/mine', headers, 'POST');
    client.socket.write('body');
    await client.ended;
    expect(client.status).toBe(400);
    await running.untilNoConnections();
  });

  test('to another protocol needs a key like any other request', async () => {
    await running.registerPlugin({ prefix: '/market', auth: { keys: ['a-long-secret'] } });
    await running.listen();
    const client = await running.rawClient('/market/stats', 'Connection: Upgrade\r\nUpgrade: h2c\r\n');
    await client.ended;
    expect(client.status).toBe(401);
  });

  test('without a valid key of the handshake is refused with 400', async () => {
    await start(() => undefined);
    const client = await running.rawClient('/market', UPGRADE.replace(/Sec-WebSocket-Key.*\r\n/, ''));
    await client.ended;
    expect(client.status).toBe(400);
    await running.untilNoConnections();
  });

  test('that comes while the application closes is refused with 503', async () => {
    let mayEnd = (): void => undefined;
    const held = new Promise<void>((resolve) => (mayEnd = resolve));
    running.app.addHook('preClose', () => held);
    await start(() => undefined);
    const early = await Client.open(`${running.url}/market`);
    const closed = running.app.close();
    // The application's own hook holds it up: it still listens.
    const late = await running.rawClient('/market');
    await late.ended;
    expect(late.status).toBe(503);
    mayEnd();
    await closed;
    expect(await early.closed).toMatchObject({ code: 1001 });
  });

  test('that a hook lets in only while the application closes is closed with 1001, and not waited for', async () => {
    let goOn = (): void => undefined;
    const asked = new Promise<void>((resolve) => (goOn = resolve));
    await start(
      (app) =>
        app.addHook('onRequest', async (request) => {
          if (!request.url.includes('late')) return;
          reached += 1;
          await asked;
        }),
      { closeTimeout: 1_000 },
    );
    // It never answers the close, so that the application waits.
    const stubborn = await running.rawClient('/market');
    await until('it is in', () => stubborn.status === 101);
    const late = await running.rawClient('/market?late');
    await until('the other is in the hook', () => reached === 1);
    let closed = false;
    void running.app.close().then(() => (closed = true));
    await until('the close has begun', () => stubborn.received.includes('server is shutting down'));
    goOn();
    await until('the late one was told', () => late.received.includes('server is shutting down'));
    await until('the application has closed', () => closed);
  });

  describe('on a connection that has served other requests', () => {
    const KEPT = 'GET /market/topics HTTP/1.1\r\nHost: localhost\r\n\r\n';
    const ASKING = `GET /market HTTP/1.1\r\nHost: localhost\r\n${UPGRADE}\r\n`;

    async function clientAfterRequest(): Promise<RawClient> {
      const client = new RawClient(running.port, KEPT);
      await until('the first answer has come', () => client.received.includes('"topics"'));
      client.received = '';
      client.socket.write(ASKING);
      return client;
    }

    test('becomes a WebSocket', async () => {
      await start(() => undefined);
      const client = await clientAfterRequest();
      await until('it is one', () => client.status === 101);
      client.socket.destroy();
      await running.untilNoConnections();
    });

    test('that a hook refuses leaves no connection behind', async () => {
      await start((app) => {
        app.addHook('onRequest', async (request, reply) => {
          await moment();
          if (request.headers.upgrade !== undefined) return reply.code(403).send('no');
          return undefined;
        });
      });
      const client = await clientAfterRequest();
      await client.ended;
      expect(client.status).toBe(403);
      await running.untilNoConnections();
    });

    test('and that no hook answers does not keep the application from closing', async () => {
      await start((app) => {
        app.addHook('onRequest', (request, _reply, done) => {
          if (request.headers.upgrade === undefined) done();
          else reached += 1;
        });
      });
      const client = await clientAfterRequest();
      await until('it is in the hook', () => reached === 1);
      await running.app.close();
      await client.ended;
      expect(client.status).toBe(503);
    });

    test('and that still waits for an answer of one is ended with that answer', async () => {
      await start((app) => {
        app.get('/slow', async () => {
          await moment();
          return 'slow';
        });
      });
      const client = new RawClient(running.port, KEPT.replace('/market/topics', '/slow') + ASKING);
      expect(await client.ended).toContain('slow');
      await running.untilNoConnections();
    });
  });

  test('whose client cannot be let in leaves no connection behind', async () => {
    await start(() => undefined);
    const { openalgoShm: proxy } = running.app;
    const { admit } = proxy;
    proxy.admit = () => {
      throw new Error('no descriptors are left');
    };
    const client = new Client(`${running.url}/market`);
    expect(await client.closed).toMatchObject({ code: 1006 });
    await running.untilNoConnections();
    proxy.admit = admit;
    expect(await (await Client.open(`${running.url}/market`)).ask({ action: 'ping' })).toMatchObject({ type: 'pong' });
  });
});

describe('of the request for a WebSocket nothing is kept', () => {
  test.each(['/market', '/mine', '/echo', '/raw'])('at %s, once its client is gone', async (path) => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const requests: WeakRef<object>[] = [];
    const raw = new WebSocketServer({ noServer: true });
    running.app.server.on('upgrade', (request, socket, head) => {
      requests.push(new WeakRef(request));
      if (request.url === '/raw') raw.handleUpgrade(request, socket, head, () => undefined);
    });
    running.app.addHook('onRequest', async () => moment());
    await running.app.register(websocket);
    await running.registerPlugin({ prefix: '/market' });
    // A client of the proxy that comes by a route of the application.
    running.app.get('/mine', { websocket: true }, (webSocket, request) => {
      running.app.openalgoShm.admit(webSocket, request);
    });
    running.app.get('/echo', { websocket: true }, () => undefined);
    await running.listen();
    for (let i = 0; i < 3; i++) await (await Client.open(running.url + path)).close();
    await running.untilNoConnections();
    await until('all are collected', () => {
      collect();
      return requests.every((request) => request.deref() === undefined);
    });
    expect(requests).toHaveLength(3);
  });
});
