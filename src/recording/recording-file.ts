import {
  closeSync,
  fdatasync,
  fdatasyncSync,
  fstatSync,
  openSync,
  readSync,
  realpathSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { OpenAlgoShmError } from '../errors.ts';
import { isContinuable, MAGIC } from './format.ts';
import {
  isSameFile,
  moveWithoutReplacing,
  rotatedNames,
  statOf,
  tryLink,
  uncompressedRotations,
  unusedSuccessors,
} from './recording-files.ts';
import { RecordingLock } from './recording-lock.ts';

/** How often a name is opened that leads elsewhere each time. */
const TRIES = 100;

interface Opened {
  descriptor: number;
  lock: RecordingLock;
}

/** The file that a recorder appends to. One process at a time has it. */
export class RecordingFile {
  /** Its name without symbolic links. */
  readonly path: string;
  /** Finished recordings beside it that were not compressed when it was opened. */
  readonly leftovers: readonly string[];
  #opened: Opened;
  #bytes: number;
  #began = new Date();
  #begunAt = performance.now();
  #files = 0;
  #isSynchronising = false;
  #answered: Promise<void> = Promise.resolve();
  #released: Promise<void> = Promise.resolve();
  #isClosed = false;

  /**
   * Opens a recording to be continued, or begins one.
   *
   * @throws OpenAlgoShmError `ERR_FILE_BUSY` where another recorder has it; what the system says; `Error` where it is
   *   something else than a recording
   */
  constructor(file: string) {
    this.#opened = openLocked(file);
    try {
      this.path = realpathSync(file);
      this.#bytes = fstatSync(this.#opened.descriptor).size;
      checkBeginning(this.#opened.descriptor);
      this.leftovers = this.#leftovers();
    } catch (error) {
      close(this.#opened);
      throw error;
    }
  }

  /** Bytes of the file. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Ms since this process began to write to it, whatever the time of day is set to. */
  get ageMs(): number {
    return performance.now() - this.#begunAt;
  }

  /** False where the file system has no locks. */
  get isLocked(): boolean {
    return this.#opened.lock.isHeld;
  }

  /** True once it has no name any more: what is written is gone when it is closed. */
  get isRemoved(): boolean {
    // A file system that counts no names says 0 of any file.
    return fstatSync(this.#opened.descriptor).nlink === 0 && !this.#isInPlace(this.path);
  }

  append(bytes: Buffer): void {
    for (let at = 0; at < bytes.length;) {
      const written = writeSync(this.#opened.descriptor, bytes, at);
      at += written;
      this.#bytes += written;
    }
  }

  /** Waits until the disk has what was written. */
  synchroniseNow(): void {
    fdatasyncSync(this.#opened.descriptor);
  }

  /** Sees to it that the disk has what was written. */
  synchronise(onError: (error: Error) => void): void {
    if (this.#isSynchronising) return;
    this.#isSynchronising = true;
    const { descriptor } = this.#opened;
    this.#answered = new Promise((resolve) => {
      fdatasync(descriptor, (error) => {
        this.#isSynchronising = false;
        // It may have been synchronised and finished in the meantime.
        if (error !== null && !this.#isClosed && this.#opened.descriptor === descriptor) onError(error);
        resolve();
      });
    });
  }

  /** Settles when no file that was finished, or closed, is open or locked any more. */
  get released(): Promise<void> {
    return this.#released;
  }

  /**
   * Begins a new file in its place. Returns the name that the finished one has now; undefined where somebody has
   * moved or removed it. Replaces nothing that another has made. On an error it is still this file that is written to.
   * The finished one is locked until {@link released} settles.
   */
  rotate(): string | undefined {
    const next = this.#beginNext();
    let finished: string | undefined;
    try {
      if (this.#isInPlace(this.path)) finished = this.#makeWay(next.file);
      else moveWithoutReplacing(next.file, this.path);
    } catch (error) {
      closeSync(next.descriptor);
      rmSync(next.file, { force: true });
      throw error;
    }
    const before = this.#opened.descriptor;
    this.#opened = { descriptor: next.descriptor, lock: this.#opened.lock };
    this.#bytes = 0;
    this.#began = new Date();
    this.#begunAt = performance.now();
    this.#release(() => closeSync(before));
    return finished;
  }

  close(): void {
    this.#isClosed = true;
    this.#release(() => close(this.#opened));
  }

  /**
   * Not while the disk is asked: the kernel keeps a file's lock as long, and the number of a closed descriptor may be
   * another file's by the time that it is looked up.
   */
  #release(closeIt: () => void): void {
    if (!this.#isSynchronising) closeIt();
    // All of it was synchronised: that it is not closed well loses nothing.
    else this.#released = this.#answered.then(closeIt).catch(() => {});
  }

  /** A recorder that was killed in a rotation has left this file with two names, or the next one with none of its own. */
  #leftovers(): string[] {
    for (const name of listed(unusedSuccessors, this.path)) tidyUp(name);
    return listed(uncompressedRotations, this.path).filter((name) => {
      const isThis = name !== this.path && this.#isInPlace(name);
      if (isThis) tidyUp(name);
      return !isThis;
    });
  }

  /** A file of a name of its own, locked before anybody can find it under the recording's. */
  #beginNext(): { file: string; descriptor: number } {
    const file = `${this.path}.${process.pid}-${this.#files++}.new`;
    const descriptor = openSync(file, 'ax+', 0o600);
    if (process.platform !== 'win32') RecordingLock.tryTake(file, descriptor);
    return { file, descriptor };
  }

  #isInPlace(name: string): boolean {
    return isSameFile(statOf(name), fstatSync(this.#opened.descriptor));
  }

  /** Gives this file the name of a finished one, and its name to the next. */
  #makeWay(next: string): string {
    for (const name of rotatedNames(this.path, this.#began)) {
      try {
        this.#exchange(name, next);
        return name;
      } catch (error) {
        // Another took that name since it was looked at.
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || !this.#isInPlace(this.path)) throw error;
      }
    }
    throw new Error('there is no name for the finished file');
  }

  #exchange(name: string, next: string): void {
    // The recording's name leads to a locked file at any moment: nobody can begin another recording there.
    if (process.platform !== 'win32' && tryLink(this.path, name)) {
      try {
        if (!this.#isInPlace(name)) throw new Error('another file was given its name');
        renameSync(next, this.path);
      } catch (error) {
        rmSync(name);
        throw error;
      }
      return;
    }
    moveWithoutReplacing(this.path, name);
    moveWithoutReplacing(next, this.path);
  }
}

/** None where the folder cannot be listed: that nothing is tidied is no reason to record nothing. */
function listed(list: (path: string) => string[], path: string): string[] {
  try {
    return list(path);
  } catch {
    return [];
  }
}

/** Nor is that a file cannot be removed, as in a folder that may only be read. */
function tidyUp(name: string): void {
  try {
    rmSync(name);
  } catch {
    // It stays.
  }
}

function openLocked(file: string): Opened {
  for (let tries = 0; tries < TRIES; tries++) {
    const descriptor = openSync(file, 'a+', 0o600);
    const lock = lockOf(file, descriptor);
    // Its writer may have begun a new file in between.
    if (isSameFile(statOf(file), fstatSync(descriptor))) return { descriptor, lock };
    close({ descriptor, lock });
  }
  throw new Error('its name leads to another file all the time');
}

function lockOf(file: string, descriptor: number): RecordingLock {
  try {
    if (!fstatSync(descriptor).isFile()) throw new Error('it is no regular file');
    const lock = RecordingLock.tryTake(file, descriptor);
    if (lock !== undefined) return lock;
    throw new OpenAlgoShmError(
      'ERR_FILE_BUSY',
      `${file} is being written by another recorder: end that first, or give the name of another file`,
    );
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
}

function close({ descriptor, lock }: Opened): void {
  closeSync(descriptor);
  lock.release();
}

/** To append to a table or to a compressed file would spoil it, and the recording too. */
function checkBeginning(descriptor: number): void {
  const beginning = Buffer.alloc(MAGIC.length);
  const bytes = readSync(descriptor, beginning, 0, beginning.length, 0);
  if (isContinuable(beginning.subarray(0, bytes))) return;
  throw new Error('it is there, and is no recording that could be continued; give the name of another file');
}
