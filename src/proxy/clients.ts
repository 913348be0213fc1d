import type { FastifyBaseLogger, FastifyRequest } from 'fastify';
import type { RawData, WebSocket } from 'ws';
import { isLoopback } from './addresses.ts';
import { CLOSE, type CloseCode, Connection } from './connection.ts';
import type { Refusal } from './counters.ts';
import { releaseRequest } from './handshake.ts';
import { CLIENTS_OF_OTHER_ADDRESS, type Settings } from './options.ts';
import { type Delivery, Recipient } from './recipient.ts';
import type { Services } from './services.ts';
import { type ClientFigures, Session } from './session.ts';
import { SlowClientWatch } from './slow-client-watch.ts';

/** All connected clients: lets them in, keeps an eye on them, sees them off. */
export class Clients {
  readonly #services: Services;
  readonly #settings: Settings;
  readonly #delivery: Delivery;
  readonly #log: FastifyBaseLogger;
  readonly #sessions = new Map<WebSocket, Session>();
  /** Those that were told why not and have not gone yet. */
  readonly #refused = new Set<WebSocket>();
  readonly #perAddress = new Map<string, number>();
  readonly #slow: SlowClientWatch;
  readonly #listeners = {
    message: ofItself((webSocket, data: RawData) => this.#receive(webSocket, data)),
    pong: ofItself((webSocket) => this.#sessions.get(webSocket)?.markAlive()),
    error: ofItself((_webSocket, error: Error) => this.#noteBrokenFrame(error)),
    close: ofItself((webSocket) => this.#farewell(webSocket)),
  };
  #pingTimer: NodeJS.Timeout | undefined;
  #closing = false;

  constructor(services: Services, delivery: Delivery, log: FastifyBaseLogger) {
    this.#services = services;
    this.#settings = services.settings;
    this.#delivery = delivery;
    this.#log = log;
    this.#slow = new SlowClientWatch(services.settings.slowClientTimeout);
  }

  get count(): number {
    return this.#sessions.size;
  }

  /** Clients that get only the newest tick of each topic now. */
  get conflatedCount(): number {
    let count = 0;
    for (const session of this.#sessions.values()) if (session.recipient.isConflated) count += 1;
    return count;
  }

  /** The clients with the most untaken bytes, then the most conflated ticks, then the most ticks. */
  furthestBehind(most: number): ClientFigures[] {
    return [...this.#sessions.values()]
      .map((session) => session.figures())
      .sort((a, b) => b.backlog_bytes - a.backlog_bytes || b.conflated - a.conflated || b.sent - a.sent)
      .slice(0, most);
  }

  start(): void {
    if (this.#settings.pingInterval === 0) return;
    this.#pingTimer = setInterval(() => this.#pingAll(), this.#settings.pingInterval);
    this.#pingTimer.unref();
  }

  /** Lets a client in, or tells it why not and closes its connection. */
  admit(webSocket: WebSocket, request: FastifyRequest): void {
    const { socket } = request.raw;
    releaseRequest(webSocket, socket);
    webSocket.on('error', this.#listeners.error);
    const connection = new Connection(webSocket, socket);
    const address = request.ip;
    const obstacle = this.#obstacle(address);
    if (obstacle !== undefined) {
      this.#services.counters.refuse(obstacle.refusal);
      this.#refused.add(webSocket);
      webSocket.once('close', () => this.#refused.delete(webSocket));
      return connection.close(obstacle.code, obstacle.reason);
    }
    const recipient = new Recipient(connection, this.#delivery);
    this.#services.counters.connected += 1;
    const session = new Session(connection, recipient, this.#services, this.#log, {
      id: this.#services.counters.connected,
      address,
    });
    this.#sessions.set(webSocket, session);
    this.#perAddress.set(address, (this.#perAddress.get(address) ?? 0) + 1);
    webSocket.on('message', this.#listeners.message);
    webSocket.on('pong', this.#listeners.pong);
    webSocket.on('close', this.#listeners.close);
    this.#log.debug({ address, clients: this.#sessions.size }, 'a client has connected');
  }

  /** Closes those that have taken nothing for too long; to be called about once a second. */
  closeSlow(now: number): void {
    for (const session of this.#sessions.values()) {
      if (!this.#slow.isStuck(session.connection, now)) continue;
      this.#services.counters.refuse('slow_client');
      this.#log.info({ backlog: session.connection.backlog }, 'a client that takes nothing is closed');
      session.connection.close(CLOSE.TRY_AGAIN_LATER, 'too slow');
      session.end();
    }
  }

  /**
   * Sees all clients off: what is queued or kept for them goes first, then the close; who is not gone in time is cut
   * off. No ticks may come any more: whom they keep behind would never get to its close.
   */
  async closeAll(): Promise<void> {
    this.#closing = true;
    clearInterval(this.#pingTimer);
    for (const webSocket of this.#refused) webSocket.terminate();
    const gone = [...this.#sessions.values()].map((session) => this.#seeOff(session));
    if (gone.length === 0) return;
    const deadline = setTimeout(() => this.#cutOff(), this.#settings.closeTimeout);
    await Promise.all(gone);
    clearTimeout(deadline);
  }

  #seeOff(session: Session): Promise<void> {
    const { connection, recipient } = session;
    return new Promise((resolve) => {
      session.answerNow();
      connection.webSocket.once('close', () => resolve());
      recipient.whenCaughtUp(() => connection.close(CLOSE.GOING_AWAY, 'server is shutting down'));
    });
  }

  #cutOff(): void {
    for (const { connection } of this.#sessions.values()) connection.terminate();
  }

  #obstacle(address: string): { refusal: Refusal; code: CloseCode; reason: string } | undefined {
    if (this.#closing) {
      return { refusal: 'too_many_clients', code: CLOSE.GOING_AWAY, reason: 'server is shutting down' };
    }
    if (this.#sessions.size >= this.#settings.limits.clients) {
      return { refusal: 'too_many_clients', code: CLOSE.TRY_AGAIN_LATER, reason: 'too many clients' };
    }
    if ((this.#perAddress.get(address) ?? 0) >= this.#limitOf(address)) {
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
    try {
      session.receive(Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data as Buffer));
    } catch (error) {
      this.#log.error({ err: error }, 'a client is closed because of an error of the server');
      session.connection.close(CLOSE.INTERNAL, 'internal error');
    }
  }

  // `ws` closes the connection by itself, with the right code.
  #noteBrokenFrame(error: Error): void {
    const tooBig = (error as { code?: unknown }).code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH';
    this.#services.counters.refuse(tooBig ? 'message_too_big' : 'broken_frame');
  }

  #farewell(webSocket: WebSocket): void {
    const session = this.#sessions.get(webSocket);
    if (session === undefined) return;
    this.#forget(webSocket, session.address);
    try {
      session.end();
    } catch (error) {
      this.#log.error({ err: error }, 'the end of a session has failed');
    }
  }

  #forget(webSocket: WebSocket, address: string): void {
    this.#sessions.delete(webSocket);
    const left = (this.#perAddress.get(address) ?? 1) - 1;
    if (left > 0) this.#perAddress.set(address, left);
    else this.#perAddress.delete(address);
    this.#log.debug({ address, clients: this.#sessions.size }, 'a client has gone');
  }

  // A client with a backlog may answer late because the ping is behind it: that one is the slow clients' affair.
  #pingAll(): void {
    for (const session of this.#sessions.values()) {
      const { connection } = session;
      if (!connection.isOpen || connection.backlog > 0 || connection.webSocket.isPaused) continue;
      if (session.answersPing()) {
        connection.webSocket.ping();
      } else {
        this.#services.counters.refuse('unresponsive_client');
        connection.terminate();
      }
    }
  }
}

/** A listener that all WebSockets share: functions of their own would take more memory than their sessions. */
function ofItself<A extends unknown[]>(listen: (webSocket: WebSocket, ...what: A) => void) {
  return function (this: WebSocket, ...what: A): void {
    listen(this, ...what);
  };
}
