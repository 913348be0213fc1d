/** Bytes of an unfinished message that a client may always have here. */
const FREE_BYTES = 16 * 1024;
/** Bytes beyond that of all clients' unfinished messages together. */
const MOST_BYTES = 16 * 1024 * 1024;
/** Time in ms that a message which takes more may take to come. */
const PATIENCE_MS = 10_000;
/** Time in ms in which a message has its place, whoever else comes. */
const SECURE_MS = 1_000;
/** Bytes of a control frame beside its payload: two of the header, four of the mask. */
const CONTROL_FRAME_BYTES = 6;
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
  /** Bytes of the one that is coming. */
  #bytes = 0;
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
    // What is behind the end of a message belongs to the next: less than one read, which is not worth telling apart.
    if (this.#hasEnded) {
      this.#hasEnded = false;
      return 'pass';
    }
    this.#bytes += bytes;
    this.#isCompressed = isCompressed;
    if (this.#bytes <= FREE_BYTES && !isCompressed) return 'pass';
    if (this.#bytes > FREE_BYTES && !mayHaveMore) return 'too_big';
    if (this.#since === undefined) {
      this.#since = now;
      this.#all.begin(this, client);
    }
    this.countAnew(now);
    return this.isTooSlow(now) ? 'too_slow' : 'pass';
  }

  /** Counts what has come, as what it may have become by now. */
  countAnew(now: number): void {
    const isInflated = this.#isCompressed && now - (this.#since ?? now) >= INFLATED_AFTER_MS;
    const length = isInflated ? Math.min(this.#bytes * MOST_INFLATED, this.#longest) : this.#bytes;
    this.#setComing(Math.max(0, length - FREE_BYTES));
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
    this.#bytes -= payloadBytes + CONTROL_FRAME_BYTES;
  }

  /** The message has come whole. It counts until it is served. @returns what is to be called then */
  complete(): () => void {
    const bytes = this.#coming;
    this.#coming = 0;
    this.#bytes = 0;
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

const NOTHING = (): void => undefined;
