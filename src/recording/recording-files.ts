import { closeSync, createReadStream, createWriteStream, existsSync, fdatasyncSync, openSync } from 'node:fs';
import { readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';

const COMPRESSED = '.gz';
const UNFINISHED = '.gz.partial';

/** The name that a recording takes when another begins in its place: `day.ticks` becomes `day.20261123T034500Z.ticks`. */
export function rotatedName(file: string, at: Date): string {
  const extension = extname(file);
  const stem = file.slice(0, file.length - extension.length);
  const time = at.toISOString().replaceAll(/[-:]|\.\d+/g, '');
  for (let copy = 0; ; copy++) {
    const name = `${stem}.${time}${copy === 0 ? '' : `-${copy}`}${extension}`;
    if (!existsSync(name) && !existsSync(name + COMPRESSED)) return name;
  }
}

/** Recordings that were rotated away from `file` and not compressed: a recorder ended before it could. */
export async function uncompressedRotations(file: string): Promise<string[]> {
  const extension = extname(file);
  const stem = `${basename(file, extension)}.`;
  const isRotation = (name: string): boolean =>
    name.startsWith(stem) &&
    name.endsWith(extension) &&
    /^\d{8}T\d{6}Z(-\d+)?$/.test(name.slice(stem.length, name.length - extension.length));
  return (await readdir(dirname(file))).filter(isRotation).map((name) => join(dirname(file), name));
}

/** Puts a compressed file in the place of a file. At no moment is there neither. */
export async function compressFile(file: string): Promise<void> {
  const unfinished = file + UNFINISHED;
  try {
    // As the recording itself, it is for its owner alone.
    await pipeline(createReadStream(file), createGzip(), createWriteStream(unfinished, { mode: 0o600 }));
    synchronise(unfinished);
    await rename(unfinished, file + COMPRESSED);
  } catch (error) {
    await rm(unfinished, { force: true });
    throw error;
  }
  await rm(file);
}

function synchronise(file: string): void {
  const descriptor = openSync(file, 'r+');
  try {
    fdatasyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
