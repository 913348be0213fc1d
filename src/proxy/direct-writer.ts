import { VectoredWrite, canWriteVectored } from '../shm/vectored-write.ts';
import type { Connection } from './connection.ts';
import type { Frames } from './frames.ts';
import type { Writer } from './writer.ts';

/**
 * The fastest way: the frames of a batch go from the arena to the sockets of all clients that have nothing
 * queued, in one native call at the end of the batch. It happens on the JavaScript thread, like every other
 * write to these sockets, so the order holds; what a socket does not take goes to its stream, and the
 * client stays there until nothing is queued.
 */
class DirectWriter implements Writer {
  readonly #arena: Buffer;
  readonly #write = new VectoredWrite();
  readonly #connections: Connection[] = [];
  readonly #frames: Frames[] = [];
  /** Descriptors of the clients that get the last frames, a group to be. */
  #descriptors: number[] = [];

  constructor(arena: Buffer) {
    this.#arena = arena;
  }

  write(connection: Connection, frames: Frames): boolean {
    if (frames.buffer !== this.#arena) return false;
    const descriptor = connection.idleDescriptor;
    if (descriptor === undefined) return false;
    if (this.#frames.at(-1) !== frames) this.#endGroup();
    this.#connections.push(connection);
    this.#frames.push(frames);
    this.#descriptors.push(descriptor);
    return true;
  }

  flush(): void {
    if (this.#connections.length === 0) return;
    this.#endGroup();
    const written = this.#write.send(this.#arena);
    for (let i = 0; i < this.#connections.length; i++) {
      const frames = this.#frames[i] as Frames;
      // A socket with an error takes nothing; its stream meets the error again and ends the connection.
      const taken = Math.max(0, written[i] as number);
      if (taken < frames.byteLength) (this.#connections[i] as Connection).socket?.write(frames.join().subarray(taken));
    }
    this.#connections.length = 0;
    this.#frames.length = 0;
  }

  #endGroup(): void {
    const frames = this.#frames.at(-1);
    if (frames === undefined || this.#descriptors.length === 0) return;
    this.#write.group(frames.runs, frames.runs.length / 2, this.#descriptors);
    this.#descriptors = [];
  }
}

/** The direct writer of an arena's frames, where the system has what it takes. */
export function directWriters(arena: Buffer): Writer[] {
  return canWriteVectored() ? [new DirectWriter(arena)] : [];
}
