import { type TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify';
import type { WebSocket } from 'ws';
import { figuresGuard, webSocketGuard } from './guards.ts';
import { readMode } from './modes.ts';
import type { Proxy } from './proxy.ts';
import { ErrorSchema, HealthSchema, SnapshotQuery, SnapshotSchema, StatsSchema } from './schemas.ts';

/** Options of the routes. */
export interface RoutesOptions {
  proxy: Proxy;
  anyPath: boolean;
}

/** The WebSocket route and the HTTP routes beside it. */
export const routes: FastifyPluginAsync<RoutesOptions> = async (instance, { proxy, anyPath }) => {
  const fastify = instance.withTypeProvider<TypeBoxTypeProvider>();
  const wsHandler = (webSocket: WebSocket, request: FastifyRequest): void => proxy.admit(webSocket, request);
  // Where every path takes a WebSocket, those with an HTTP route do too.
  const alsoWebSocket = anyPath ? { wsHandler } : {};

  const guard = webSocketGuard(proxy);
  const guardFigures = figuresGuard(proxy);
  const notFound = (_request: FastifyRequest, reply: FastifyReply): void => void reply.callNotFound();

  for (const url of anyPath ? ['/*'] : ['/', '/ws']) {
    fastify.route({
      method: 'GET',
      url,
      preValidation: guard,
      handler: notFound,
      wsHandler,
      schema: { hide: true } as object,
    });
  }

  fastify.route({
    method: 'GET',
    url: '/stats',
    schema: { response: { 200: StatsSchema, 401: ErrorSchema, 403: ErrorSchema } },
    preValidation: guardFigures,
    handler: () => proxy.stats(),
    ...alsoWebSocket,
  });

  fastify.route({
    method: 'GET',
    url: '/health',
    schema: { response: { 200: HealthSchema, 503: HealthSchema } },
    preValidation: guard,
    handler: (_request, reply) => {
      const { status, reasons, lastTickAgeMs } = proxy.health();
      reply.code(status === 'ok' ? 200 : 503);
      return { status, reasons, last_tick_age_ms: lastTickAgeMs };
    },
    ...alsoWebSocket,
  });

  fastify.route({
    method: 'GET',
    url: '/snapshot',
    schema: {
      querystring: SnapshotQuery,
      response: { 200: SnapshotSchema, 400: ErrorSchema, 401: ErrorSchema, 403: ErrorSchema, 404: ErrorSchema },
    },
    preValidation: guardFigures,
    handler: (request, reply) => {
      const { exchange, symbol, mode } = request.query;
      const tick = proxy.lastTick(exchange, symbol, mode === undefined ? undefined : modeOfQuery(mode));
      if (tick !== undefined) return tick;
      reply.code(404);
      return { status: 'error' as const, code: 'NO_TICK', message: `No tick of ${exchange}:${symbol} has come yet` };
    },
    errorHandler: (error, _request, reply) => {
      const code = 'code' in error && error.code === 'INVALID_MODE' ? 'INVALID_MODE' : 'INVALID_PARAMETERS';
      const isAsker = code === 'INVALID_MODE' || error.validation !== undefined;
      if (!isAsker) throw error;
      void reply.code(400).send({ status: 'error', code, message: error.message });
    },
    ...alsoWebSocket,
  });
};

function modeOfQuery(mode: string) {
  return readMode(/^\d+$/.test(mode) ? Number(mode) : mode);
}
