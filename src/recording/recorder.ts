import { closeSync, fdatasync, fdatasyncSync, fstatSync, openSync, renameSync, writeSync } from 'node:fs';
import { OpenAlgoShmError } from '../errors.ts';
import type { RingOptions } from '../shm/options.ts';
import { SharedMemorySubscriber } from '../shm/subscriber.ts';
import type { TickBatch } from '../shm/tick-batch.ts';
import { BlockWriter } from './block-writer.ts';
import { compressFile, rotatedName, uncompressedRotations } from './recording-files.ts';

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
}

const DEFAULT_ROTATE_BYTES = 256 * 1024 * 1024;
const DEFAULT_FLUSH_MS = 1000;
/** A block is written when it has so many bytes, or when the time is up. */
const BLOCK_BYTES = 256 * 1024;

/**
 * Writes every tick that passes a ring to a file, by appending alone: what was written stays readable whatever
 * happens to the process. A file that exists is continued. Runs once.
 */
export class Recorder {
  readonly file: string;
  readonly counters: RecorderCounters = { ticks: 0, lost: 0, bytes: 0, rotations: 0 };
  /** Resolves when the recorder was stopped; rejects with what made it fail. */
  readonly done: Promise<void>;
  readonly #options: RecorderOptions;
  readonly #subscriber: SharedMemorySubscriber;
  readonly #settle: { resolve: () => void; reject: (reason: unknown) => void };
  #descriptor: number | undefined;
  #block = new BlockWriter(0);
  #fileBytes = 0;
  #fileBegan = 0;
  #lostOfEarlierRings = 0;
  #timer: NodeJS.Timeout | undefined;
  #isSynchronising = false;
  #background: Promise<void> = Promise.resolve();
  #isRunning = false;

  /** @throws OpenAlgoShmError `ERR_INVALID_OPTION` */
  constructor(file: string, options: RecorderOptions = {}) {
    this.file = file;
    this.#options = options;
    for (const name of ['rotateBytes', 'rotateMs', 'flushMs'] as const) checkPositive(name, options[name]);
    this.#subscriber = new SharedMemorySubscriber({ subscriberName: 'recorder', ...options });
    let settle = { resolve: () => {}, reject: (_reason: unknown) => {} };
    this.done = new Promise((resolve, reject) => {
      settle = { resolve, reject };
    });
    this.#settle = settle;
  }

  get running(): boolean {
    return this.#isRunning;
  }

  /**
   * Joins the ring and begins to write.
   *
   * @throws OpenAlgoShmError `ERR_FILE` where the file cannot be written, and those of joining a ring
   */
  start(): this {
    this.#openFile();
    try {
      this.#listen();
    } catch (error) {
      this.#closeFile();
      throw error;
    }
    this.#isRunning = true;
    this.#timer = setInterval(() => this.#guarded(() => this.#onTimer()), this.#options.flushMs ?? DEFAULT_FLUSH_MS);
    if (this.#options.compress !== false) this.#inBackground(() => this.#compressLeftovers());
    return this;
  }

  /** Writes what is left, and waits until all finished files are compressed. */
  async stop(): Promise<void> {
    if (this.#isRunning) {
      this.#guarded(() => {
        for (let batch = this.#subscriber.poll(); batch.length > 0; batch = this.#subscriber.poll()) this.#add(batch);
        this.#flush();
        if (this.#descriptor !== undefined) fdatasyncSync(this.#descriptor);
      });
      this.#end();
    }
    await this.#background;
    this.#settle.resolve();
    await this.done;
  }

  #listen(): void {
    this.#subscriber.start().onBatch((batch) => this.#guarded(() => this.#add(batch)));
  }

  #add(batch: TickBatch): void {
    for (const tick of batch) {
      this.#block.add(tick);
      if (this.#block.isFull) this.#flush();
    }
    if (this.#block.bytes >= BLOCK_BYTES) this.#flush();
  }

  #onTimer(): void {
    this.#flush();
    this.#synchronise();
    if (this.#fileBytes > 0 && Date.now() - this.#fileBegan >= (this.#options.rotateMs ?? Infinity)) this.#rotate();
    if (!this.#subscriber.ringStats().current) this.#joinAnew();
  }

  #flush(): void {
    const { counters } = this;
    const lost = this.#lostOfEarlierRings + this.#subscriber.getStats().messagesLost;
    if (this.#block.count === 0 && lost === counters.lost) return;
    const count = this.#block.count;
    const block = this.#block.take(lost - counters.lost);
    for (let at = 0; at < block.length;) at += writeSync(this.#descriptor!, block, at);
    counters.ticks += count;
    counters.lost = lost;
    counters.bytes += block.length;
    this.#fileBytes += block.length;
    if (this.#fileBytes >= (this.#options.rotateBytes ?? DEFAULT_ROTATE_BYTES)) this.#rotate();
  }

  #synchronise(): void {
    if (this.#isSynchronising || this.#descriptor === undefined) return;
    this.#isSynchronising = true;
    const descriptor = this.#descriptor;
    fdatasync(descriptor, (error) => {
      this.#isSynchronising = false;
      // A rotation may have synchronised and closed it in the meantime.
      if (error !== null && this.#descriptor === descriptor) this.#fail(error);
    });
  }

  #rotate(): void {
    const name = rotatedName(this.file, new Date(this.#fileBegan));
    this.#closeFile();
    renameSync(this.file, name);
    this.#openFile();
    this.counters.rotations += 1;
    if (this.#options.compress !== false) this.#inBackground(() => compressFile(name));
  }

  /** The ring's name leads elsewhere now: what is left of the old one is written, then the new one is joined. */
  #joinAnew(): void {
    for (let batch = this.#subscriber.poll(); batch.length > 0; batch = this.#subscriber.poll()) this.#add(batch);
    this.#flush();
    this.#lostOfEarlierRings += this.#subscriber.getStats().messagesLost;
    this.#subscriber.close();
    this.#listen();
  }

  async #compressLeftovers(): Promise<void> {
    for (const name of await uncompressedRotations(this.file)) await compressFile(name);
  }

  #inBackground(work: () => Promise<void>): void {
    this.#background = this.#background.then(work).catch((error: unknown) => this.#fail(error));
  }

  #openFile(): void {
    try {
      this.#descriptor = openSync(this.file, 'a', 0o600);
    } catch (error) {
      throw this.#fileError(error);
    }
    this.#fileBytes = fstatSync(this.#descriptor).size;
    this.#fileBegan = Date.now();
    this.#block = new BlockWriter(Date.now() - Number(process.hrtime.bigint()) / 1e6);
  }

  #closeFile(): void {
    if (this.#descriptor === undefined) return;
    const descriptor = this.#descriptor;
    this.#descriptor = undefined;
    fdatasyncSync(descriptor);
    closeSync(descriptor);
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
    clearInterval(this.#timer);
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

function checkPositive(name: string, value: number | undefined): void {
  if (value === undefined || (Number.isFinite(value) && value > 0)) return;
  throw new OpenAlgoShmError('ERR_INVALID_OPTION', `${name} must be a number above 0, got ${String(value)}`);
}
