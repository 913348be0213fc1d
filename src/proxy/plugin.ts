/// <reference types="@fastify/websocket" preserve="true" />
import type { FastifyInstance, FastifyPluginAsync } from 'fastify';
import fp from 'fastify-plugin';
import { OpenAlgoShmError } from '../errors.ts';
import { whenNameIsFree } from '../shm/busy-name.ts';
import { DEFAULT_RING_NAME } from '../shm/options.ts';
import { acceptWebSockets } from './accept-websockets.ts';
import { type ProxyOptions } from './options.ts';
import { Proxy } from './proxy.ts';
import { routes } from './routes.ts';
import { Upgrades } from './upgrades.ts';

export type { AuthOption, Identity, KeyVerdict } from './auth.ts';
export type { KeyEntry } from './static-keys.ts';
export type { Limits, ProxyOptions } from './options.ts';
export type { StatsReport } from './schemas.ts';
export type { Interest, InterestListener } from './subscriptions.ts';
export { Proxy } from './proxy.ts';

/** Options of the plugin. */
export interface OpenAlgoShmPluginOptions extends ProxyOptions {
  /**
   * Its name among several of one application, under which `openalgoShmProxies` has its proxy. Default: the name of the
   * ring.
   */
  name?: string;
  /** Where the routes are: the WebSocket at the prefix itself and below it at `/ws`. Default: the root. */
  prefix?: string;
  /** Whether a WebSocket is taken at every path that has no route of its own, as OpenAlgo does. Default false. */
  anyPath?: boolean;
  /** Whether the page at the prefix is the dashboard. Default false. */
  dashboard?: boolean;
}

declare module 'fastify' {
  interface FastifyInstance {
    /** The proxy of `openalgo-shm/fastify`; of several, the one that was registered first. */
    openalgoShm: Proxy;
    /** The proxies of all registrations by their names: the option `name`, or the name of the ring. */
    openalgoShmProxies: ReadonlyMap<string, Proxy>;
  }
}

const plugin: FastifyPluginAsync<OpenAlgoShmPluginOptions> = async (fastify, options) => {
  const { name: wanted, prefix = '', anyPath = false, dashboard = false, ...proxyOptions } = options;
  const name = wanted ?? proxyOptions.ring?.name ?? DEFAULT_RING_NAME;
  const proxies = proxiesOf(fastify);
  checkName(wanted, name, proxies);
  const proxy = await whenNameIsFree(() => new Proxy(proxyOptions, fastify.log));
  proxies.set(name, proxy);
  if (!fastify.hasDecorator('openalgoShm')) fastify.decorate('openalgoShm', proxy);
  fastify.addHook('preClose', async () => {
    // All at once: each may wait for its clients to go.
    await Promise.all([...proxies.values()].map((each) => each.close()));
    Upgrades.of(fastify).close();
  });
  try {
    await fastify.register(
      async (context) => {
        await openEndpoint(fastify, context, proxy);
        await context.register(routes, { proxy, anyPath, dashboard });
      },
      { prefix },
    );
    proxy.start();
  } catch (error) {
    proxies.delete(name);
    await proxy.close();
    throw error;
  }
};

// In a context of its own: what WebSockets need is not seen by the application's other routes.
async function openEndpoint(fastify: FastifyInstance, context: FastifyInstance, proxy: Proxy): Promise<void> {
  const webSockets = await acceptWebSockets(context, Upgrades.of(fastify), proxy.settings);
  context.addHook('preClose', async () => {
    webSockets.close();
    // Those of the proxy have gone; a hook may have let one more in meanwhile, which was told to go.
    for (const webSocket of webSockets.clients) webSocket.terminate();
  });
  // Not before: the application may still register @fastify/websocket, which brings its own.
  context.addHook('onReady', async () => {
    if (!fastify.hasDecorator('injectWS')) fastify.decorate('injectWS', context.injectWS);
  });
}

function proxiesOf(fastify: FastifyInstance): Map<string, Proxy> {
  if (!fastify.hasDecorator('openalgoShmProxies')) fastify.decorate('openalgoShmProxies', new Map());
  return fastify.openalgoShmProxies as Map<string, Proxy>;
}

function checkName(wanted: unknown, name: string, proxies: ReadonlyMap<string, Proxy>): void {
  if (wanted !== undefined && (typeof wanted !== 'string' || wanted === '')) {
    throw new OpenAlgoShmError('ERR_INVALID_OPTION', `name is ${String(wanted)}, expected a text that is not empty`);
  }
  if (!proxies.has(name)) return;
  throw new OpenAlgoShmError(
    'ERR_INVALID_OPTION',
    `openalgo-shm is registered as ${name} already; give this registration another name with the option name`,
  );
}

/**
 * The proxy as a Fastify plugin: WebSocket clients, `GET /stats`, `GET /health`, `GET /health/live` and `GET /snapshot`.
 * It can be registered several times, for several rings, each with its own prefix.
 *
 * @example
 * const app = Fastify();
 * await app.register(openalgoShm, { prefix: '/market' });
 * await app.listen({ port: 3000 });
 */
export const openalgoShm = fp(plugin, { fastify: '5.x', name: 'openalgo-shm' });

export default openalgoShm;
