import { closeSync, openSync, writeSync } from 'node:fs';
import { LockFreeRingBuffer } from '../../src/shm/ring-buffer.ts';

/** Where the format version lies in a segment, in bytes. */
const VERSION_OFFSET = 8;

/** Turns a ring into one of another format version. */
export function setFormatVersion(name: string, version: number): void {
  const word = Buffer.alloc(8);
  word.writeBigUInt64LE(BigInt(version));
  const file = openSync(`/dev/shm/${name}`, 'r+');
  writeSync(file, word, 0, word.length, VERSION_OFFSET);
  closeSync(file);
}

/** A segment that a program with another format version left behind. */
export function leaveOlderSegment(name: string, version = 1): void {
  new LockFreeRingBuffer({ name }).close();
  setFormatVersion(name, version);
}
