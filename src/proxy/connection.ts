import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { Packr } from 'msgpackr';
import { WebSocket } from 'ws';
import type { Delivery } from '../shm/delivery.ts';
import type { Answer } from './answers.ts';
import { attachSocket, handWritesOver } from './direct-socket.ts';
import { type Format, MESSAGE_PACK_PROTOCOL } from './format.ts';
import { payloads } from './frames.ts';

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

/** How ticks get to a client: `direct` from a native thread to its socket, `ws` through the WebSocket in JavaScript. */
export type DeliveryPath = 'direct' | 'ws';

/** Time in ms for a close frame to arrive at a client that still sends. */
const UNREAD_MS = 1_000;

const NO_BYTES = Buffer.alloc(0);

/** Plain MessagePack, without the library's own extensions. */
const packr = new Packr({ useRecords: false });

/** A client's WebSocket together with the socket below it, and its place in delivery. */
export class Connection {
  readonly webSocket: WebSocket;
  readonly format: Format;
  /** Its number in delivery. */
  readonly client: number;
  readonly path: DeliveryPath;
  /** Whether messages may be longer than what comes of them. */
  readonly isCompressed: boolean;
  /** What brings the ticks. */
  readonly delivery: Delivery;
  /** The socket of the upgrade request; undefined where frames can only go through the WebSocket. */
  readonly #socket: Duplex | undefined;

  /** @param path the way that is preferred; plain sockets alone can go `direct`. */
  constructor(webSocket: WebSocket, socket: Duplex | undefined, delivery: Delivery, path: DeliveryPath) {
    this.webSocket = webSocket;
    this.delivery = delivery;
    this.format = webSocket.protocol === MESSAGE_PACK_PROTOCOL ? 'msgpack' : 'json';
    const messagePack = this.format === 'msgpack';
    // Compression is the one extension there can be.
    this.isCompressed = webSocket.extensions !== '';
    // With it a frame's bytes are not what was given, so only the WebSocket may make them.
    this.#socket = this.isCompressed ? undefined : socket;
    const client = path === 'direct' ? attachSocket(this.#socket, messagePack, delivery) : undefined;
    this.path = client === undefined ? 'ws' : 'direct';
    this.client = client ?? delivery.attachHanded(messagePack);
    if (client !== undefined) handWritesOver(this.#socket as Socket, this);
  }

  get isOpen(): boolean {
    return this.webSocket.readyState === WebSocket.OPEN;
  }

  /** Bytes handed over and not yet taken by the operating system. */
  get backlog(): number {
    const backlog = this.delivery.backlog(this.client);
    if (this.path === 'direct') return backlog;
    return Math.max(backlog, this.#socket?.writableLength ?? this.webSocket.bufferedAmount);
  }

  /** Sends an answer or a notice. */
  send(answer: Answer): void {
    if (!this.isOpen) return;
    if (this.format === 'json') this.webSocket.send(JSON.stringify(answer));
    else this.webSocket.send(packr.pack(answer));
  }

  /** Passes on frames that delivery has handed over. */
  passOn(frames: Buffer): void {
    const passed = (): void => this.delivery.acknowledge(this.client, frames.length);
    if (!this.isOpen) return passed();
    // The WebSocket itself has nothing queued that must go first, and nobody here sends fragments.
    const socket = this.#socket;
    if (socket !== undefined && this.webSocket.bufferedAmount === socket.writableLength) {
      socket.write(frames, passed);
      return;
    }
    const all = [...payloads(frames)];
    all.forEach(({ bytes, binary }, index) => {
      this.webSocket.send(bytes, { binary }, index === all.length - 1 ? passed : undefined);
    });
  }

  /** Calls back once everything handed over so far has been taken by the operating system, or the client is gone. */
  whenFlushed(callback: () => void): void {
    if (this.path === 'direct') this.delivery.whenFlushed(this.client, callback);
    else if (this.#socket !== undefined) this.#socket.write(NO_BYTES, () => callback());
    else this.webSocket.ping(NO_BYTES, false, () => callback());
  }

  /** Ends its ticks, and calls back once it has got what is on its way or kept, or is gone. */
  finish(callback: () => void): void {
    this.delivery.finish(this.client, callback);
  }

  /** Starts the closing handshake after what is queued. */
  close(code: CloseCode, reason: string): void {
    this.webSocket.close(code, reason);
  }

  /** Ends the connection at once. */
  terminate(): void {
    this.webSocket.terminate();
  }

  /** Closes, and throws away what still comes: unread bytes would make the system reset the connection before the close frame has arrived. */
  closeUnread(code: CloseCode, reason: string): void {
    this.close(code, reason);
    this.#socket?.removeAllListeners('data').resume();
    setTimeout(() => this.terminate(), UNREAD_MS).unref();
  }

  /** Ends its delivery. */
  detach(): void {
    this.delivery.detach(this.client);
  }
}
