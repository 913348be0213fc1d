import { OpenAlgoShmError } from '../errors.ts';
import type { RingOptions } from '../shm/options.ts';
import { SharedMemorySubscriber } from '../shm/subscriber.ts';
import type { TickBatch } from '../shm/tick-batch.ts';
import { BlockWriter } from './block-writer.ts';
import { compressFile } from './compress-file.ts';
import { RecordingFile } from './recording-file.ts';

/** Options of a recorder, beside the ring's. */
export interface RecorderOptions extends RingOptions {
  /** Begin a new file when this one has so many bytes. Default 256 MiB. */
  rotateBytes?: number;
  /** Begin a new file after so many ms. Default: never for the time alone. */
  rotateMs?: number;
  /** Compress files that are finished, with gzip. Default true. */
  compress?: boolean;
  /** Longest time in ms that a tick waits to be written and synchronised. Default 1,000. */
  flushMs?: number;
  /** Name that monitors see. Default `recorder`. */
  subscriberName?: string;
}

/** What a recorder has done. */
export interface RecorderCounters {
  /** Ticks written to the file. */
  ticks: number;
  /** Messages that were overwritten before they could be read. */
  lost: number;
  /** Bytes written. */
  bytes: number;
  /** Files finished for a new one. */
  rotations: number;
  /** Times that a new file could not be begun when it was time: the recorder goes on in the one before. */
  unrotated: number;
  /** Finished files that could not be compressed and stay as they are. */
  uncompressed: number;
}

const DEFAULT_ROTATE_BYTES = 256 * 1024 * 1024;
const DEFAULT_FLUSH_MS = 1000;
/** How often it looks whether the ring was made anew, ms. */
const LOOK_MS = 1000;
/** How far the clocks may drift apart before the time of day is taken anew, ms. */
const CLOCK_SLACK_MS = 100;
/** A block is written when it has so many bytes, or when the time is up. */
const BLOCK_BYTES = 256 * 1024;

/**
 * Writes every tick that passes a ring to a file, by appending alone: what was written stays readable whatever
 * happens to the process. A file that exists is continued. Runs once.
 */
export class Recorder {
  readonly file: string;
  readonly counters: RecorderCounters = { ticks: 0, lost: 0, bytes: 0, rotations: 0, unrotated: 0, uncompressed: 0 };
  /** Resolves when the recorder was stopped; rejects with what made it fail. */
  readonly done: Promise<void>;
  readonly #options: RecorderOptions;
  #subscriber: SharedMemorySubscriber;
  readonly #settle: { resolve: () => void; reject: (reason: unknown) => void };
  #recording: RecordingFile | undefined;
  #clockMs = clockNow();
  #block = new BlockWriter(this.#clockMs);
  #lostOfEarlierRings = 0;
  #timers: NodeJS.Timeout[] = [];
  #background: Promise<void> = Promise.resolve();
  #rotationFault: string | undefined;
  #isRunning = false;
  #wasStarted = false;

  /** @throws OpenAlgoShmError `ERR_INVALID_OPTION` */
  constructor(file: string, options: RecorderOptions = {}) {
    this.file = file;
    this.#options = options;
    for (const name of ['rotateBytes', 'rotateMs', 'flushMs'] as const) checkPositive(name, options[name]);
    this.#subscriber = this.#newSubscriber();
    let settle = { resolve: () => {}, reject: (_reason: unknown) => {} };
    this.done = new Promise((resolve, reject) => {
      settle = { resolve, reject };
    });
    this.#settle = settle;
  }

  get running(): boolean {
    return this.#isRunning;
  }

  /** Why a new file could not be begun the last time; undefined if that has always been possible. */
  get rotationFault(): string | undefined {
    return this.#rotationFault;
  }

  /** False where the file system has no locks: a second recorder would not be kept from the file. */
  get locked(): boolean {
    return this.#recording?.isLocked ?? false;
  }

