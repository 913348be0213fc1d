import { type Socket, connect } from 'node:net';
import { FrameReader, OPCODE, type OnFrame, clientFrame } from './frames.ts';

/** How a connection came to its end. */
export interface Ending {
  /** Code of the server's close frame; undefined if there was none. */
  code?: number;
  reason?: string;
  /** Code of the system's error, like `ECONNRESET`. */
  error?: string;
  /** HTTP status of a handshake that was refused. */
  httpStatus?: number;
}

/** What a client tells its owner. */
export interface ClientEvents {
  /** Text frames and pongs; pings and closes are answered by the client itself. */
  onFrame: OnFrame;
  /** Called once. */
  onEnd(ending: Ending): void;
}

/** A buffer that all clients of the process read into: what is in it is used before the next read. */
const SHARED_BUFFER = Buffer.allocUnsafe(256 * 1024);

/** A WebSocket client on a bare socket: handshake, frame boundaries, pongs and closes, and nothing else. */
export class WebSocketClient {
  readonly socket: Socket;
  /** Whether the handshake succeeded; settles when it has, or the connection has ended. */
  readonly opened: Promise<boolean>;
  /** Whether each read is followed by a pause, until the socket is resumed. */
  pausesAfterRead = false;
  readonly #events: ClientEvents;
  readonly #frames: FrameReader;
  #resolveOpened: (isOpen: boolean) => void = () => undefined;
  #head = '';
  #isOpen = false;
  #ending: Ending = {};

  /** @param buffer what one read may bring; one byte for a client that reads byte by byte. */
  constructor(port: number, events: ClientEvents, buffer: Buffer = SHARED_BUFFER) {
    this.#events = events;
    this.opened = new Promise((resolve) => (this.#resolveOpened = resolve));
    this.#frames = new FrameReader((opcode, bytes, start, end) => this.#take(opcode, bytes, start, end));
    const callback = (count: number, bytes: Uint8Array): boolean => {
      this.#read(Buffer.from(bytes.buffer, bytes.byteOffset, count));
      return !this.pausesAfterRead;
    };
    this.socket = connect({ host: '127.0.0.1', port, noDelay: true, onread: { buffer, callback } });
    this.socket.on('connect', () => this.socket.write(handshake(port)));
    this.socket.on(
      'error',
      ({ code }: NodeJS.ErrnoException) => (this.#ending = { error: code ?? '', ...this.#ending }),
    );
    this.socket.on('close', () => this.#end());
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  send(text: string): void {
    this.socket.write(clientFrame(text));
  }

  #read(bytes: Buffer): void {
    if (this.#isOpen) return this.#frames.read(bytes);
    this.#head += bytes.toString('latin1');
    const end = this.#head.indexOf('\r\n\r\n');
    if (end < 0) return;
    const httpStatus = Number(/^HTTP\/1\.1 (\d+)/.exec(this.#head)?.[1]);
    if (httpStatus !== 101) {
      this.#ending = { httpStatus };
      this.socket.destroy();
      return;
    }
    this.#isOpen = true;
    const rest = Buffer.from(this.#head.slice(end + 4), 'latin1');
    this.#head = '';
    this.#resolveOpened(true);
    if (rest.length > 0) this.#frames.read(rest);
  }

  #take(opcode: number, bytes: Buffer, start: number, end: number): void {
    if (opcode === OPCODE.PING) {
      this.socket.write(clientFrame(Buffer.from(bytes.subarray(start, end)), { opcode: OPCODE.PONG }));
    } else if (opcode === OPCODE.CLOSE) {
      const code = end - start >= 2 ? bytes.readUInt16BE(start) : 1005;
      this.#ending = { code, reason: bytes.toString('utf8', start + 2, end) };
      this.socket.end(clientFrame(Buffer.from(bytes.subarray(start, start + 2)), { opcode: OPCODE.CLOSE }));
    } else {
      this.#events.onFrame(opcode, bytes, start, end);
    }
  }

  #end(): void {
    this.#isOpen = false;
    this.#resolveOpened(false);
    this.#events.onEnd(this.#ending);
  }
}

function handshake(port: number): string {
  return [
    'GET /ws HTTP/1.1',
    `Host: 127.0.0.1:${port}`,
    'Upgrade: websocket',
    'Connection: Upgrade',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    '\r\n',
  ].join('\r\n');
}
