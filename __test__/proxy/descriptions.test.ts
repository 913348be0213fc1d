import { createRequire } from 'node:module';
import { Validator } from '@seriousme/openapi-schema-validator';
import fastifySwagger from '@fastify/swagger';
import { Ajv } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import Fastify from 'fastify';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openalgoShm } from '../../src/proxy/plugin.ts';
import { ACTIONS } from '../../src/proxy/protocol.ts';
import { LockFreeRingBuffer } from '../../src/shm/ring-buffer.ts';
import { type Received, RunningProxy, until } from './running-proxy.ts';
import { StandInHost } from './stand-in-host.ts';

const BOOK = { buy: [{ price: 1, quantity: 2, orders: 3 }], sell: [{ price: 2, quantity: 1, orders: 1 }] };
const KEY = 'a-secret-key-of-some-length';
let running: RunningProxy;

interface Operation {
  parameters?: { name: string; in: string; required?: boolean }[];
  responses: Record<string, { content?: Record<string, { schema: object }> }>;
}
interface OpenApi {
  paths: Record<string, { get: Operation }>;
}
interface AsyncApi {
  channels: { ticks: { address: string } };
  components: { messages: Record<string, { name: string; payload: object }> };
}

beforeAll(async () => {
  running = await RunningProxy.start();
  const publisher = running.publisher();
  publisher.publishMarketData('SBIN', { ltp: 1, volume: 5, depth: BOOK });
  const client = await running.client();
  client.send({ action: 'subscribe', symbol: 'SBIN' });
  await until(
    'the tick is known',
    async () => (await running.get('/snapshot?exchange=NSE&symbol=SBIN')).status === 200,
  );
});
afterAll(() => running.stop());

async function document<T>(path: string): Promise<T> {
  const { status, body } = await running.get(path);
  expect(status).toBe(200);
  return body as unknown as T;
}

describe('GET /openapi.json', () => {
  test('is a description by the standard, of every route that answers with figures or ticks', async () => {
    const openApi = await document<OpenApi>('/openapi.json');
    expect(await new Validator().validate({ ...openApi })).toMatchObject({ valid: true });
    expect(Object.keys(openApi.paths).toSorted()).toEqual([
      '/health',
      '/health/live',
      '/metrics',
      '/snapshot',
      '/stats',
      '/topics',
    ]);
  });

  test.each([
    ['/stats', '/stats', 200],
    ['/health', '/health', 200],
    ['/health/live', '/health/live', 200],
    ['/topics', '/topics?query=sb', 200],
    ['/topics', '/topics?limit=many', 400],
    ['/snapshot', '/snapshot?exchange=NSE&symbol=SBIN', 200],
    ['/snapshot', '/snapshot?exchange=NSE&symbol=SBIN&mode=LTP', 200],
    ['/snapshot', '/snapshot?exchange=NSE&symbol=ABSENT', 404],
    ['/snapshot', '/snapshot?symbol=SBIN', 400],
    ['/snapshot', '/snapshot?exchange=NSE&symbol=SBIN&mode=9', 400],
  ])('describes %s as it answers to %s: %i', async (path, url, expected) => {
    await checkAnswer(running, path, url, expected, {});
  });

  test('describes the answers to those without a key, and of a feed that is gone', async () => {
    const closed = await RunningProxy.start({ auth: { keys: [KEY] } });
    try {
      for (const path of ['/stats', '/topics', '/snapshot?exchange=NSE&symbol=SBIN']) {
        await checkAnswer(closed, path.split('?')[0]!, path, 401, {});
      }
      await checkAnswer(closed, '/stats', '/stats', 200, { 'x-api-key': KEY });
      await checkAnswer(closed, '/health', '/health', 503, {});
    } finally {
      await closed.stop();
    }
  });

  test('leaves an application that describes itself to do so', async () => {
    const name = `test-descriptions-${process.pid}`;
    const app = Fastify();
    await app.register(fastifySwagger, { openapi: { info: { title: 'mine', version: '1' } } });
    await app.register(openalgoShm, { ring: { name }, prefix: '/market' });
    await app.ready();
    expect(Object.keys(app.swagger().paths ?? {})).toContain('/market/stats');
    expect((await app.inject('/market/openapi.json')).statusCode).toBe(404);
    await app.close();
    LockFreeRingBuffer.unlink(name);
  });

  async function checkAnswer(
    proxy: RunningProxy,
    path: string,
    url: string,
    expected: number,
    headers: Record<string, string>,
  ): Promise<void> {
    const openApi = (await proxy.get('/openapi.json')).body as unknown as OpenApi;
    const { status, body } = await proxy.get(url, headers);
    expect(status).toBe(expected);
    const schema = openApi.paths[path]?.get.responses[status]?.content?.['application/json']?.schema;
    const validate = new Ajv({ strict: false }).compile(schema ?? false);
    validate(body);
    expect(validate.errors).toBeNull();
  }
});

