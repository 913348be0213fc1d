import { EventEmitter } from 'node:events';
import { type IncomingMessage, type Server, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { FastifyInstance } from 'fastify';

/** A request for a WebSocket on its way through the application's hooks. */
export interface Upgrade {
  readonly socket: Duplex;
  /** What the client has sent behind the request. */
  readonly head: Buffer;
}

/** What an application injects has no address; it comes from this machine. */
const INJECTED = { remoteAddress: '127.0.0.1' };

/** Time in ms that an application has to take an upgrade by itself, at a path that has no route. */
const OTHERS_MS = 5_000;

const UNAVAILABLE = 'HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n';

/** Those of all servers. */
const upgrades = new WeakMap<IncomingMessage, Upgrade>();

/** Those whose handshake is made here: nobody else may route or end them any more. */
const accepted = new WeakSet<IncomingMessage>();

/** The upgrade that a request asks for; undefined for a plain request, and for upgrades to something else. */
export function upgradeOf(request: IncomingMessage): Upgrade | undefined {
  return upgrades.get(request);
}

/**
 * Follows the requests for an upgrade of one server until they have become WebSockets or were answered.
 *
 * Each goes through the application's hooks and router once: @fastify/websocket takes it there, the application's own
 * or the one that listens to the `router` here. Neither ends the socket of a request that a hook before its own has
 * answered; Node.js has left it to them, so nobody would read from it or close it any more.
 */
export class Upgrades {
  static readonly #ofServers = new WeakMap<Server, Upgrades>();
  readonly #fastify: FastifyInstance;
  readonly #pending = new Map<Duplex, IncomingMessage>();
  /** Shared by all sockets. */
  readonly #forget: (this: Duplex) => void;
  /** What takes upgrades through hooks and router where the application itself does not; it hears `upgrade`. */
  #router: EventEmitter | undefined;
  #isClosing = false;

  /** The one of this application's server. */
  static of(fastify: FastifyInstance): Upgrades {
    const { server } = fastify;
    const found = Upgrades.#ofServers.get(server) ?? new Upgrades(fastify);
    Upgrades.#ofServers.set(server, found);
    return found;
  }

  private constructor(fastify: FastifyInstance) {
    this.#fastify = fastify;
    const pending = this.#pending;
    this.#forget = function () {
      pending.delete(this);
    };
    // Before all others: they may have reached the route when they return.
    fastify.server.prependListener('upgrade', (request, socket, head) => {
      this.#note(request, socket, head);
      // After all others, whenever they were added.
      process.nextTick(() => this.#settle(request, socket, head));
    });
  }

  /** Something to listen to instead of the server for who takes upgrades through the router. */
  createRouter(): EventEmitter {
    const router = new EventEmitter();
    router.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => this.#note(request, socket, head));
    this.#router ??= router;
    return router;
  }

  /** The handshake of a request is made now: nobody ends its socket here any more. */
  accept(request: IncomingMessage, { socket }: Upgrade): void {
    accepted.add(request);
    this.#pending.delete(socket);
    socket.removeListener('close', this.#forget);
    socket.removeListener('error', destroy);
  }

  /** Ends those that no hook has answered yet, and later ones as soon as they come. */
  close(): void {
    this.#isClosing = true;
    for (const [socket, request] of this.#pending) this.#cutOff(request, socket);
  }

  #note(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    if (request.headers.upgrade?.toLowerCase() === 'websocket' && !upgrades.has(request)) {
      if ((request.socket as Socket | undefined) === undefined) {
        Object.assign(request, { socket: Object.assign(socket, INJECTED) });
      }
      upgrades.set(request, { socket, head });
    }
    if (!(socket instanceof Socket) || this.#pending.has(socket)) return;
    this.#pending.set(socket, request);
    socket.on('close', this.#forget);
    socket.on('error', destroy);
  }

  #settle(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    if (isTaken(request, socket)) return this.#endWhenAnswered(request, socket);
    if (!this.#isForOthers(request)) return this.#take(request, socket, head);
    const take = (): void => {
      if (!isTaken(request, socket)) this.#take(request, socket, head);
    };
    setTimeout(take, OTHERS_MS).unref();
  }

  #take(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    this.#route(request, socket, head);
    this.#endWhenAnswered(request, socket);
  }

  // An application that takes upgrades of some paths by itself may first have something to look up.
  #isForOthers({ url = '' }: IncomingMessage): boolean {
    if (this.#isClosing || this.#fastify.server.listenerCount('upgrade') === 1) return false;
    return this.#fastify.findRoute({ method: 'GET', url: url.replace(/[?#;].*$/, '') }) === null;
  }

  #endWhenAnswered(request: IncomingMessage, socket: Duplex): void {
    if (accepted.has(request)) return;
    const response = responseOf(socket);
    if (response?.writableEnded === true) return end(socket);
    if (response !== undefined) {
      response.shouldKeepAlive = false;
      response.once('finish', () => end(socket));
    }
    if (this.#isClosing) this.#cutOff(request, socket);
  }

  // To another protocol, like HTTP/2, nobody here upgrades: such a request is served as if it had not asked.
  #route(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    if (upgrades.has(request) && this.#router !== undefined && this.#router.listenerCount('upgrade') > 1) {
      this.#router.emit('upgrade', request, socket, head);
      return;
    }
    const response = new ServerResponse(request);
    response.shouldKeepAlive = false;
    response.assignSocket(socket as Socket);
    this.#fastify.routing(request, response);
  }

  #cutOff(request: IncomingMessage, socket: Duplex): void {
    if (accepted.has(request) || socket.writableEnded) return;
    if (responseOf(socket)?.headersSent === true) socket.destroy();
    // What was written without a response is a handshake: a WebSocket of the application.
    else if (!hasWritten(socket)) end(socket, UNAVAILABLE);
  }
}

/**
 * Lets go of the request that a WebSocket came with: the response that never was keeps it at the socket, and
 * @fastify/websocket in its listener for errors, as long as the client stays. That is more memory than all the rest.
 */
export function releaseRequest(webSocket: EventEmitter, socket: Duplex | undefined): void {
  webSocket.removeAllListeners('error');
  if (socket !== undefined) responseOf(socket)?.detachSocket(socket as Socket);
}

// Who takes an upgrade through Fastify gives it a response at once, so that a hook can refuse it with one.
function isTaken(request: IncomingMessage, socket: Duplex): boolean {
  return accepted.has(request) || responseOf(socket) !== undefined || socket.destroyed || hasWritten(socket);
}

function hasWritten(socket: Duplex): boolean {
  return socket instanceof Socket && socket.bytesWritten > 0;
}

function responseOf(socket: Duplex): ServerResponse | undefined {
  return (socket as { _httpMessage?: ServerResponse | null })._httpMessage ?? undefined;
}

// The client may not end its side: it waits for nothing.
function end(socket: Duplex, last?: string): void {
  socket.end(last, () => socket.destroy());
}

function destroy(this: Duplex): void {
  this.destroy();
}
