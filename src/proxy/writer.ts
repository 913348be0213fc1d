import type { Connection } from './connection.ts';
import { type Frames, payloads } from './frames.ts';

/** One way to hand frames to a client. */
export interface Writer {
  /**
   * Hands over all frames, in one write where that is possible. A borrowed `frames.buffer` is overwritten
   * after the batch; what is not on its way at its end must come from `frames.join()`.
   *
   * @returns false when this way is not open for the connection now, and nothing was written.
   */
  write(connection: Connection, frames: Frames): boolean;
  /** Ends a batch: what was collected goes now. */
  flush?(): void;
}

/** Finished frames go to the socket as one buffer, shared by all clients that get the same. */
export const streamWriter: Writer = {
  write(connection, frames) {
    const socket = connection.idleSocket;
    if (socket === undefined) return false;
    socket.write(frames.join());
    return true;
  },
};

/** Each frame's payload goes through the WebSocket, which compresses it or queues it behind what it has. */
export const messageWriter: Writer = {
  write(connection, frames) {
    for (const { bytes, binary } of payloads(frames.join())) connection.webSocket.send(bytes, { binary });
    return true;
  },
};

/** The first of these that is open for a client takes its frames. */
export function chain(...writers: readonly Writer[]): Writer {
  return {
    write: (connection, frames) => writers.some((writer) => writer.write(connection, frames)),
    flush: () => writers.forEach((writer) => writer.flush?.()),
  };
}
