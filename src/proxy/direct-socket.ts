import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import type { Delivery } from '../shm/delivery.ts';

/** A socket whose bytes go out through delivery. */
interface DirectSocket extends Socket {
  [DIRECT]?: Direct;
}

/** What a socket needs to hand its writes over. */
interface Direct {
  readonly client: number;
  readonly delivery: Delivery;
  /** Calls back once all bytes have been taken by the operating system. */
  whenFlushed(callback: () => void): void;
}

type Done = (error?: Error | null) => void;

const DIRECT = Symbol('delivery');

/** What `net.Socket` does where it is asked through the interface for implementors of streams. */
const socketPrototype = Socket.prototype as unknown as {
  _final(this: Socket, done: Done): void;
  _destroy(this: Socket, error: Error | null, done: Done): void;
};

/**
 * The number of a client in delivery, if its bytes can go out that way: through a plain socket, which has nothing
 * queued, on a system whose sockets are descriptors.
 */
export function attachSocket(socket: Duplex | undefined, messagePack: boolean, delivery: Delivery): number | undefined {
  if (!(socket instanceof Socket) || socket instanceof TLSSocket || socket.writableLength > 0) return undefined;
  const descriptor = (socket as unknown as { _handle?: { fd?: number } | null })._handle?.fd;
  return descriptor === undefined || descriptor < 0 ? undefined : delivery.attach(descriptor, messagePack);
}

/**
 * Hands all writes of a socket over to delivery from now on. Reading, closing and the queue of the stream stay as they
 * are, so whoever uses the socket, like a WebSocket, notices nothing. The functions are shared by all sockets: their own
 * would take more memory than the rest of a client.
 */
export function handWritesOver(socket: Socket, direct: Direct): void {
  Object.assign(socket as DirectSocket, { [DIRECT]: direct, _write, _writev, _final, _destroy });
}

/** A piece of what is written: sockets get strings as they are. */
interface Chunk {
  chunk: Buffer | string;
  encoding: BufferEncoding;
}

function _write(this: DirectSocket, chunk: Buffer | string, encoding: BufferEncoding, done: Done): void {
  write(this, bytesOf({ chunk, encoding }), done);
}

function _writev(this: DirectSocket, chunks: Chunk[], done: Done): void {
  write(this, Buffer.concat(chunks.map(bytesOf)), done);
}

function bytesOf({ chunk, encoding }: Chunk): Buffer {
  return typeof chunk === 'string' ? Buffer.from(chunk, encoding) : chunk;
}

// The bytes count as taken at once: what the client has not taken is known to delivery, and bounded there.
function write(socket: DirectSocket, bytes: Buffer, done: Done): void {
  try {
    socket[DIRECT]?.delivery.send(socket[DIRECT].client, bytes);
  } catch (error) {
    return done(error as Error);
  }
  done();
}

function _final(this: DirectSocket, done: Done): void {
  const end = (): void => socketPrototype._final.call(this, done);
  if (this[DIRECT] === undefined) end();
  else this[DIRECT].whenFlushed(end);
}

// Before the socket's own descriptor is closed: the connection ends with the last of them.
function _destroy(this: DirectSocket, error: Error | null, done: Done): void {
  this[DIRECT]?.delivery.detach(this[DIRECT].client);
  socketPrototype._destroy.call(this, error, done);
}
