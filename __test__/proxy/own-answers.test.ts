import type { FastifyInstance, LightMyRequestResponse } from 'fastify';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { RunningApplication } from './running-application.ts';

const PATHS = [
  '/market/stats',
  '/market/health',
  '/market/metrics',
  '/market/topics?query=a',
  '/market/topics?limit=many',
  '/market/snapshot?exchange=NSE&symbol=X',
  '/market/snapshot?mode=9',
  '/market/asyncapi.json',
  '/market/openapi.json',
];

let running: RunningApplication;
let app: FastifyInstance;
beforeEach(() => {
  running = new RunningApplication();
  ({ app } = running);
});
afterEach(() => running.stop());

function httpError(statusCode: number, code?: string): Error {
  return Object.assign(new Error('not now'), { statusCode, ...(code !== undefined && { code }) });
}

async function askAll(check: (response: LightMyRequestResponse) => void): Promise<void> {
  await running.registerPlugin({ prefix: '/market' });
  for (const path of PATHS) {
    check(await app.inject(path));
  }
}

describe('an answer of an application’s hook passes as it is', () => {
  test.each([401, 403, 404, 429, 500, 503])('with status %i and a body of its own', async (status) => {
    app.addHook('onRequest', async (_request, reply) => {
      return reply.code(status).header('x-own', 'yes').send({ busy: true, error: 'mine' });
    });
    await askAll((response) => {
      expect(response.statusCode).toBe(status);
      expect(response.json()).toEqual({ busy: true, error: 'mine' });
      expect(response.headers['x-own']).toBe('yes');
    });
  });

  test.each(['preParsing', 'preValidation', 'preHandler'] as const)('from %s', async (hook) => {
    const answer = (reply: { code(status: number): { send(body: unknown): unknown } }) =>
      reply.code(429).send({ wait: 5 });
    if (hook === 'preParsing') app.addHook(hook, async (_request, reply) => answer(reply) as never);
    else app.addHook(hook, async (_request, reply) => answer(reply));
    await askAll((response) => expect([response.statusCode, response.json()]).toEqual([429, { wait: 5 }]));
  });

  test('as text', async () => {
    app.addHook('onRequest', async (_request, reply) => reply.code(403).type('text/plain').send('no'));
    await askAll((response) => expect([response.statusCode, response.body]).toEqual([403, 'no']));
  });

  test('with status 200', async () => {
    app.addHook('onRequest', async (_request, reply) => reply.send({ maintenance: true }));
    await askAll((response) => expect([response.statusCode, response.json()]).toEqual([200, { maintenance: true }]));
  });
});

describe('an error of an application’s hook', () => {
  test.each([
    [401, undefined, 'Unauthorized'],
    [403, undefined, 'Forbidden'],
    [429, 'FST_ERR_RATE_LIMIT', 'Too Many Requests'],
    [503, 'FST_UNDER_PRESSURE', 'Service Unavailable'],
    [400, 'INVALID_MODE', 'Bad Request'],
  ])('of status %i passes as Fastify answers it', async (status, code, error) => {
    app.addHook('onRequest', async () => {
      throw httpError(status, code);
    });
    await askAll((response) => {
      expect(response.statusCode).toBe(status);
      expect(response.json()).toEqual({
        statusCode: status,
        error,
        message: 'not now',
        ...(code !== undefined && { code }),
      });
    });
  });

  test('goes to its error handler, once', async () => {
    let handled = 0;
    app.setErrorHandler((error: Error & { statusCode?: number }, _request, reply) => {
      handled += 1;
      return reply.code(error.statusCode ?? 500).send({ problem: error.message });
    });
    app.addHook('onRequest', async () => {
      throw httpError(403);
    });
    await askAll((response) => expect([response.statusCode, response.json()]).toEqual([403, { problem: 'not now' }]));
    expect(handled).toBe(PATHS.length);
  });
});

describe('what the plugin answers itself', () => {
  test('does not go to the error handler of the application', async () => {
    app.setErrorHandler((_error, _request, reply) => reply.code(418).send('teapot'));
    await running.registerPlugin({ prefix: '/market', auth: { keys: ['a-long-secret'] } });
    expect((await app.inject('/market/stats')).statusCode).toBe(401);
    const headers = { 'x-api-key': 'a-long-secret' };
    const asked = async (url: string) => (await app.inject({ url, headers })).json<Record<string, unknown>>();
    expect(await asked('/market/topics?limit=many')).toMatchObject({ code: 'INVALID_PARAMETERS' });
    expect(await asked('/market/snapshot?symbol=X')).toMatchObject({ code: 'INVALID_PARAMETERS' });
    expect(await asked('/market/snapshot?exchange=NSE&symbol=X&mode=9')).toMatchObject({ code: 'INVALID_MODE' });
    expect(await asked('/market/snapshot?exchange=NSE&symbol=X')).toMatchObject({ code: 'NO_TICK' });
  });

  test('passes through the hooks of the application, which may change it', async () => {
    app.addHook('preSerialization', async (_request, _reply, payload) => ({ wrapped: payload }));
    await running.registerPlugin({ prefix: '/market' });
    expect((await app.inject('/market/health')).json()).toMatchObject({ wrapped: { status: 'unavailable' } });
    expect((await app.inject('/market/stats')).json()).toMatchObject({ wrapped: { ring: { name: running.ring } } });
  });

  test('is Not Found by the application’s handler where the plugin has nothing', async () => {
    app.setNotFoundHandler((_request, reply) => reply.code(404).send({ mine: true }));
    await running.registerPlugin({ prefix: '/market' });
    for (const path of ['/market', '/market/ws', '/market/nothing']) {
      expect([(await app.inject(path)).statusCode, (await app.inject(path)).json()]).toEqual([404, { mine: true }]);
    }
  });
});
