/** Bytes of an unfinished message that a client may always have here. */
const FREE_BYTES = 16 * 1024;
/** Bytes beyond that of all clients' unfinished messages together. */
const MOST_BYTES = 16 * 1024 * 1024;
/** Time in ms that a message which takes more may take to come. */
const PATIENCE_MS = 10_000;
/** Time in ms in which a message has its place, whoever else comes. */
const SECURE_MS = 1_000;
/** How many times as long a compressed message can be as what came of it: deflate's most. */
const MOST_INFLATED = 1032;
/** Time in ms after which a compressed message counts as what it may have become: those that came whole are served by then. */
const INFLATED_AFTER_MS = 1_000;

/** What is to become of a client that has sent more of a message. */
export type UnfinishedVerdict = 'pass' | 'too_big' | 'too_slow';

/**
 * What all clients have sent of messages that are not served: the WebSocket gathers each, up to the longest that a list
 * may have, and many clients together could send more than there is memory.
 *
 * @typeParam Client what stands for a client here.
 */
export class UnfinishedMessages<Client> {
  /** Bytes of all clients together beyond what each has free. */
  #total = 0;
  /** Those whose messages are not finished and take more than what is free, the oldest first. */
  readonly #holders = new Map<UnfinishedMessage<Client>, Client>();

  /** Counts more of a client, or less. */
  count(bytes: number): void {
    this.#total += bytes;
  }

  /** A message takes more than what is free. */
  begin(message: UnfinishedMessage<Client>, client: Client): void {
    this.#holders.set(message, client);
  }

  /** It is finished, or its client is gone. */
  end(message: UnfinishedMessage<Client>): void {
    this.#holders.delete(message);
  }

  /** Whether there are any that take more than what is free. */
  get isEmpty(): boolean {
    return this.#holders.size === 0;
  }

  /**
   * The client to close because all together hold too much: the oldest one after a second, so that it cannot keep others
   * out for long; before that the newcomer, so that a crowd does not take turns at filling the memory.
   */
  oneOfTooMany(newcomer: Client | undefined, now: number): Client | undefined {
    if (this.#total <= MOST_BYTES) return undefined;
    for (const [message, client] of this.#holders) {
      if (message.holds) return message.isOlderThan(SECURE_MS, now) ? client : newcomer;
    }
    return newcomer;
  }

  /** Those whose messages take too long. Counts anew what may have become longer. */
  tooSlow(now: number): Client[] {
    const clients: Client[] = [];
    for (const [message, client] of this.#holders) {
      message.countAnew(now);
      if (message.isTooSlow(now)) clients.push(client);
    }
    return clients;
  }
}

/** What one client has sent of messages that are not served. */
export class UnfinishedMessage<Client> {
  readonly #all: UnfinishedMessages<Client>;
  readonly #longest: number;
  /** Bytes of the one that is coming, up to the end of the last read. */
  #bytes = 0;
  /** Bytes of whole frames in this read that are no part of it: messages that have ended, control frames. */
  #others = 0;
  /** What counts of it for all clients. */
  #coming = 0;
  /** When the one that is coming went beyond what is free, ms; undefined while it has not. */
  #since: number | undefined;
  /** A message has ended within the bytes that are being read. */
  #hasEnded = false;
  #isCompressed = false;

  /** @param longest bytes that a message can have. */
  constructor(all: UnfinishedMessages<Client>, longest: number) {
    this.#all = all;
    this.#longest = longest;
  }

  /**
   * Judges what the client has sent up to now, to be called after the WebSocket has taken these bytes.
   *
   * @param client who it is.
   * @param isCompressed whether it may be longer than what comes of it.
   * @param mayHaveMore whether it may send long lists.
   * @param now on the clock of `performance.now`, ms.
   */
  judge(client: Client, bytes: number, isCompressed: boolean, mayHaveMore: boolean, now: number): UnfinishedVerdict {
    const coming = this.#bytes + bytes - this.#others;
    this.#others = 0;
    this.#isCompressed = isCompressed;
    if (this.#hasEnded) {
      // What is behind the end of a message belongs to the next: less than this read.
      this.#hasEnded = false;
      this.#bytes = isCompressed ? bytes : Math.max(0, Math.min(coming, bytes));
      return 'pass';
    }
    this.#bytes = coming;
    if (this.#bytes <= FREE_BYTES && !isCompressed) return 'pass';
    if (!mayHaveMore && this.#length(now) > FREE_BYTES) return 'too_big';
    if (this.#since === undefined) {
      this.#since = now;
      this.#all.begin(this, client);
    }
    this.countAnew(now);
    return this.isTooSlow(now) ? 'too_slow' : 'pass';
  }

  /** Counts what has come, as what it may have become by now. */
  countAnew(now: number): void {
    this.#setComing(Math.max(0, this.#length(now) - FREE_BYTES));
  }

  // A compressed one that has come whole is still on its way through the decompression, and no unfinished one.
  #length(now: number): number {
    const isInflated = this.#isCompressed && now - (this.#since ?? now) >= INFLATED_AFTER_MS;
    return isInflated ? Math.min(this.#bytes * MOST_INFLATED, this.#longest) : this.#bytes;
  }

  /** Whether it counts for all clients. */
  get holds(): boolean {
    return this.#coming > 0;
  }

  /** Whether it takes too long, although the client may send nothing more of it now. */
  isTooSlow(now: number): boolean {
    return this.isOlderThan(PATIENCE_MS, now);
  }

  /** Whether it takes longer than so many ms. */
  isOlderThan(ms: number, now: number): boolean {
    return this.#since !== undefined && now - this.#since > ms;
  }

  /** A control frame came, which may be between the parts of a message and is no part of it. */
  leaveOut(payloadBytes: number): void {
    this.#others += frameBytes(payloadBytes);
  }

  /**
   * The message has come whole. It counts until it is served.
   *
   * @param payloadBytes its length.
   * @returns what is to be called then
   */
  complete(payloadBytes: number): () => void {
    const bytes = this.#coming;
    this.#coming = 0;
    this.#others += frameBytes(payloadBytes);
    this.#forgetTime();
    this.#hasEnded = true;
    if (bytes === 0) return NOTHING;
    let isServed = false;
    return () => {
      if (isServed) return;
      isServed = true;
      this.#all.count(-bytes);
    };
  }

  /** The client is gone or is being closed: what was coming does not count any more. */
  release(): void {
    this.#setComing(0);
    this.#forgetTime();
  }

  #setComing(bytes: number): void {
    this.#all.count(bytes - this.#coming);
    this.#coming = bytes;
  }

  #forgetTime(): void {
    if (this.#since === undefined) return;
    this.#since = undefined;
    this.#all.end(this);
  }
}

/** Bytes of a frame of a client: two of the header, more for the length of a long one, four of the mask. */
function frameBytes(payloadBytes: number): number {
  const ofLength = payloadBytes < 126 ? 0 : payloadBytes < 65_536 ? 2 : 8;
  return payloadBytes + 6 + ofLength;
}

const NOTHING = (): void => undefined;
