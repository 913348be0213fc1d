import { NativePublisher, NativeRing, NativeSubscriber } from './native-binding.ts';
import { OpenAlgoShmError } from '../errors.ts';
import { closeOnError, native } from './native.ts';
import { nativeOptions, type RingOptions, withoutWaiting } from './options.ts';
import { ringStats, type RingStats } from './ring-buffer.ts';

/** The rings that stand beside a ring of ticks: `NAME.interest` and `NAME.events`. */
export type CompanionKind = 'interest' | 'events';

/** A companion's shape does not follow its ring's. `words` is the length of its longest message. */
const SHAPES = {
  interest: { lanes: 64, consumers: 64, bufferSize: 1024 * 1024, words: 10 },
  events: { lanes: 32, consumers: 64, bufferSize: 512 * 1024, words: 253 },
} as const;

/** Messages of one call to the core. */
const BATCH = 64;

/** Numbers before the words of a message that is written: how many words it has. */
const BEFORE_WRITTEN = 1;
/** Numbers before the words of a message that was read: its lane, and how many words it has. */
const BEFORE_READ = 2;

/** The messages of one call, as the numbers, the whole words' halves and the bytes that they are. */
export class MessageBuffer {
  /** Words from one message to the next. */
  readonly stride: number;
  readonly f64: Float64Array;
  readonly i32: Int32Array;
  readonly u32: Uint32Array;
  readonly bytes: Buffer;

  /** @param words - words of the longest message */
  constructor(words: number, before: number) {
    this.stride = before + words;
    this.f64 = new Float64Array(this.stride * BATCH);
    this.i32 = new Int32Array(this.f64.buffer);
    this.u32 = new Uint32Array(this.f64.buffer);
    this.bytes = Buffer.from(this.f64.buffer);
  }
}

function join(kind: CompanionKind, ringName: string | undefined): NativeRing {
  const { name } = nativeOptions(ringName === undefined ? {} : { name: ringName });
  const { words: _, ...shape } = SHAPES[kind];
  const options: RingOptions = { ...shape, name: `${name}.${kind}` };
  return native(() => NativeRing.createOrAttach(nativeOptions(options, kind)));
}

/** False where the newer segment cannot be joined yet: the next look tries again. */
function opens(open: () => void): boolean {
  try {
    withoutWaiting(open);
    return true;
  } catch (error) {
    if (error instanceof OpenAlgoShmError) return false;
    throw error;
  }
}

/** The owner of a lane of a companion ring. Goes on with the newer segment when the ring was created anew. */
export class CompanionWriter {
  readonly #kind: CompanionKind;
  readonly #ringName: string | undefined;
  readonly #owner: string;
  #ring!: NativeRing;
  #publisher!: NativePublisher;
  #commit!: (count?: number) => number | undefined;
  #buffer!: MessageBuffer;
  #filled = 0;
  #closed = false;

  /** @throws `ERR_NO_FREE_LANE` and those of opening a ring */
  constructor(kind: CompanionKind, ringName: string | undefined, owner: string) {
    this.#kind = kind;
    this.#ringName = ringName;
    this.#owner = owner;
    this.#open();
  }

