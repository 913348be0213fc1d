import type { Socket } from 'node:net';

/** Bytes of an unfinished message that a client may always have here. */
const FREE_BYTES = 16 * 1024;
/** Bytes beyond that of all clients' unfinished messages together. */
const MOST_BYTES = 16 * 1024 * 1024;
/** Time in ms that a message which takes more may take to come. */
const PATIENCE_MS = 10_000;

/** What is to become of a client that has sent more of a message. */
export type UnfinishedVerdict = 'pass' | 'too_big' | 'too_much' | 'too_slow';

/** What one client has sent of a message that is not finished. */
interface Unfinished {
  /** Bytes that the socket had read when the last message was finished. */
  finishedAt: number;
  /** What counts of it for all clients together. */
  counted: number;
  /** When it went beyond what is free, ms; undefined while it has not. */
  since: number | undefined;
}

/**
 * Bounds what messages take that have begun and not ended: the WebSocket gathers them, each up to the longest that a list
 * may have, and many clients together could send more than there is memory.
 */
export class UnfinishedMessages {
  readonly #clients = new WeakMap<Socket, Unfinished>();
  #total = 0;

  /** Bytes of all clients together beyond what each has free. */
  get total(): number {
    return this.#total;
  }

  /** Judges what a client has sent up to now. @param mayHaveMore whether it may send long lists. */
  judge(socket: Socket, mayHaveMore: boolean, now: number): UnfinishedVerdict {
    const finishedAt = this.#clients.get(socket)?.finishedAt ?? 0;
    const bytes = socket.bytesRead - finishedAt;
    if (bytes <= FREE_BYTES) return 'pass';
    if (!mayHaveMore) return 'too_big';
    const unfinished = this.#of(socket);
    const counted = bytes - FREE_BYTES;
    this.#total += counted - unfinished.counted;
    unfinished.counted = counted;
    unfinished.since ??= now;
    if (this.#total > MOST_BYTES) return 'too_much';
    return now - unfinished.since > PATIENCE_MS ? 'too_slow' : 'pass';
  }

  /** Whether a client takes too long over a message, although it may send nothing more of it now. */
  isTooSlow(socket: Socket, now: number): boolean {
    const since = this.#clients.get(socket)?.since;
    return since !== undefined && now - since > PATIENCE_MS;
  }

  /** A message of a client has come whole. It counts until it is served. */
  complete(socket: Socket): void {
    const unfinished = this.#clients.get(socket);
    if (unfinished !== undefined) unfinished.since = undefined;
  }

  /** A message of a client is served. What came behind it with the same read belongs to the next, which is not worth counting. */
  finish(socket: Socket): void {
    const unfinished = this.#of(socket);
    unfinished.finishedAt = socket.bytesRead;
    this.#uncount(unfinished);
  }

  /** A client is gone. */
  forget(socket: Socket): void {
    const unfinished = this.#clients.get(socket);
    if (unfinished !== undefined) this.#uncount(unfinished);
    this.#clients.delete(socket);
  }

  #of(socket: Socket): Unfinished {
    let unfinished = this.#clients.get(socket);
    if (unfinished === undefined) {
      unfinished = { finishedAt: 0, counted: 0, since: undefined };
      this.#clients.set(socket, unfinished);
    }
    return unfinished;
  }

  #uncount(unfinished: Unfinished): void {
    this.#total -= unfinished.counted;
    unfinished.counted = 0;
    unfinished.since = undefined;
  }
}
