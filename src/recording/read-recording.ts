import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { pipeline, type Readable } from 'node:stream';
import { constants, createGunzip } from 'node:zlib';
import { OpenAlgoShmError } from '../errors.ts';
import { readBlock } from './block-reader.ts';
import { BLOCK, MAGIC } from './format.ts';
import type { RecordedTick } from './recorded-tick.ts';

/** What was found in a recording so far. */
export interface RecordingContents {
  blocks: number;
  ticks: number;
  /** Messages that the recorder itself had lost, because the ring was overwritten before it read them. */
  lost: number;
  /** Places where something else than a sound block stands. */
  damages: number;
  /** Bytes that were passed over for it, and those of a last block that is not complete. */
  damagedBytes: number;
  /** Bytes of the file that were read. */
  bytesRead: number;
}

const CHUNK = 1 << 18;
const GZIP_MAGIC = Buffer.of(0x1f, 0x8b);

/** How far the first sound block of a recording is looked for: further than any block that a recorder writes. */
const FIRST_LOOK = 1 << 20;

/**
 * What a file is, by its beginning: `blocks` for a recording, even one that was damaged or cut there, `gzip` for one
 * that may be compressed, `other` for anything else.
 *
 * @throws OpenAlgoShmError `ERR_FILE` where it cannot be read
 */
export async function recordingKind(file: string): Promise<'blocks' | 'gzip' | 'other'> {
  const start = await startOf(file);
  if (start.subarray(0, GZIP_MAGIC.length).equals(GZIP_MAGIC)) return 'gzip';
  const isCutMagic = start.length > 0 && MAGIC.subarray(0, start.length).equals(start);
  return isCutMagic || start.includes(MAGIC) ? 'blocks' : 'other';
}

async function startOf(file: string): Promise<Buffer> {
  const start = Buffer.alloc(FIRST_LOOK);
  try {
    const handle = await open(file, 'r');
    const { bytesRead } = await handle.read(start, 0, start.length, 0).finally(() => handle.close());
    return start.subarray(0, bytesRead);
  } catch (error) {
    throw unreadable(file, error);
  }
}

/**
 * Reads a recording, compressed or not, block by block, in the order in which it was written. Damage is passed over
 * and counted; nothing that was written whole is lost for it.
 *
 * @param contents - counts what is found while it is read
 * @throws OpenAlgoShmError `ERR_FILE` where the file cannot be read or holds no block at all
 */
export async function* readRecording(
  file: string,
  contents: RecordingContents = emptyContents(),
): AsyncGenerator<RecordedTick[]> {
  const kind = await recordingKind(file);
  let rest: Buffer = Buffer.alloc(0);
  let isDamaged = false;
  const passOver = (bytes: number): void => {
    if (!isDamaged) contents.damages++;
    isDamaged = true;
    contents.damagedBytes += bytes;
    rest = rest.subarray(bytes);
  };
  for await (const chunk of chunksOf(file, kind === 'gzip', contents, () => passOver(0))) {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    yield* soundBlocks(false);
  }
  yield* soundBlocks(true);
  if (contents.blocks === 0) {
    throw new OpenAlgoShmError('ERR_FILE', `${file} is no recording, or nothing in it is readable`);
  }

  function* soundBlocks(isEnd: boolean): Generator<RecordedTick[]> {
    while (rest.length >= (isEnd ? 1 : BLOCK.payload)) {
      const found = readBlock(rest);
      if (found.kind === 'incomplete' && !isEnd) return;
      if (found.kind !== 'block') {
        passOver(nextMagic(rest));
        continue;
      }
      isDamaged = false;
      rest = rest.subarray(found.bytes);
      contents.blocks++;
      contents.ticks += found.block.ticks.length;
      contents.lost += found.block.lost;
      yield found.block.ticks;
    }
  }
}

/** Contents of nothing. */
export function emptyContents(): RecordingContents {
  return { blocks: 0, ticks: 0, lost: 0, damages: 0, damagedBytes: 0, bytesRead: 0 };
}

/** Offset of the next place, after the first byte, where a block may begin; the length if there is none. */
function nextMagic(bytes: Buffer): number {
  const whole = bytes.indexOf(MAGIC, 1);
  if (whole >= 0) return whole;
  for (let at = Math.max(1, bytes.length - MAGIC.length + 1); at < bytes.length; at++) {
    if (bytes.subarray(at).equals(MAGIC.subarray(0, bytes.length - at))) return at;
  }
  return bytes.length;
}

async function* chunksOf(
  file: string,
  isCompressed: boolean,
  contents: RecordingContents,
  onDamage: () => void,
): AsyncGenerator<Buffer> {
  const raw = createReadStream(file, { highWaterMark: CHUNK });
  // Without Z_SYNC_FLUSH a compressed file that was cut would give an error in place of its end.
  const unzip = createGunzip({ finishFlush: constants.Z_SYNC_FLUSH, chunkSize: CHUNK });
  const chunks: Readable = isCompressed ? pipeline(raw, unzip, () => {}) : raw;
  try {
    for await (const chunk of chunks as AsyncIterable<Buffer>) {
      contents.bytesRead = raw.bytesRead;
      yield chunk;
    }
  } catch (error) {
    if (!isZlibError(error)) throw unreadable(file, error);
    onDamage();
  }
}

function isZlibError(error: unknown): boolean {
  return error instanceof Error && String((error as { code?: unknown }).code).startsWith('Z_');
}

function unreadable(file: string, error: unknown): OpenAlgoShmError {
  const reason = error instanceof Error ? error.message : String(error);
  return new OpenAlgoShmError('ERR_FILE', `${file} cannot be read: ${reason}`, { cause: error });
}
