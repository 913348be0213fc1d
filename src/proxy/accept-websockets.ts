import type { Server } from 'node:http';
import websocket from '@fastify/websocket';
import type { FastifyInstance, RouteOptions } from 'fastify';
import { WebSocketServer } from 'ws';
import { MESSAGE_PACK_PROTOCOL } from './format.ts';
import type { Settings } from './options.ts';
import { type Upgrades, upgradeOf } from './upgrades.ts';

/**
 * Has the routes of a context that have a `wsHandler` take WebSockets, by the proxy's own limits. To be called before
 * there are routes.
 *
 * An upgrade request goes through the application's hooks and router by way of @fastify/websocket. One application can
 * have it once: where it is registered already, that one is used, else this context has its own, which leaves the
 * application free to register it later. In both cases the handshake is made here, so that neither the limits nor the
 * closing of the application's own WebSockets apply.
 */
export async function acceptWebSockets(
  context: FastifyInstance,
  upgrades: Upgrades,
  { limits, perMessageDeflate }: Settings,
): Promise<WebSocketServer> {
  const options = {
    maxPayload: Math.max(limits.messageBytes, limits.bulkMessageBytes),
    perMessageDeflate,
    handleProtocols,
  };
  const webSockets = context.hasRequestDecorator('ws')
    ? new WebSocketServer({ ...options, noServer: true })
    : await registerWebSocket(context, upgrades, options);
  context.addHook('onRoute', (route) => makeHandshakes(route, webSockets));
  return webSockets;
}

async function registerWebSocket(context: FastifyInstance, upgrades: Upgrades, options: object) {
  // It only listens there.
  const server = upgrades.createRouter() as Server;
  await context.register(websocket, { options: { ...options, server }, preClose: (done) => done() });
  return context.websocketServer;
}

// Around what @fastify/websocket has made of the handler: which copy of it routed the request does not matter here.
function makeHandshakes(route: RouteOptions, webSockets: WebSocketServer): void {
  if (![route.method].flat().includes('GET')) return;
  const { handler, wsHandler } = route;
  route.handler = function (request, reply) {
    const upgrade = upgradeOf(request.raw);
    if (upgrade === undefined) return handler.call(this, request, reply);
    if (wsHandler === undefined) return reply.callNotFound();
    upgrade.followedBy.accept(upgrade);
    reply.hijack();
    webSockets.handleUpgrade(request.raw, upgrade.socket, upgrade.head, (webSocket) => {
      try {
        void wsHandler.call(this, webSocket, request);
      } catch (error) {
        request.log.error({ err: error }, 'a client could not be let in; its connection is ended');
        webSocket.terminate();
      }
    });
    return undefined;
  };
}

// OpenAlgo's clients offer no subprotocol; one that is not known here is not agreed to.
function handleProtocols(offered: Set<string>): string | false {
  return offered.has(MESSAGE_PACK_PROTOCOL) ? MESSAGE_PACK_PROTOCOL : false;
}
