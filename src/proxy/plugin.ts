import websocket from '@fastify/websocket';
import type { FastifyInstance, FastifyPluginAsync } from 'fastify';
import fp from 'fastify-plugin';
import { whenNameIsFree } from '../shm/busy-name.ts';
import { endIfAnswered } from './handshake.ts';
import { type ProxyOptions } from './options.ts';
import { Proxy } from './proxy.ts';
import { routes } from './routes.ts';
import { MESSAGE_PACK_PROTOCOL } from './format.ts';

export type { AuthOption, Identity, KeyVerdict } from './auth.ts';
export type { KeyEntry } from './static-keys.ts';
export type { Limits, ProxyOptions } from './options.ts';
export type { StatsReport } from './schemas.ts';
export type { Interest, InterestListener } from './subscriptions.ts';
export { Proxy } from './proxy.ts';

/** Options of the plugin. */
export interface OpenAlgoShmPluginOptions extends ProxyOptions {
  /** Where the routes are: the WebSocket at the prefix itself and below it at `/ws`. Default: the root. */
  prefix?: string;
  /** Whether a WebSocket is taken at every path that has no route of its own, as OpenAlgo does. Default false. */
  anyPath?: boolean;
  /** Whether the page at the prefix is the dashboard. Default false. */
  dashboard?: boolean;
}

declare module 'fastify' {
  interface FastifyInstance {
    /** The proxy of `openalgo-shm/fastify`. */
    openalgoShm: Proxy;
  }
}

const plugin: FastifyPluginAsync<OpenAlgoShmPluginOptions> = async (fastify, options) => {
  const proxy = await whenNameIsFree(() => new Proxy(options, fastify.log));
  fastify.decorate('openalgoShm', proxy);
  // Before @fastify/websocket's own, which would close the clients without a code.
  fastify.addHook('preClose', () => proxy.close());
  try {
    await acceptWebSockets(fastify, proxy);
    fastify.server.on('upgrade', endIfAnswered);
    const { prefix = '', anyPath = false, dashboard = false } = options;
    await fastify.register(routes, { proxy, prefix, anyPath, dashboard });
    proxy.start();
  } catch (error) {
    await proxy.close();
    throw error;
  }
};

// An application may have registered @fastify/websocket for itself: then its limits hold.
async function acceptWebSockets(fastify: FastifyInstance, proxy: Proxy): Promise<void> {
  if (fastify.hasDecorator('websocketServer')) return;
  const { limits, perMessageDeflate } = proxy.settings;
  await fastify.register(websocket, {
    options: { maxPayload: Math.max(limits.messageBytes, limits.bulkMessageBytes), perMessageDeflate, handleProtocols },
  });
}

/**
 * The proxy as a Fastify plugin: WebSocket clients, `GET /stats`, `GET /health`, `GET /health/live` and `GET /snapshot`.
 *
 * @example
 * const app = Fastify();
 * await app.register(openalgoShm, { prefix: '/market' });
 * await app.listen({ port: 3000 });
 */
export const openalgoShm = fp(plugin, { fastify: '5.x', name: 'openalgo-shm' });

export default openalgoShm;

// OpenAlgo's clients offer no subprotocol; one that is not known here is not agreed to.
function handleProtocols(offered: Set<string>): string | false {
  return offered.has(MESSAGE_PACK_PROTOCOL) ? MESSAGE_PACK_PROTOCOL : false;
}