  /**
   * Joins the ring and begins to write.
   *
   * @throws OpenAlgoShmError `ERR_FILE_BUSY` where another recorder writes the file, `ERR_FILE` where it cannot be
   *   written or is something else than a recording, `ERR_INVALID_ARGUMENT` at a second start, and those of joining a ring
   */
  start(): this {
    if (this.#wasStarted) {
      throw new OpenAlgoShmError('ERR_INVALID_ARGUMENT', 'the recorder has been started before; make a new one');
    }
    this.#recording = this.#openFile();
    try {
      this.#listenTo(this.#subscriber.start());
    } catch (error) {
      this.#closeFile();
      throw error;
    }
    this.#wasStarted = true;
    this.#isRunning = true;
    this.#timers = [
      setInterval(() => this.#guarded(() => this.#onTimer()), this.#options.flushMs ?? DEFAULT_FLUSH_MS),
      setInterval(() => this.#guarded(() => this.#follow()), LOOK_MS),
    ];
    if (this.#options.compress !== false) this.#background = this.#compressLeftovers(this.#recording.leftovers);
    return this;
  }

  /** Writes what is left, and waits until all finished files are compressed and none is locked. */
  async stop(): Promise<void> {
    if (this.#isRunning) {
      this.#guarded(() => {
        for (let batch = this.#subscriber.poll(); batch.length > 0; batch = this.#subscriber.poll()) this.#add(batch);
        this.#flush();
      });
      this.#end();
    }
    await this.#background;
    this.#settle.resolve();
    await this.done;
  }

  #newSubscriber(from: 'newest' | 'oldest' = 'newest'): SharedMemorySubscriber {
    return new SharedMemorySubscriber({ subscriberName: 'recorder', ...this.#options, from });
  }

  #listenTo(subscriber: SharedMemorySubscriber): void {
    subscriber.onBatch((batch) => this.#guarded(() => this.#add(batch)));
  }

  #add(batch: TickBatch): void {
    for (const tick of batch) {
      // Another proxy's last value is no tick of now: played back it would look like one.
      if (tick.ageMs !== undefined) continue;
      this.#block.add(tick);
      if (this.#block.isFull) this.#flush();
    }
    if (this.#block.bytes >= BLOCK_BYTES) this.#flush();
  }

  #onTimer(): void {
    this.#flush();
    const recording = this.#recording!;
    const isDue = recording.bytes > 0 && recording.ageMs >= (this.#options.rotateMs ?? Infinity);
    if (isDue || recording.isRemoved) this.#rotate();
    else recording.synchronise((error) => this.#fail(error));
    if (recording.isRemoved) throw new Error('it was removed, and its name cannot be used for a new file');
  }

  #flush(): void {
    const { counters } = this;
    const lost = this.#lostOfEarlierRings + this.#subscriber.getStats().messagesLost;
    if (this.#block.count === 0 && lost === counters.lost) return;
    const count = this.#block.count;
    this.#setClock();
    const block = this.#block.take(lost - counters.lost);
    this.#recording!.append(block);
    counters.ticks += count;
    counters.lost = lost;
    counters.bytes += block.length;
    if (this.#recording!.bytes >= (this.#options.rotateBytes ?? DEFAULT_ROTATE_BYTES)) this.#rotate();
  }

  /** The time of day may be set, and a machine may sleep, while the publishers' clock goes on or stands. */
  #setClock(): void {
    const now = clockNow();
    if (Math.abs(now - this.#clockMs) > CLOCK_SLACK_MS) this.#clockMs = now;
    this.#block.clockMs = this.#clockMs;
  }

  /** A file that cannot be finished now is no reason to lose the ticks of now; a disk that has lost some is to be told. */
  #rotate(): void {
    const recording = this.#recording!;
    recording.synchroniseNow();
    let name: string | undefined;
    try {
      name = recording.rotate();
    } catch (error) {
      this.counters.unrotated += 1;
      this.#rotationFault = error instanceof Error ? error.message : String(error);
      return;
    }
    this.counters.rotations += 1;
    if (name === undefined || this.#options.compress === false) return;
    this.#background = this.#background.then(() => recording.released).then(() => this.#compress(name));
  }

  /** Where the ring's name leads elsewhere now: what is left of the old one is written, then all of the new one. */
  #follow(): void {
    if (this.#subscriber.isCurrent()) return;
    const successor = this.#newSubscriber('oldest');
    try {
      successor.start();
    } catch (error) {
      // It cannot be joined yet; the next look tries again.
      if (error instanceof OpenAlgoShmError) return;
      throw error;
    }
    for (let batch = this.#subscriber.poll(); batch.length > 0; batch = this.#subscriber.poll()) this.#add(batch);
    this.#flush();
    this.#lostOfEarlierRings += this.#subscriber.getStats().messagesLost;
    this.#subscriber.close();
    this.#subscriber = successor;
    this.#listenTo(successor);
  }

  /** Never fails: that an old file cannot be made smaller is no reason to lose the ticks of now. */
  async #compressLeftovers(names: readonly string[]): Promise<void> {
    for (const name of names) await this.#compress(name);
  }

  async #compress(name: string): Promise<void> {
    await compressFile(name).catch(() => (this.counters.uncompressed += 1));
  }

  #openFile(): RecordingFile {
    try {
      return new RecordingFile(this.file);
    } catch (error) {
      throw this.#fileError(error);
    }
  }

  #closeFile(): void {
    const recording = this.#recording;
    if (recording === undefined) return;
    this.#recording = undefined;
    try {
      recording.synchroniseNow();
    } finally {
      recording.close();
      this.#background = this.#background.then(() => recording.released);
    }
  }

  #guarded(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    this.#settle.reject(this.#fileError(error));
    if (this.#isRunning) this.#end();
  }

  #end(): void {
    this.#isRunning = false;
    for (const timer of this.#timers) clearInterval(timer);
    this.#subscriber.close();
    try {
      this.#closeFile();
    } catch (error) {
      this.#settle.reject(this.#fileError(error));
    }
  }

  #fileError(error: unknown): unknown {
    if (error instanceof OpenAlgoShmError) return error;
    const reason = error instanceof Error ? error.message : String(error);
    return new OpenAlgoShmError('ERR_FILE', `${this.file} cannot be written: ${reason}`, { cause: error });
  }
}

/** Ms since 1970 at ns 0 of the publishers' clock. */
function clockNow(): number {
  return Date.now() - Number(process.hrtime.bigint()) / 1e6;
}

function checkPositive(name: string, value: number | undefined): void {
  if (value === undefined || (Number.isFinite(value) && value > 0)) return;
  throw new OpenAlgoShmError('ERR_INVALID_OPTION', `${name} must be a number above 0, got ${String(value)}`);
}