  /** Fills in one message; `fill` gets the buffer and the message's first word in it, and returns the message's length in words. */
  write(fill: (buffer: MessageBuffer, at: number) => number): void {
    if (this.#filled === BATCH) this.flush();
    const buffer = this.#buffer;
    const at = this.#filled * buffer.stride;
    buffer.f64[at] = fill(buffer, at + BEFORE_WRITTEN);
    this.#filled++;
  }

  /** Publishes what was written. */
  flush(): void {
    const count = this.#filled;
    if (count === 0 || this.#closed) return;
    this.#filled = 0;
    native(() => this.#commit(count));
  }

  /** Moves to the newer segment if the ring was created anew; true if it was. */
  follow(): boolean {
    if (this.#closed || native(() => this.#ring.isCurrent())) return false;
    const release = this.#releaser();
    if (!opens(() => this.#open())) return false;
    release();
    return true;
  }

  /** Publishes what was written and gives the lane back. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.flush();
    this.#closed = true;
    this.#releaser()();
  }

  #open(): void {
    const ring = join(this.#kind, this.#ringName);
    const buffer = new MessageBuffer(SHAPES[this.#kind].words, BEFORE_WRITTEN);
    const publisher = closeOnError(ring, () => new NativePublisher(ring, this.#owner, buffer.f64, buffer.stride));
    this.#ring = ring;
    this.#buffer = buffer;
    this.#publisher = publisher;
    this.#commit = publisher.commit();
    this.#filled = 0;
  }

  #releaser(): () => void {
    const [publisher, ring] = [this.#publisher, this.#ring];
    return () => {
      publisher.close();
      ring.close();
    };
  }
}

/** Reads a companion ring message by message. Goes on with the newer segment when the ring was created anew. */
export class CompanionReader {
  readonly #kind: CompanionKind;
  readonly #ringName: string | undefined;
  readonly #reader: string;
  readonly #each: (buffer: MessageBuffer, at: number, lane: number) => void;
  readonly #afterwards: () => void;
  #ring!: NativeRing;
  #subscriber!: NativeSubscriber;
  #read!: () => void;
  #lostBefore = 0;
  #closed = false;

  /**
   * @param each gets the buffer, the message's first word in it, and its lane
   * @param afterwards is called after each batch
   * @throws those of opening a ring
   */
  constructor(
    kind: CompanionKind,
    ringName: string | undefined,
    reader: string,
    each: (buffer: MessageBuffer, at: number, lane: number) => void,
    afterwards: () => void = () => {},
  ) {
    this.#kind = kind;
    this.#ringName = ringName;
    this.#reader = reader;
    this.#each = each;
    this.#afterwards = afterwards;
    this.#open(false);
  }

  /** The ring and its lanes now. */
  ringStats(): RingStats {
    return ringStats(native(() => this.#ring.stats()));
  }

  /** Name of a lane's owner. */
  ownerOf(lane: number): string {
    return native(() => this.#subscriber.publisherOf(lane));
  }

  /** Messages that were overwritten before they were read, or left in a segment that another has followed. */
  get messagesLost(): number {
    return this.#lostBefore + native(() => this.#subscriber.stats()).messagesLost;
  }

  /** Moves to the newer segment if the ring was created anew, once all of the older one is read; true if it was. */
  follow(): boolean {
    if (this.#closed || native(() => this.#ring.isCurrent())) return false;
    this.#read();
    const older = this.#subscriber;
    const release = this.#releaser();
    // Nobody has read anything of the newer one yet.
    if (!opens(() => this.#open(true))) return false;
    const { messagesLost, lag } = native(() => older.stats());
    this.#lostBefore += messagesLost + lag;
    release();
    return true;
  }

  /** Leaves the ring. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#releaser()();
  }

  #open(oldest: boolean): void {
    const ring = join(this.#kind, this.#ringName);
    const buffer = new MessageBuffer(SHAPES[this.#kind].words, BEFORE_READ);
    const subscriber = closeOnError(
      ring,
      () => new NativeSubscriber(ring, this.#reader, oldest, undefined, BATCH, buffer.f64),
    );
    const pollInto = subscriber.pollInto();
    this.#ring = ring;
    this.#subscriber = subscriber;
    this.#read = () => this.#drain(subscriber, pollInto, buffer);
    native(() => subscriber.onReady('sleep', this.#read));
  }

  #drain(subscriber: NativeSubscriber, pollInto: (max: number) => number, buffer: MessageBuffer): void {
    const isMine = () => !this.#closed && this.#subscriber === subscriber;
    try {
      while (isMine()) {
        const count = pollInto(BATCH);
        if (count === 0) break;
        for (let i = 0, at = 0; i < count && isMine(); i++, at += buffer.stride) {
          this.#each(buffer, at + BEFORE_READ, buffer.f64[at]!);
        }
      }
      if (isMine()) this.#afterwards();
    } finally {
      if (isMine()) subscriber.arm();
    }
  }

  #releaser(): () => void {
    const [subscriber, ring] = [this.#subscriber, this.#ring];
    return () => {
      subscriber.close();
      ring.close();
    };
  }
}
