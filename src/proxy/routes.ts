import { type TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyError, FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify';
import type { WebSocket } from 'ws';
import { dashboard } from './dashboard.ts';
import { describe } from './descriptions.ts';
import { figuresGuard, webSocketGuard } from './guards.ts';
import { METRICS_TYPE, Metrics } from './metrics.ts';
import { readMode } from './modes.ts';
import type { Proxy } from './proxy.ts';
import {
  ErrorSchema,
  HealthSchema,
  SnapshotQuery,
  SnapshotSchema,
  StatsSchema,
  TopicsQuery,
  TopicsSchema,
} from './schemas.ts';

/** Options of the routes. */
export interface RoutesOptions {
  proxy: Proxy;
  anyPath: boolean;
  /** Whether the page at the root is the dashboard. */
  dashboard: boolean;
}

/** The WebSocket route and the HTTP routes beside it. */
export const routes: FastifyPluginAsync<RoutesOptions> = async (instance, options) => {
  const { proxy, anyPath } = options;
  const fastify = instance.withTypeProvider<TypeBoxTypeProvider>();
  const wsHandler = (webSocket: WebSocket, request: FastifyRequest): void => proxy.admit(webSocket, request);
  // Where every path takes a WebSocket, those with an HTTP route do too.
  const alsoWebSocket = anyPath ? { wsHandler } : {};

  const metrics = new Metrics(proxy);
  // A hook, so that no route is forgotten: any of them may take a WebSocket.
  fastify.addHook('preValidation', webSocketGuard(proxy));
  const guardFigures = figuresGuard(proxy);
  const notFound = (_request: FastifyRequest, reply: FastifyReply): void => void reply.callNotFound();

  await describe(fastify, alsoWebSocket as object);
  if (options.dashboard) await fastify.register(dashboard, { page: { wsHandler } as object });
  for (const url of anyPath ? ['/*'] : options.dashboard ? ['/ws'] : ['/', '/ws']) {
    fastify.route({
      method: 'GET',
      url,
      handler: notFound,
      wsHandler,
      schema: { hide: true } as object,
    });
  }

  fastify.route({
    method: 'GET',
    url: '/stats',
    schema: {
      summary: 'Figures of the ring, its publishers and this proxy',
      response: { 200: StatsSchema, 401: ErrorSchema, 403: ErrorSchema, 429: ErrorSchema },
    },
    preValidation: guardFigures,
    handler: () => proxy.stats(),
    ...alsoWebSocket,
  });

  fastify.route({
    method: 'GET',
    url: '/metrics',
    schema: { summary: 'Figures for Prometheus', produces: ['text/plain'] } as object,
    preValidation: guardFigures,
    handler: async (_request, reply) => reply.type(METRICS_TYPE).send(await metrics.text()),
    ...alsoWebSocket,
  });

  fastify.route({
    method: 'GET',
    url: '/health',
    schema: {
      summary: 'Whether ticks can be expected, and why not',
      response: { 200: HealthSchema, 503: HealthSchema },
    },
    handler: (_request, reply) => {
      const { status, reasons, lastTickAgeMs } = proxy.health();
      reply.code(status === 'ok' ? 200 : 503);
      return {
        status,
        reasons,
        last_tick_age_ms: lastTickAgeMs,
        symbols_without_source: proxy.symbolsWithoutSource(),
        subscriptions_refused: proxy.subscriptionsRefused(),
        delivery_restarts: proxy.deliveryRestarts(),
        last_delivery_failure: proxy.lastDeliveryFailure ?? null,
      };
    },
    ...alsoWebSocket,
  });

  fastify.route({
    method: 'GET',
    url: '/topics',
    schema: {
      summary: 'Instruments that have ticked, by words of their names',
      querystring: TopicsQuery,
      response: { 200: TopicsSchema, 400: ErrorSchema, 401: ErrorSchema, 403: ErrorSchema, 429: ErrorSchema },
    },
    preValidation: guardFigures,
    attachValidation: true,
    handler: (request) => {
      requireValid(request);
      const { query = '', limit = 50 } = request.query;
      const { found, total } = proxy.searchTopics(query, limit);
      return { topics: found, total };
    },
    errorHandler: answerBadQuery,
    ...alsoWebSocket,
  });

  fastify.route({
    method: 'GET',
    url: '/snapshot',
    schema: {
      summary: 'The last tick of an instrument, as a client would get it on subscribing',
      querystring: SnapshotQuery,
      response: {
        200: SnapshotSchema,
        400: ErrorSchema,
        401: ErrorSchema,
        403: ErrorSchema,
        404: ErrorSchema,
        429: ErrorSchema,
      },
    },
    preValidation: guardFigures,
    attachValidation: true,
    handler: async (request, reply) => {
      requireValid(request);
      const { exchange, symbol, mode } = request.query;
      const tick = await proxy.lastTick(exchange, symbol, mode === undefined ? undefined : modeOfQuery(mode));
      if (tick !== undefined) return tick;
      reply.code(404);
      return { status: 'error' as const, code: 'NO_TICK', message: `No tick of ${exchange}:${symbol} has come yet` };
    },
    errorHandler: answerBadQuery,
    ...alsoWebSocket,
  });
};

function modeOfQuery(mode: string) {
  return readMode(/^\d+$/.test(mode) ? Number(mode) : mode);
}

// Not before the handler: a WebSocket that comes this way has no question that could be wrong.
function requireValid({ validationError }: Pick<FastifyRequest, 'validationError'>): void {
  if (validationError !== undefined && validationError !== null) throw validationError;
}

function answerBadQuery(error: FastifyError, _request: FastifyRequest, reply: FastifyReply): void {
  const code = error.code === 'INVALID_MODE' ? 'INVALID_MODE' : 'INVALID_PARAMETERS';
  if (code !== 'INVALID_MODE' && error.validation === undefined) throw error;
  void reply.code(400).send({ status: 'error', code, message: error.message });
}
