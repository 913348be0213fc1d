import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import { Packr } from 'msgpackr';
import { WebSocket } from 'ws';
import type { Answer } from './answers.ts';
import { type Format, MESSAGE_PACK_PROTOCOL } from './variants.ts';

/** Close codes that clients see. */
export const CLOSE = {
  GOING_AWAY: 1001,
  POLICY: 1008,
  TOO_BIG: 1009,
  INTERNAL: 1011,
  TRY_AGAIN_LATER: 1013,
  UNAUTHORIZED: 4401,
} as const;

/** One of {@link CLOSE}. */
export type CloseCode = (typeof CLOSE)[keyof typeof CLOSE];

const NO_BYTES = Buffer.alloc(0);

/** Plain MessagePack, without the library's own extensions. */
const packr = new Packr({ useRecords: false });

/** A client's WebSocket together with the socket below it. */
export class Connection {
  readonly webSocket: WebSocket;
  /** The socket of the upgrade request; undefined where frames can only go through the WebSocket. */
  readonly socket: Duplex | undefined;
  readonly format: Format;
  /** The same, if what is written to it goes to the network as it is. */
  readonly #plain: Socket | undefined;

  constructor(webSocket: WebSocket, socket: Duplex | undefined) {
    this.webSocket = webSocket;
    this.format = webSocket.protocol === MESSAGE_PACK_PROTOCOL ? 'msgpack' : 'json';
    // With an extension a frame's bytes are not what was given, so only the WebSocket may make them.
    this.socket = webSocket.extensions === '' ? socket : undefined;
    this.#plain = this.socket instanceof Socket && !(this.socket instanceof TLSSocket) ? this.socket : undefined;
  }

  get isOpen(): boolean {
    return this.webSocket.readyState === WebSocket.OPEN;
  }

  /** Bytes handed over and not yet taken by the operating system. */
  get backlog(): number {
    return this.socket?.writableLength ?? this.webSocket.bufferedAmount;
  }

  /**
   * The socket if finished frames may be written to it now: the WebSocket itself has nothing queued that
   * must go first. Nobody here sends fragments, so a frame never falls between those of a message.
   */
  get idleSocket(): Duplex | undefined {
    const socket = this.socket;
    return socket !== undefined && this.webSocket.bufferedAmount === socket.writableLength ? socket : undefined;
  }

  /**
   * The descriptor of the socket if nothing at all is queued before it, so that it may be written to
   * without the stream. Descriptors are reused: never keep one.
   */
  get idleDescriptor(): number | undefined {
    const socket = this.#plain;
    if (socket === undefined || this.webSocket.bufferedAmount !== 0 || !this.isOpen) return undefined;
    const descriptor = (socket as unknown as { _handle?: { fd?: number } | null })._handle?.fd;
    return descriptor !== undefined && descriptor >= 0 ? descriptor : undefined;
  }

  /** Sends an answer or a notice. */
  send(answer: Answer): void {
    if (!this.isOpen) return;
    if (this.format === 'json') this.webSocket.send(JSON.stringify(answer));
    else this.webSocket.send(packr.pack(answer));
  }

  /** Calls back once everything handed over so far has been taken by the operating system, or the socket has failed. */
  whenFlushed(callback: () => void): void {
    if (this.socket !== undefined) this.socket.write(NO_BYTES, callback);
    else this.webSocket.ping(NO_BYTES, false, callback);
  }

  /**
   * How far the peer has got with what it was given: changes whenever it takes bytes. Undefined while there
   * is nothing to take. One large write is one entry in the stream's queue until all of it is gone, so the
   * handle is asked too.
   */
  get progress(): string | undefined {
    const backlog = this.backlog;
    if (backlog === 0) return undefined;
    const socket = this.socket as
      | (Duplex & { bytesWritten?: number; _handle?: { writeQueueSize?: number } })
      | undefined;
    if (socket?.bytesWritten === undefined) return String(backlog);
    return `${socket.bytesWritten - socket.writableLength}:${socket._handle?.writeQueueSize ?? 0}`;
  }

  /** Starts the closing handshake after what is queued. */
  close(code: CloseCode, reason: string): void {
    this.webSocket.close(code, reason);
  }

  /** Ends the connection at once. */
  terminate(): void {
    this.webSocket.terminate();
  }
}
