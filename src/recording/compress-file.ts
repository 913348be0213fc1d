import { closeSync, createReadStream, fstatSync, openSync, rmSync } from 'node:fs';
import { open, rm, type FileHandle } from 'node:fs/promises';
import { BLOCK_SHAPE } from './format.ts';
import { FrameScanner, type Part } from './frame-scanner.ts';
import { memberOf } from './member.ts';
import { COMPRESSED, isSameFile, moveWithoutReplacing, statOf } from './recording-files.ts';
import { RecordingLock } from './recording-lock.ts';

const UNFINISHED = `${COMPRESSED}.partial`;

/**
 * Puts a compressed file in the place of a finished recording: a member for each block, and for what is no block.
 * At no moment is there neither, and nothing that has the new name is replaced. False where somebody else has the
 * recording locked, because it is written or compressed by another process, or has just been.
 */
export async function compressFile(file: string): Promise<boolean> {
  const descriptor = openSync(file, 'r+');
  const lock = RecordingLock.tryTake(file, descriptor);
  try {
    if (lock === undefined || !isSameFile(fstatSync(descriptor), statOf(file))) return false;
    await compressTo(file + UNFINISHED, descriptor);
    moveWithoutReplacing(file + UNFINISHED, file + COMPRESSED);
    if (isSameFile(fstatSync(descriptor), statOf(file))) rmSync(file);
    return true;
  } catch (error) {
    await rm(file + UNFINISHED, { force: true });
    throw error;
  } finally {
    closeSync(descriptor);
    lock?.release();
  }
}

async function compressTo(unfinished: string, descriptor: number): Promise<void> {
  // Left by a process that was killed: nobody else is at it, for the recording is locked.
  await rm(unfinished, { force: true });
  // As the recording itself, it is for its owner alone.
  const to = await open(unfinished, 'wx', 0o600);
  try {
    const scanner = new FrameScanner(BLOCK_SHAPE);
    for await (const chunk of createReadStream('', { fd: descriptor, start: 0, autoClose: false })) {
      for (const part of scanner.push(chunk as Buffer)) await writeMember(to, part);
    }
    for (const part of scanner.end()) await writeMember(to, part);
    await to.datasync();
  } finally {
    await to.close();
  }
}

async function writeMember(to: FileHandle, { kind, bytes }: Part): Promise<void> {
  const ticks = kind === 'frame' ? bytes.readUInt32LE(BLOCK_SHAPE.ticksAt) : 0;
  await to.appendFile(await memberOf(bytes, ticks));
}
