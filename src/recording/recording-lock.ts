import { closeSync, constants, openSync } from 'node:fs';
import { OpenAlgoShmError } from '../errors.ts';
import { tryLockDescriptor } from '../shm/file-lock.ts';

/** What libuv opens a file with on Windows so that nobody else can, and so that it is gone when it is closed. */
const EXCLUSIVE = 0x1000_0000;
const TEMPORARY = 0x40;

/**
 * The lock of the one process that writes a recording. On Unix the recording itself is locked, by whatever name it was
 * opened, and readers are not concerned. On Windows a locked file cannot be read, so it is a file beside it, `NAME.recorder-lock`.
 */
export class RecordingLock {
  /** False where the file system has no locks: nobody is kept from writing the same file. */
  readonly isHeld: boolean;
  readonly #beside: number | undefined;

  private constructor(isHeld: boolean, beside?: number) {
    this.isHeld = isHeld;
    this.#beside = beside;
  }

  /** Undefined where another has it. */
  static tryTake(file: string, descriptor: number): RecordingLock | undefined {
    try {
      if (process.platform === 'win32') return new RecordingLock(true, openBeside(file));
      return tryLockDescriptor(descriptor) ? new RecordingLock(true) : undefined;
    } catch (error) {
      if (error instanceof OpenAlgoShmError) return new RecordingLock(false);
      if ((error as NodeJS.ErrnoException).code === 'EBUSY') return undefined;
      throw error;
    }
  }

  /** Lets go of it, once the recording is closed. */
  release(): void {
    if (this.#beside !== undefined) closeSync(this.#beside);
  }
}

function openBeside(file: string): number {
  return openSync(`${file}.recorder-lock`, constants.O_RDWR | constants.O_CREAT | EXCLUSIVE | TEMPORARY, 0o600);
}
