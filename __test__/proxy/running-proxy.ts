import { randomBytes } from 'node:crypto';
import { type Socket, connect } from 'node:net';
import { type ClientOptions, WebSocket } from 'ws';
import { WebSocketProxy, type WebSocketProxyOptions } from '../../src/proxy/websocket-proxy.ts';
import { type PublisherOptions, SharedMemoryPublisher } from '../../src/shm/publisher.ts';
import { LockFreeRingBuffer } from '../../src/shm/ring-buffer.ts';

/** A message from the proxy. */
export type Received = Record<string, unknown> & { data?: Record<string, unknown> };

const PATIENCE_MS = 20_000;

/** Waits until a condition holds; fails loudly when it never does. */
export async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`waited in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** A WebSocket client that keeps all it receives. */
export class Client {
  readonly webSocket: WebSocket;
  readonly received: Received[] = [];
  readonly closed: Promise<{ code: number; reason: string }>;
  #read = 0;
  #wake: (() => void) | undefined;

  constructor(url: string, options: ClientOptions = {}, protocols: string[] = []) {
    this.webSocket = new WebSocket(url, protocols, options);
    this.webSocket.on('message', (data) => {
      this.received.push(JSON.parse(data.toString()) as Received);
      this.#wake?.();
    });
    this.webSocket.on('error', () => undefined);
    this.closed = new Promise((resolve) => {
      this.webSocket.once('close', (code, reason) => resolve({ code, reason: reason.toString() }));
    });
  }

  static async open(url: string, options: ClientOptions = {}): Promise<Client> {
    const client = new Client(url, options);
    await new Promise((resolve, reject) => {
      client.webSocket.once('open', resolve);
      client.webSocket.once('error', reject);
    });
    return client;
  }

  send(message: unknown): void {
    this.webSocket.send(typeof message === 'string' ? message : JSON.stringify(message));
  }

  /** The next message that was not read yet. */
  async next(): Promise<Received> {
    if (this.#read === this.received.length) await this.#arrival();
    return this.received[this.#read++] as Received;
  }

  /** The next message of a type, past all others. */
  async nextOf(type: string): Promise<Received> {
    for (;;) {
      const message = await this.next();
      if (message['type'] === type) return message;
    }
  }

  /** Sends a message and reads the next one. */
  ask(message: unknown): Promise<Received> {
    this.send(message);
    return this.next();
  }

  /** Waits until everything the proxy sent so far has come: a ping's answer is behind it. */
  async settle(): Promise<void> {
    const id = randomBytes(6).toString('hex');
    this.send({ action: 'ping', _pingId: id });
    await until('the pong came', () => this.received.some((message) => message['_pingId'] === id));
    this.received.splice(
      this.received.findIndex((message) => message['_pingId'] === id),
      1,
    );
  }

  ticks(): Received[] {
    return this.received.filter((message) => message['type'] === 'market_data');
  }

  close(): Promise<unknown> {
    this.webSocket.close();
    return this.closed;
  }

  #arrival(): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error('no message came')), PATIENCE_MS);
      this.#wake = () => {
        clearTimeout(timer);
        this.#wake = undefined;
        resolve();
      };
    });
  }
}

/** A proxy on a ring and a port of its own, and what a test starts beside it. */
export class RunningProxy {
  readonly ring: string;
  readonly proxy: WebSocketProxy;
  readonly #clients: Client[] = [];
  readonly #publishers: SharedMemoryPublisher[] = [];

  private constructor(ring: string, proxy: WebSocketProxy) {
    this.ring = ring;
    this.proxy = proxy;
  }

  static async start(options: WebSocketProxyOptions = {}): Promise<RunningProxy> {
    const ring = `test_${process.pid}_${randomBytes(4).toString('hex')}`;
    const proxy = new WebSocketProxy({ port: 0, log: 'silent', ...options, ring: { ...options.ring, name: ring } });
    await proxy.start();
    return new RunningProxy(ring, proxy);
  }

  get url(): string {
    return this.proxy.address()?.url ?? '';
  }

  get httpUrl(): string {
    return this.url.replace('ws', 'http');
  }

  get port(): number {
    return this.proxy.address()?.port ?? 0;
  }

  async client(path = '/', options: ClientOptions = {}): Promise<Client> {
    const client = await Client.open(this.url + path, options);
    this.#clients.push(client);
    return client;
  }

  publisher(options: PublisherOptions = {}): SharedMemoryPublisher {
    const publisher = new SharedMemoryPublisher({ publisherName: 'zerodha', ...options, name: this.ring }).start();
    this.#publishers.push(publisher);
    return publisher;
  }

  /** A connection that speaks bytes, after a handshake that the proxy accepted. */
  async rawClient(): Promise<Socket> {
    const socket = connect(this.port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write(
      'GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
        `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\n\r\n`,
    );
    await new Promise<void>((resolve) => {
      let head = '';
      const onData = (data: Buffer): void => {
        head += data.toString('latin1');
        if (!head.includes('\r\n\r\n')) return;
        socket.off('data', onData);
        resolve();
      };
      socket.on('data', onData);
    });
    return socket;
  }

  async get(path: string, headers: Record<string, string> = {}): Promise<{ status: number; body: Received }> {
    const response = await fetch(this.httpUrl + path, { headers });
    return { status: response.status, body: (await response.json()) as Received };
  }

  async stop(): Promise<void> {
    for (const client of this.#clients) client.webSocket.terminate();
    for (const publisher of this.#publishers) publisher.stop();
    await this.proxy.stop();
    for (const ring of [this.ring, `${this.ring}.interest`, `${this.ring}.events`]) LockFreeRingBuffer.unlink(ring);
  }
}

/** A masked frame, as a client has to send it, of any opcode and in any state. */
export function maskedFrame(opcode: number, payload: Buffer, { fin = true, rsv = 0 } = {}): Buffer {
  const mask = randomBytes(4);
  const masked = Buffer.from(payload.map((byte, index) => byte ^ (mask[index % 4] as number)));
  const first = (fin ? 0x80 : 0) | (rsv << 4) | opcode;
  if (payload.length < 126) return Buffer.concat([Buffer.from([first, 0x80 | payload.length]), mask, masked]);
  if (payload.length < 65_536) {
    const header = Buffer.from([first, 0x80 | 126, payload.length >> 8, payload.length & 0xff]);
    return Buffer.concat([header, mask, masked]);
  }
  const header = Buffer.alloc(10);
  header[0] = first;
  header[1] = 0x80 | 127;
  header.writeBigUInt64BE(BigInt(payload.length), 2);
  return Buffer.concat([header, mask, masked]);
}
