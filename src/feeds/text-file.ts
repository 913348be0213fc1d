import { createReadStream, type ReadStream } from 'node:fs';
import { pipeline, type Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { OpenAlgoShmError } from '../errors.ts';

const GZIP_MAGIC = Buffer.of(0x1f, 0x8b);
const CHUNK = 1 << 16;

/** How a text is written in bytes. */
export type Encoding = 'utf-8' | 'utf-16le' | 'utf-16be';

/** The beginning of a file, decompressed where it is compressed. */
export interface Beginning {
  readonly bytes: Buffer;
  readonly isCompressed: boolean;
}

/**
 * The first bytes of a file, those inside where it is compressed with gzip.
 *
 * @param most about how many
 * @throws OpenAlgoShmError `ERR_FILE` where it cannot be read
 */
export async function beginningOf(path: string, most: number): Promise<Beginning> {
  const start = await firstBytes(path, createReadStream(path, { end: GZIP_MAGIC.length - 1 }), GZIP_MAGIC.length);
  const isCompressed = start.equals(GZIP_MAGIC);
  const bytes = await firstBytes(path, contentOf(createReadStream(path), isCompressed), most);
  return { bytes, isCompressed };
}

async function firstBytes(path: string, stream: Readable, most: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      length += chunk.length;
      if (length >= most) break;
    }
  } catch (error) {
    // What comes before the damage still tells what the file is.
    if (!isZlibError(error)) throw unreadable(path, error);
  }
  return Buffer.concat(chunks);
}

/** The encoding of a text by its first bytes: its byte order mark, or the zeros that UTF-16 has in every plain letter. */
export function encodingOf(bytes: Buffer): Encoding {
  const [first, second, third, fourth] = bytes;
  if (first === 0xff && second === 0xfe) return 'utf-16le';
  if (first === 0xfe && second === 0xff) return 'utf-16be';
  if (first !== 0 && second === 0 && third !== 0 && fourth === 0) return 'utf-16le';
  if (first === 0 && second !== 0 && third === 0 && fourth !== 0) return 'utf-16be';
  return 'utf-8';
}

/** Text of some bytes from the beginning of a file, without its byte order mark. */
export function decoded(bytes: Buffer, encoding: Encoding): string {
  return new TextDecoder(encoding).decode(bytes, { stream: true });
}

/**
 * Streams a file as text, decompressed, without its byte order mark.
 *
 * @param onRead is told how many bytes of the file have been read
 * @throws OpenAlgoShmError `ERR_FILE` where it cannot be read, or where it is compressed and damaged or cut
 */
export async function* readText(
  path: string,
  isCompressed: boolean,
  encoding: Encoding,
  onRead: (bytes: number) => void,
): AsyncGenerator<string> {
  const decoder = new TextDecoder(encoding);
  const file = createReadStream(path, { highWaterMark: CHUNK });
  try {
    for await (const chunk of contentOf(file, isCompressed) as AsyncIterable<Buffer>) {
      onRead(file.bytesRead);
      yield decoder.decode(chunk, { stream: true });
    }
  } catch (error) {
    throw isZlibError(error) ? damaged(path, error) : unreadable(path, error);
  }
  onRead(file.bytesRead);
  const rest = decoder.decode();
  if (rest !== '') yield rest;
}

function contentOf(file: ReadStream, isCompressed: boolean): Readable {
  // The errors of both come out of the last stream.
  return isCompressed ? pipeline(file, createGunzip({ chunkSize: CHUNK }), () => {}) : file;
}

function isZlibError(error: unknown): boolean {
  return error instanceof Error && String((error as { code?: unknown }).code).startsWith('Z_');
}

function damaged(path: string, cause: unknown): OpenAlgoShmError {
  return new OpenAlgoShmError(
    'ERR_FILE',
    `${path} is compressed, and damaged or cut off here: what came before is read. Fetch or compress it anew`,
    { cause },
  );
}

function unreadable(path: string, cause: unknown): OpenAlgoShmError {
  if (cause instanceof OpenAlgoShmError) return cause;
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new OpenAlgoShmError('ERR_FILE', `${path} cannot be read: ${reason}`, { cause });
}
