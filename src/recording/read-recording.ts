import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { OpenAlgoShmError } from '../errors.ts';
import { BlockStream } from './block-stream.ts';
import { CompressedStream } from './compressed-stream.ts';
import { emptyContents, type RecordingContents } from './contents.ts';
import { MAGIC } from './format.ts';
import { MEMBER_SHAPE } from './member.ts';
import type { RecordedTick } from './recorded-tick.ts';
import { COMPRESSED } from './recording-files.ts';

export { emptyContents, type RecordingContents } from './contents.ts';

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
  const [block, member] = [start.indexOf(MAGIC), start.indexOf(MEMBER_SHAPE.magic)];
  if (member >= 0 && (block < 0 || member < block)) return 'gzip';
  const isCutMagic = start.length > 0 && MAGIC.subarray(0, start.length).equals(start);
  return isCutMagic || block >= 0 ? 'blocks' : 'other';
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
  // Where the beginning is damaged as far as it is looked at, the name has to say it.
  const isCompressed = kind === 'gzip' || (kind === 'other' && file.endsWith(COMPRESSED));
  const stream = isCompressed ? new CompressedStream(contents) : new BlockStream(contents);
  for await (const chunk of chunksOf(file, contents)) {
    for await (const { ticks } of stream.push(chunk)) yield ticks;
  }
  for await (const { ticks } of stream.end()) yield ticks;
  if (contents.blocks > 0) return;
  const what =
    contents.bytesRead === 0 ? 'is empty: nothing was recorded' : 'is no recording, or nothing in it is readable';
  throw new OpenAlgoShmError('ERR_FILE', `${file} ${what}`);
}

async function* chunksOf(file: string, contents: RecordingContents): AsyncGenerator<Buffer> {
  const chunks = createReadStream(file, { highWaterMark: CHUNK });
  try {
    for await (const chunk of chunks as AsyncIterable<Buffer>) {
      contents.bytesRead += chunk.length;
      yield chunk;
    }
  } catch (error) {
    throw unreadable(file, error);
  }
}

function unreadable(file: string, error: unknown): OpenAlgoShmError {
  const reason = error instanceof Error ? error.message : String(error);
  return new OpenAlgoShmError('ERR_FILE', `${file} cannot be read: ${reason}`, { cause: error });
}
