import { EventEmitter } from 'node:events';
import { type IncomingMessage, type Server, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { FastifyInstance } from 'fastify';

/** A request for an upgrade on its way through the application's hooks. */
export interface Upgrade {
  readonly followedBy: Upgrades;
  readonly request: IncomingMessage;
  readonly socket: Duplex;
  /** What the client has sent behind the request. */
  readonly head: Buffer;
  /** Bytes that were written before: the connection may have served other requests. */
  readonly bytesBefore: number;
  /** Whether the handshake is made here: nobody else may route or end it any more. */
  isAccepted: boolean;
}

/** What an application injects has no address; it comes from this machine. */
const INJECTED = { remoteAddress: '127.0.0.1' };

/** Time in ms that an application has to take an upgrade by itself, at a path that has no route. */
const OTHERS_MS = 5_000;

const UNAVAILABLE = 'HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n';

const UPGRADE = Symbol('upgrade');

/** A request that keeps what it asks for: a table of them would stay as large as it once was. */
type UpgradeRequest = IncomingMessage & { [UPGRADE]?: Upgrade };

/** The upgrade that a request for a WebSocket asks for; undefined for all other requests. */
export function upgradeOf(request: UpgradeRequest): Upgrade | undefined {
  return asksForWebSocket(request) ? request[UPGRADE] : undefined;
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
  /** Those that have neither become a WebSocket here nor lost their connection. */
  readonly #pending = new Set<Upgrade>();
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
    // Before all others: they may have reached the route when they return.
    fastify.server.prependListener('upgrade', (request, socket, head) => {
      const upgrade = this.#note(request, socket, head);
      // After all others, whenever they were added.
      process.nextTick(() => this.#settle(upgrade));
    });
  }

  /** Something to listen to instead of the server for who takes upgrades through the router. */
  createRouter(): EventEmitter {
    const router = new EventEmitter();
    router.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => this.#note(request, socket, head));
    this.#router ??= router;
    return router;
  }

  /** Its handshake is made: nobody ends its socket here any more. */
  accept(upgrade: Upgrade): void {
    upgrade.isAccepted = true;
    this.#pending.delete(upgrade);
  }

  /** Ends those that no hook has answered yet, and later ones as soon as they come. */
  close(): void {
    this.#isClosing = true;
    for (const upgrade of this.#pending) cutOff(upgrade);
  }

  #note(request: UpgradeRequest, socket: Duplex, head: Buffer): Upgrade {
    const known = request[UPGRADE];
    if (known !== undefined) return known;
    if ((request.socket as Socket | undefined) === undefined) {
      Object.assign(request, { socket: Object.assign(socket, INJECTED) });
    }
    const bytesBefore = bytesWritten(socket);
    const upgrade = { followedBy: this, request, socket, head, bytesBefore, isAccepted: false };
    request[UPGRADE] = upgrade;
    return upgrade;
  }

  #settle(upgrade: Upgrade): void {
    if (isTaken(upgrade)) return this.#follow(upgrade);
    if (!this.#isForOthers(upgrade)) return this.#take(upgrade);
    const take = (): void => {
      if (!isTaken(upgrade)) this.#take(upgrade);
    };
    setTimeout(take, OTHERS_MS).unref();
    return this.#follow(upgrade);
  }

  #take(upgrade: Upgrade): void {
    this.#route(upgrade);
    this.#follow(upgrade);
  }

  // An application that takes upgrades of some paths by itself may first have something to look up.
  #isForOthers({ request: { url = '' } }: Upgrade): boolean {
    if (this.#isClosing || this.#fastify.server.listenerCount('upgrade') === 1) return false;
    return this.#fastify.findRoute({ method: 'GET', url: url.replace(/[?#;].*$/, '') }) === null;
  }

  // Listeners are at the response where there is one: it does not stay as long as a WebSocket's socket does.
  #follow(upgrade: Upgrade): void {
    const { socket, isAccepted } = upgrade;
    if (isAccepted || socket.destroyed) return;
    const response = responseOf(socket);
    // A WebSocket that the application has made without Fastify.
    if (response === undefined && hasWritten(upgrade)) return;
    if (response?.writableEnded === true) return end(socket);
    if (socket.listenerCount('error') === 0) socket.on('error', destroy);
    this.#pending.add(upgrade);
    (response ?? socket).once('close', () => this.#pending.delete(upgrade));
    if (response !== undefined) {
      response.shouldKeepAlive = false;
      response.once('finish', () => end(socket));
    }
    if (this.#isClosing) cutOff(upgrade);
  }

  // To another protocol, like HTTP/2, nobody here upgrades: such a request is served as if it had not asked. Its body,
  // if it has one, is not read: Node.js leaves that to who upgrades.
  #route({ request, socket, head }: Upgrade): void {
    if (asksForWebSocket(request) && this.#router !== undefined) {
      this.#router.emit('upgrade', request, socket, head);
      return;
    }
    const response = new ServerResponse(request);
    response.shouldKeepAlive = false;
    response.assignSocket(socket as Socket);
    this.#fastify.routing(request, response);
  }
}

/**
 * Lets go of the request that a WebSocket came with: the response that never was keeps it at the socket, and, for a
 * route of the application's own, @fastify/websocket in its listener for errors, as long as the client stays. That is
 * more memory than all the rest.
 */
export function releaseRequest(webSocket: EventEmitter, request: UpgradeRequest): void {
  webSocket.removeAllListeners('error');
  const upgrade = request[UPGRADE];
  // Without its response, nothing would say when it is over.
  upgrade?.followedBy.accept(upgrade);
  // Not there at what the application injects by a way of its own.
  const { socket } = request as { socket?: Socket };
  if (socket !== undefined) responseOf(socket)?.detachSocket(socket);
}

function asksForWebSocket({ headers }: IncomingMessage): boolean {
  return headers.upgrade?.toLowerCase() === 'websocket';
}

// Who takes an upgrade through Fastify gives it a response at once, so that a hook can refuse it with one.
function isTaken(upgrade: Upgrade): boolean {
  const { socket, isAccepted } = upgrade;
  return isAccepted || socket.destroyed || responseOf(socket) !== undefined || hasWritten(upgrade);
}

function hasWritten({ socket, bytesBefore }: Upgrade): boolean {
  return bytesWritten(socket) > bytesBefore;
}

function bytesWritten(socket: Duplex): number {
  return socket instanceof Socket ? socket.bytesWritten : 0;
}

// What is injected keeps no server from closing.
function cutOff(upgrade: Upgrade): void {
  const { socket, isAccepted } = upgrade;
  if (isAccepted || socket.writableEnded || !(socket instanceof Socket)) return;
  if (responseOf(socket)?.headersSent === true) socket.destroy();
  // What was written without a response is a handshake: a WebSocket of the application.
  else if (!hasWritten(upgrade)) end(socket, UNAVAILABLE);
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
