import { type TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyError, FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify';
import type { Static } from 'typebox';
import type { WebSocket } from 'ws';
import type { Mode } from '../message.ts';
import { answerCrossOrigin } from './cross-origin.ts';
import { dashboard } from './dashboard.ts';
import { describe } from './descriptions.ts';
import { figuresGuard, webSocketGuard } from './guards.ts';
import { METRICS_TYPE, Metrics } from './metrics.ts';
import { readMode } from './modes.ts';
import { ProtocolError } from './protocol.ts';
import type { Proxy } from './proxy.ts';
import {
  ErrorSchema,
  HealthSchema,
  LivenessSchema,
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

  // The schemas describe what the routes themselves answer. A hook of the application may answer with the same status and
  // a body of its own, which no schema may reshape.
  fastify.setSerializerCompiler(() => serialize);
  const answerPreflights = await answerCrossOrigin(instance, proxy.settings.origins);
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
      summary: 'Whether ticks come as they should, and why none come',
      response: { 200: HealthSchema, 503: HealthSchema },
    },
    handler: (_request, reply) => {
      const { status, reasons, lastTickAgeMs, market, marketOpensAtMs: opensAt } = proxy.health();
      reply.code(status === 'ok' ? 200 : 503);
      return {
        status,
        reasons,
        last_tick_age_ms: lastTickAgeMs,
        ...(market !== undefined && { market }),
        ...(opensAt !== undefined && { market_opens_at: new Date(opensAt).toISOString() }),
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
    url: '/health/live',
    schema: {
      summary: 'Whether the process itself works, whatever the feeds do: what a restart may mend',
      response: { 200: LivenessSchema, 503: LivenessSchema },
    },
    handler: (_request, reply) => {
      const liveness = proxy.liveness();
      reply.code(liveness.status === 'ok' ? 200 : 503);
      return liveness;
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
    handler: (request, reply) => {
      if (request.validationError) return badQuery(reply, request.validationError);
      const { query = '', limit = 50 } = request.query;
      const { found, total } = proxy.searchTopics(query, limit);
      return { topics: found, total };
    },
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
      if (request.validationError) return badQuery(reply, request.validationError);
      const { exchange, symbol } = request.query;
      const mode = modeOfQuery(request.query.mode);
      if (mode instanceof ProtocolError) return badQuery(reply, mode);
      const tick = await proxy.lastTick(exchange, symbol, mode);
      if (tick !== undefined) return tick;
      reply.code(404);
      return { status: 'error' as const, code: 'NO_TICK', message: `No tick of ${exchange}:${symbol} has come yet` };
    },
    ...alsoWebSocket,
  });

  answerPreflights();
};

// An error in the form that Fastify gives one where there is no schema.
function serialize(payload: unknown): string {
  if (!(payload instanceof Error)) return JSON.stringify(payload);
  const { statusCode, code, error, message } = payload as FastifyError & { error?: string };
  return JSON.stringify({ statusCode, code, error, message });
}

function modeOfQuery(mode: string | undefined): Mode | ProtocolError | undefined {
  if (mode === undefined) return undefined;
  try {
    return readMode(/^\d+$/.test(mode) ? Number(mode) : mode);
  } catch (error) {
    if (error instanceof ProtocolError) return error;
    throw error;
  }
}

// In the handler, not in an error handler, which would get the errors of the application's hooks as well.
function badQuery(reply: FastifyReply, error: Error): Static<typeof ErrorSchema> {
  reply.code(400);
  const code = error instanceof ProtocolError ? error.code : 'INVALID_PARAMETERS';
  return { status: 'error', code, message: error.message };
}
