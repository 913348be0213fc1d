/** Bytes of an unfinished message that a client may always have here. */
const FREE_BYTES = 16 * 1024;
/** Bytes beyond that of all clients' unfinished messages together. */
const MOST_BYTES = 16 * 1024 * 1024;
/** Time in ms that a message which takes more may take to come. */
const PATIENCE_MS = 10_000;
/** Bytes of a control frame beside its payload: two of the header, four of the mask. */
const CONTROL_FRAME_BYTES = 6;

/** What is to become of a client that has sent more of a message. */
export type UnfinishedVerdict = 'pass' | 'too_big' | 'too_much' | 'too_slow';

/**
 * What all clients have sent of messages that are not finished: the WebSocket gathers each, up to the longest that a list
 * may have, and many clients together could send more than there is memory.
 */
export class UnfinishedMessages {
  /** Bytes of all clients together beyond what each has free. */
  #total = 0;

  /** Counts more of a client, or less. */
  count(bytes: number): void {
    this.#total += bytes;
  }

  get isFull(): boolean {
    return this.#total > MOST_BYTES;
  }
}

/** What one client has sent of a message that is not finished. */
export class UnfinishedMessage {
  readonly #all: UnfinishedMessages;
  #bytes = 0;
  /** What counts of it for all clients together. */
  #counted = 0;
  /** When it went beyond what is free, ms; undefined while it has not. */
  #since: number | undefined;
  /** A message has ended within the bytes that are being read. */
  #hasEnded = false;

  constructor(all: UnfinishedMessages) {
    this.#all = all;
  }

  /**
   * Judges what the client has sent up to now, to be called after the WebSocket has taken these bytes.
   *
   * @param mayHaveMore whether it may send long lists.
   * @param now on the clock of `performance.now`, ms.
   */
  judge(bytes: number, mayHaveMore: boolean, now: number): UnfinishedVerdict {
    // What is behind the end of a message belongs to the next: less than one read, which is not worth telling apart.
    if (this.#hasEnded) {
      this.#hasEnded = false;
      return 'pass';
    }
    this.#bytes += bytes;
    if (this.#bytes <= FREE_BYTES) return 'pass';
    if (!mayHaveMore) return 'too_big';
    this.#count(this.#bytes - FREE_BYTES);
    this.#since ??= now;
    if (this.#all.isFull) return 'too_much';
    return this.isTooSlow(now) ? 'too_slow' : 'pass';
  }

  /** Whether it takes too long, although the client may send nothing more of it now. */
  isTooSlow(now: number): boolean {
    return this.#since !== undefined && now - this.#since > PATIENCE_MS;
  }

  /** A control frame came, which may be between the parts of a message and is no part of it. */
  leaveOut(payloadBytes: number): void {
    this.#bytes -= payloadBytes + CONTROL_FRAME_BYTES;
  }

  /** The message has come whole. It counts until it is served. */
  complete(): void {
    this.#bytes = 0;
    this.#since = undefined;
    this.#hasEnded = true;
  }

  /** The message is served, or the client is gone. */
  release(): void {
    this.#count(0);
  }

  #count(bytes: number): void {
    this.#all.count(bytes - this.#counted);
    this.#counted = bytes;
  }
}