describe('GET /asyncapi.json', () => {
  const schemaOfStandard = createRequire(import.meta.url)('@asyncapi/specs/schemas/3.0.0-without-$id.json') as object;

  test('is a description by the standard', async () => {
    const asyncApi = await document<AsyncApi>('/asyncapi.json');
    const validate = new Ajv({ strict: false, validateFormats: false, logger: false }).compile(schemaOfStandard);
    validate(asyncApi);
    expect(validate.errors).toBeNull();
    expect(asyncApi.channels.ticks.address).toBe('/ws');
  });

  test('refers to nothing that is not in it', async () => {
    const asyncApi = await document<Record<string, unknown>>('/asyncapi.json');
    const references = [...JSON.stringify(asyncApi).matchAll(/"\$ref":"#\/([^"]+)"/g)].map(([, path]) => path!);
    expect(references.length).toBeGreaterThan(10);
    for (const path of references) {
      let found: unknown = asyncApi;
      for (const part of path.split('/')) found = (found as Record<string, unknown> | undefined)?.[part];
      expect(found, path).toBeDefined();
    }
  });

  /** What may be said, and what must be answered. */
  const CONVERSATION: [request: string, message: object, response: string][] = [
    ['ping', { action: 'ping', timestamp: 1, _pingId: 'a' }, 'pong'],
    ['authenticate', { action: 'authenticate', api_key: 'any' }, 'auth'],
    ['subscribe', { action: 'subscribe', symbol: 'SBIN' }, 'subscribe'],
    ['subscribe', { action: 'subscribe', symbols: [{ symbol: 'TCS', exchange: '*' }], mode: 'quote' }, 'subscribe'],
    [
      'subscribe',
      { action: 'subscribe', symbol: 'S', exchange: 'NSE', interval_ms: 9, status: true, request_id: 1 },
      'subscribe',
    ],
    ['unsubscribe', { action: 'unsubscribe', symbols: [{ symbol: 'TCS', exchange: 'NSE', mode: 2 }] }, 'unsubscribe'],
    ['unsubscribe', { action: 'unsubscribe_all', request_id: 'r' }, 'unsubscribe'],
    ['orders', { action: 'subscribe_orders' }, 'orders'],
    ['orders', { action: 'unsubscribe_orders' }, 'orders'],
    ['broker', { action: 'get_broker_info' }, 'broker_info'],
    ['broker', { action: 'get_supported_brokers' }, 'supported_brokers'],
    ['subscribe', { action: 'subscribe', symbol: 'SBIN', mode: 'full' }, 'error'],
  ];

  test.each(CONVERSATION)('describes %s %j and its answer, %s', async (request, sent, response) => {
    const isValid = await validators();
    const client = await running.client();
    client.send(sent);
    const type = response === 'orders' ? String((sent as { action: string }).action) : response;
    const answer = await client.nextOf(type);
    if (response !== 'error') expect(isValid(`request_${request}`, sent)).toEqual([]);
    expect(isValid(`response_${response}`, answer)).toEqual([]);
    await client.close();
  });

  test('describes every action, and ticks of every mode, snapshots and notices', async () => {
    const isValid = await validators();
    const actions = new Set(CONVERSATION.map(([, sent]) => (sent as { action: string }).action));
    expect([...ACTIONS].filter((action) => action !== 'auth' && !actions.has(action))).toEqual([]);
    const publisher = running.publisher({ publisherName: 'second' });
    const client = await running.client();
    await client.ask({ action: 'subscribe', symbol: 'SBIN', status: true });
    publisher.publishBatch([
      { symbol: 'SBIN', ltp: 2 },
      { symbol: 'SBIN', ltp: 3, open: 1, close: 2, oi: 7, week52High: 9, timestamp: 1_700_000_000_000 },
      { symbol: 'SBIN', ltp: 4, depth: BOOK },
    ]);
    await until('three ticks and a snapshot came', () => client.ticks().length >= 4);
    running.proxy.deliverOrderUpdate('local', { orderid: '1' });
    for (const message of client.received as Received[]) {
      expect(isValid(`response_${String(message['type'])}`, message)).toEqual([]);
    }
    expect(client.received.map(({ type }) => type)).toContain('feed_status');
    expect(client.ticks()[0]).toMatchObject({ snapshot: true });
  });

  test('describes a refusal that comes late', async () => {
    const isValid = await validators();
    const proxy = await RunningProxy.start({ subscribeTimeout: 0 });
    try {
      const host = await StandInHost.up(proxy, () => ({ status: 'error', message: 'no such symbol' }));
      const client = await proxy.client();
      await client.ask({ action: 'subscribe', symbol: 'BAD', exchange: 'NSE', mode: 1 });
      expect(isValid('response_subscription_refused', await client.next())).toEqual([]);
      host.close();
    } finally {
      await proxy.stop();
    }
  });

  test('does not take one message for another', async () => {
    const isValid = await validators();
    expect(isValid('response_market_data', { type: 'pong' })).not.toEqual([]);
    expect(isValid('request_subscribe', { action: 'subscribe', symbol: 'S', mode: 4 })).not.toEqual([]);
    expect(isValid('request_ping', { action: 'pong' })).not.toEqual([]);
  });

  /** Checks a message by its name in the description; gives what is wrong with it. */
  async function validators(): Promise<(name: string, message: object) => unknown[]> {
    const { components } = await document<AsyncApi>('/asyncapi.json');
    const ajv = new Ajv2020({ strict: false });
    return (name, message) => {
      const validate = ajv.compile(components.messages[name]?.payload ?? false);
      validate(message);
      return validate.errors ?? [];
    };
  }
});
