import { randomBytes } from 'node:crypto';
import { type AddressInfo, type Socket, connect } from 'node:net';
import Fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify';
import { type OpenAlgoShmPluginOptions, openalgoShm } from '../../src/proxy/plugin.ts';
import { LockFreeRingBuffer } from '../../src/shm/ring-buffer.ts';
import { until } from './running-proxy.ts';

/** Somebody's application, with rings of its own for the plugin. */
export class RunningApplication {
  readonly app: FastifyInstance;
  readonly ring = `test_${process.pid}_${randomBytes(4).toString('hex')}`;
  readonly #rings = [this.ring];
  readonly #sockets: Socket[] = [];

  constructor(options: FastifyServerOptions = {}) {
    this.app = Fastify(options) as unknown as FastifyInstance;
  }

  /** Name of one more ring. */
  anotherRing(): string {
    const ring = `${this.ring}_${this.#rings.length}`;
    this.#rings.push(ring);
    return ring;
  }

  async registerPlugin(options: OpenAlgoShmPluginOptions = {}): Promise<void> {
    await this.app.register(openalgoShm, { ring: { name: this.ring }, ...options });
  }

  async listen(): Promise<this> {
    await this.app.listen({ host: '127.0.0.1', port: 0 });
    return this;
  }

  get port(): number {
    return (this.app.server.address() as AddressInfo).port;
  }

  get url(): string {
    return `ws://127.0.0.1:${this.port}`;
  }

  get httpUrl(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** A client that asks for an upgrade and never ends its side. */
  async rawClient(path: string, headers = UPGRADE, method = 'GET'): Promise<RawClient> {
    const client = new RawClient(this.port, `${method} ${path} HTTP/1.1\r\nHost: localhost\r\n${headers}\r\n`);
    this.#sockets.push(client.socket);
    await client.connected;
    return client;
  }

  /** Connections that the server has. */
  connections(): Promise<number> {
    return new Promise((resolve, reject) => {
      this.app.server.getConnections((error, count) => (error === null ? resolve(count) : reject(error)));
    });
  }

  async untilNoConnections(): Promise<void> {
    await until('the server has no connections', async () => (await this.connections()) === 0);
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await this.app.close();
    for (const ring of this.#rings) {
      for (const name of [ring, `${ring}.interest`, `${ring}.events`]) LockFreeRingBuffer.unlink(name);
    }
  }
}

/** What asks for a WebSocket. */
export const UPGRADE =
  'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n' +
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n';

/** A connection that speaks bytes. */
export class RawClient {
  readonly socket: Socket;
  readonly connected: Promise<void>;
  /** All that has come once the server has ended the connection. */
  readonly ended: Promise<string>;
  received = '';

  constructor(port: number, request: string) {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    this.socket = socket;
    this.connected = new Promise((resolve) => socket.once('connect', () => resolve()));
    socket.on('data', (data) => (this.received += data.toString('latin1')));
    socket.on('error', () => undefined);
    this.ended = new Promise((resolve) => {
      socket.once('end', () => resolve(this.received));
      socket.once('close', () => resolve(this.received));
    });
    socket.write(request);
  }

  get status(): number {
    return Number(/^HTTP\/1\.1 (\d+)/.exec(this.received)?.[1] ?? 0);
  }
}
