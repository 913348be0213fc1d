import { readFileSync } from 'node:fs';
import swagger from '@fastify/swagger';
import type { FastifyInstance, RouteShorthandOptions } from 'fastify';
import { asyncApi } from './asyncapi.ts';

const DESCRIPTION =
  'Figures and last ticks of the proxy between shared memory and WebSocket clients. What clients say over the WebSocket is described by /asyncapi.json.';

/**
 * Serves what describes the proxy to programs: `/openapi.json` for HTTP, `/asyncapi.json` for the WebSocket. An
 * application that describes its routes with @fastify/swagger already has the first among its own. To be called
 * before the routes that it shall describe are there.
 *
 * @param also - what the routes have beside their handlers
 */
export async function describe(fastify: FastifyInstance, also: RouteShorthandOptions): Promise<void> {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  const hidden = { ...also, schema: { hide: true } as object };
  if (!fastify.hasDecorator('swagger')) {
    await fastify.register(swagger, {
      openapi: {
        openapi: '3.1.0',
        info: { title: 'openalgo-shm', version, description: DESCRIPTION, license: { name: 'MIT' } },
        // A key is asked for only where the proxy wants keys.
        security: [{ header: [] }, { bearer: [] }, {}],
        components: {
          securitySchemes: {
            header: { type: 'apiKey', in: 'header', name: 'X-API-Key' },
            bearer: { type: 'http', scheme: 'bearer' },
          },
        },
      },
    });
    fastify.get('/openapi.json', hidden, () => fastify.swagger());
  }
  const document = asyncApi(`${fastify.prefix}/ws`, version);
  fastify.get('/asyncapi.json', hidden, () => document);
}
