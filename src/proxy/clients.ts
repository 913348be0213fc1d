import { Socket } from 'node:net';
import type { FastifyBaseLogger, FastifyRequest } from 'fastify';
import type { RawData, WebSocket } from 'ws';
import { addressGroup, isLoopback } from './addresses.ts';
import { CLOSE, type CloseCode, Connection } from './connection.ts';
import type { Refusal } from './counters.ts';
import { CLIENTS_OF_OTHER_ADDRESS, type Settings } from './options.ts';
import { Recipient } from './recipient.ts';
import type { StatsReport } from './schemas.ts';
import type { Services } from './services.ts';
import { Session } from './session.ts';
import { UnfinishedMessage, UnfinishedMessages } from './unfinished.ts';
import { releaseRequest } from './upgrades.ts';

/** Time in ms in which a client that reads has taken what an event loop that stood still passes on. */
const ACKNOWLEDGED_MS = 1_000;

/** One client in `GET /stats`. */
type ClientFigures = StatsReport['clients']['furthest_behind'][number];

/** Time between looks for messages that take too long, ms. */
const LOOK_MS = 1_000;

/** All connected clients: lets them in, keeps an eye on them, sees them off. */
export class Clients {
  readonly #services: Services;
  readonly #settings: Settings;
  readonly #log: FastifyBaseLogger;
  readonly #sessions = new Map<WebSocket, Session>();
  /** By their numbers in delivery. */
  readonly #byNumber = new Map<number, Session>();
  /** Those that were told why not and have not gone yet. */
  readonly #refused = new Set<WebSocket>();
  readonly #perAddress = new Map<string, number>();
  readonly #unfinished = new UnfinishedMessages<Session>();
  #unfinishedTimer: NodeJS.Timeout | undefined;
  /** The WebSocket of each socket that is read from. */
  readonly #ofSocket = new WeakMap<Socket, WebSocket>();
  readonly #listeners = {
    message: ofItself((webSocket, data: RawData) => this.#receive(webSocket, data)),
    ping: ofItself((webSocket, payload: Buffer) => this.#sessions.get(webSocket)?.notePing(payload.length)),
    pong: ofItself((webSocket, payload: Buffer) => this.#noteAlive(webSocket, payload)),
    error: ofItself((_webSocket, error: Error) => this.#noteBrokenFrame(error)),
    close: ofItself((webSocket) => this.#farewell(webSocket)),
  };
  /** Shared by all sockets, like the listeners above. */
  readonly #onData: (this: Socket, chunk: Buffer) => void;
  #pingTimer: NodeJS.Timeout | undefined;
  #closing = false;

  constructor(services: Services, log: FastifyBaseLogger) {
    this.#services = services;
    this.#settings = services.settings;
    const judge = (socket: Socket, chunk: Buffer): void => this.#judgeUnfinished(socket, chunk);
    this.#onData = function (this: Socket, chunk: Buffer): void {
      judge(this, chunk);
    };
    this.#log = log;
  }

  get count(): number {
    return this.#sessions.size;
  }

  /** The clients with the most untaken bytes, then the most conflated ticks, then the most ticks. */
  furthestBehind(most: number): ClientFigures[] {
    return this.#services.delivery
      .furthestBehind(most)
      .flatMap(({ id, thread, sent, conflated, backlog, isConflated }) => {
        const session = this.#byNumber.get(id);
        if (session === undefined) return [];
        return {
          id: session.id,
          thread: thread + 1,
          delivery: session.connection.path,
          address: session.address,
          user: session.userId ?? null,
          connected_seconds: session.connectedSeconds,
          subscriptions: session.recipient.subscriptions.size,
          sent,
          conflated,
          backlog_bytes: backlog,
          is_conflated: isConflated,
        };
      });
  }

  start(): void {
    if (this.#settings.pingInterval === 0) return;
    this.#pingTimer = setInterval(() => this.#pingAll(), this.#settings.pingInterval);
    this.#pingTimer.unref();
  }

  /** Lets a client in, or tells it why not and closes its connection. */
  admit(webSocket: WebSocket, request: FastifyRequest): void {
    const { socket } = request.raw;
    releaseRequest(webSocket, request.raw);
    webSocket.on('error', this.#listeners.error);
    const address = request.ip;
    const obstacle = this.#obstacle(address);
    if (obstacle !== undefined) {
      this.#services.counters.refuse(obstacle.refusal);
      this.#refused.add(webSocket);
      webSocket.once('close', () => this.#refused.delete(webSocket));
      return webSocket.close(obstacle.code, obstacle.reason);
    }
    const { counters, delivery } = this.#services;
    const connection = new Connection(webSocket, socket, delivery, this.#settings.delivery);
    counters.connected += 1;
    const name = { id: counters.connected, address };
    const session = new Session(
      connection,
      new Recipient(connection),
      new UnfinishedMessage(this.#unfinished, this.#settings.limits.bulkMessageBytes),
      this.#services,
      this.#log,
      name,
    );
    this.#sessions.set(webSocket, session);
    this.#byNumber.set(connection.client, session);
    const group = addressGroup(address);
    this.#perAddress.set(group, (this.#perAddress.get(group) ?? 0) + 1);
    this.#services.connections.promote(socket);
    webSocket.on('message', this.#listeners.message);
    webSocket.on('ping', this.#listeners.ping);
    webSocket.on('pong', this.#listeners.pong);
    webSocket.on('close', this.#listeners.close);
    if (socket instanceof Socket) {
      this.#ofSocket.set(socket, webSocket);
      socket.on('data', this.#onData);
    }
    this.#log.debug({ address, clients: this.#sessions.size }, 'a client has connected');
  }

  /** Delivery cannot write to a client any more. */
  failed(client: number): void {
    this.#byNumber.get(client)?.connection.terminate();
  }

  /** A client has taken nothing for too long. */
  stuck(client: number): void {
    const session = this.#byNumber.get(client);
    if (session === undefined) return;
    const { connection } = session;
    // It has said that it goes, and does not take what is left.
    if (!connection.isOpen) return connection.terminate();
    if (connection.path === 'direct') return this.#closeStuck(session);
    // It may be this event loop that has passed nothing on.
    const { backlog } = connection;
    setTimeout(() => {
      if (connection.isOpen && connection.backlog >= backlog) this.#closeStuck(session);
    }, ACKNOWLEDGED_MS).unref();
  }

  #closeStuck(session: Session): void {
    this.#services.counters.refuse('slow_client');
    this.#log.info({ backlog: session.connection.backlog }, 'a client that takes nothing is closed');
    session.connection.close(CLOSE.TRY_AGAIN_LATER, 'too slow');
    session.end();
  }

  /** Delivery hands frames over. */
  handed(clients: Uint32Array, frames: Buffer): void {
    for (const client of clients) {
      const session = this.#byNumber.get(client);
      try {
        session?.connection.passOn(frames);
      } catch (error) {
        this.#log.warn({ err: error }, 'a client could not be written to; its connection is ended');
        session?.connection.terminate();
      }
    }
  }

  /**
   * Sees all clients off: what is queued or kept for them goes first, then the close; who is not gone in time is cut
   * off. No ticks may come any more: whom they keep behind would never get to its close.
   */
  async closeAll(): Promise<void> {
    this.#closing = true;
    clearInterval(this.#pingTimer);
    clearInterval(this.#unfinishedTimer);
    for (const webSocket of this.#refused) webSocket.terminate();
    const gone = [...this.#sessions.values()].map((session) => this.#seeOff(session));
    if (gone.length === 0) return;
    const deadline = setTimeout(() => this.#cutOff(), this.#settings.closeTimeout);
    await Promise.all(gone);
    clearTimeout(deadline);
  }

  #seeOff(session: Session): Promise<void> {
    const { connection } = session;
    return new Promise((resolve) => {
      session.answerNow();
      connection.webSocket.once('close', () => resolve());
      connection.finish(() => connection.close(CLOSE.GOING_AWAY, 'server is shutting down'));
    });
  }

  #cutOff(): void {
    for (const { connection } of this.#sessions.values()) connection.terminate();
  }

  #obstacle(address: string): { refusal: Refusal; code: CloseCode; reason: string } | undefined {
    if (this.#closing) {
      return { refusal: 'too_many_clients', code: CLOSE.GOING_AWAY, reason: 'server is shutting down' };
    }
    if (!this.#services.delivery.isRunning()) {
      return { refusal: 'delivery_failed', code: CLOSE.TRY_AGAIN_LATER, reason: 'delivery is being started again' };
    }
    if (this.#sessions.size >= this.#settings.limits.clients) {
      return { refusal: 'too_many_clients', code: CLOSE.TRY_AGAIN_LATER, reason: 'too many clients' };
    }
    if ((this.#perAddress.get(addressGroup(address)) ?? 0) >= this.#limitOf(address)) {
      const reason = 'too many clients from this address';
      return { refusal: 'too_many_clients_of_address', code: CLOSE.POLICY, reason };
    }
    return undefined;
  }

  #limitOf(address: string): number {
    return this.#settings.limits.clientsPerAddress ?? (isLoopback(address) ? Infinity : CLIENTS_OF_OTHER_ADDRESS);
  }

  #receive(webSocket: WebSocket, data: RawData): void {
    const session = this.#sessions.get(webSocket);
    if (session === undefined) return;
    session.markAlive();
    const message = bufferOf(data);
    const served = session.unfinished.complete(message.length);
    try {
      session.receive(message, served);
    } catch (error) {
      served();
      this.#log.error({ err: error }, 'a client is closed because of an error of the server');
      session.connection.close(CLOSE.INTERNAL, 'internal error');
    }
  }

  #noteAlive(webSocket: WebSocket, payload: Buffer): void {
    const session = this.#sessions.get(webSocket);
    session?.markAlive();
    session?.unfinished.leaveOut(payload.length);
  }

  // The WebSocket has taken what there was before: a message that ends with it is no concern any more.
  #judgeUnfinished(socket: Socket, chunk: Buffer): void {
    const webSocket = this.#ofSocket.get(socket);
    const session = webSocket && this.#sessions.get(webSocket);
    if (session === undefined || !session.connection.isOpen) return;
    const { unfinished, connection, userId } = session;
    const now = performance.now();
    const verdict = unfinished.judge(session, chunk.length, connection.isCompressed, userId !== undefined, now);
    if (verdict === 'too_big') {
      // Behind its key a list may be coming: it is not read on until that is known.
      if (session.isBeingChecked) return connection.webSocket.pause();
      this.#services.counters.refuse('message_too_big');
      return this.#endUnfinished(session, CLOSE.TOO_BIG, 'message too big');
    }
    if (verdict === 'too_slow') return this.#endSlow(session);
    this.#endTooMany(session, now);
    if (!this.#unfinished.isEmpty) this.#unfinishedTimer ??= setInterval(() => this.#endAllSlow(), LOOK_MS).unref();
  }

  // Those that send nothing more, too.
  #endAllSlow(): void {
    const now = performance.now();
    for (const session of this.#unfinished.tooSlow(now)) {
      // What is not read cannot come.
      if (!session.connection.webSocket.isPaused) this.#endSlow(session);
    }
    this.#endTooMany(undefined, now);
    if (!this.#unfinished.isEmpty) return;
    clearInterval(this.#unfinishedTimer);
    this.#unfinishedTimer = undefined;
  }

  #endTooMany(newcomer: Session | undefined, now: number): void {
    let one: Session | undefined;
    do {
      one = this.#unfinished.oneOfTooMany(newcomer, now);
      if (one === undefined) return;
      this.#services.counters.refuse('unfinished_message');
      this.#endUnfinished(one, CLOSE.TRY_AGAIN_LATER, 'too many unfinished messages');
    } while (one !== newcomer);
  }

  #endSlow(session: Session): void {
    this.#services.counters.refuse('unfinished_message');
    this.#endUnfinished(session, CLOSE.TOO_BIG, 'message takes too long');
  }

  #endUnfinished(session: Session, code: CloseCode, reason: string): void {
    session.unfinished.release();
    session.connection.closeUnread(code, reason);
    session.end();
  }

  // `ws` closes the connection by itself, with the right code.
  #noteBrokenFrame(error: Error): void {
    const tooBig = (error as { code?: unknown }).code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH';
    this.#services.counters.refuse(tooBig ? 'message_too_big' : 'broken_frame');
  }

  #farewell(webSocket: WebSocket): void {
    const session = this.#sessions.get(webSocket);
    if (session === undefined) return;
    this.#forget(webSocket, session);
    try {
      session.end();
      session.connection.detach();
    } catch (error) {
      this.#log.error({ err: error }, 'the end of a session has failed');
    }
  }

  #forget(webSocket: WebSocket, { address, connection, unfinished }: Session): void {
    this.#sessions.delete(webSocket);
    unfinished.release();
    this.#byNumber.delete(connection.client);
    const group = addressGroup(address);
    const left = (this.#perAddress.get(group) ?? 1) - 1;
    if (left > 0) this.#perAddress.set(group, left);
    else this.#perAddress.delete(group);
    this.#log.debug({ address, clients: this.#sessions.size }, 'a client has gone');
  }

  // A client with a backlog may answer late because the ping is behind it: that one is the slow clients' affair.
  #pingAll(): void {
    for (const session of this.#sessions.values()) {
      const { connection } = session;
      if (!connection.isOpen) continue;
      if (connection.webSocket.isPaused) {
        // What it has sent meanwhile, an answer to the last ping perhaps, is not read yet.
        session.markAlive();
        continue;
      }
      if (connection.backlog > 0) continue;
      if (session.answersPing()) {
        connection.webSocket.ping();
      } else {
        this.#services.counters.refuse('unresponsive_client');
        connection.terminate();
      }
    }
  }
}

function bufferOf(data: RawData): Buffer {
  if (Buffer.isBuffer(data)) return data;
  return Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data);
}

/** A listener that all WebSockets share: functions of their own would take more memory than their sessions. */
function ofItself<A extends unknown[]>(listen: (webSocket: WebSocket, ...what: A) => void) {
  return function (this: WebSocket, ...what: A): void {
    listen(this, ...what);
  };
}
