import {
  existsSync,
  linkSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  closeSync,
  openSync,
  type Stats,
} from 'node:fs';
import { basename, dirname, extname, join } from 'node:path';

/** What a compressed recording has behind its name. */
export const COMPRESSED = '.gz';

/** What file systems without second names for a file say. */
const NO_LINKS = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK', 'EINVAL'];
const MOST_COPIES = 10_000;

/**
 * Names that a recording may take when another begins in its place, first choice first: `day.ticks` becomes
 * `day.20261123T034500Z.ticks`. None of them is in use.
 */
export function* rotatedNames(file: string, at: Date): Generator<string> {
  const extension = extname(file);
  const stem = file.slice(0, file.length - extension.length);
  const time = at.toISOString().replaceAll(/[-:]|\.\d+/g, '');
  for (let copy = 0; copy < MOST_COPIES; copy++) {
    const name = `${stem}.${time}${copy === 0 ? '' : `-${copy}`}${extension}`;
    if (!existsSync(name) && !existsSync(name + COMPRESSED)) yield name;
  }
  throw new Error(`${stem}.${time} is in use as a name, with all numbers up to ${MOST_COPIES}`);
}

/** Recordings that were rotated away from `file` and not compressed: a recorder ended before it could. */
export function uncompressedRotations(file: string): string[] {
  const extension = extname(file);
  const stem = `${basename(file, extension)}.`;
  const isRotation = (name: string): boolean =>
    name.startsWith(stem) &&
    name.endsWith(extension) &&
    /^\d{8}T\d{6}Z(-\d+)?$/.test(name.slice(stem.length, name.length - extension.length));
  return readdirSync(dirname(file))
    .filter(isRotation)
    .map((name) => join(dirname(file), name));
}

/** Empty files that were to take the place of `file` when their recorder was killed. */
export function unusedSuccessors(file: string): string[] {
  const stem = `${basename(file)}.`;
  return readdirSync(dirname(file))
    .filter((name) => name.startsWith(stem) && /^\d+-\d+\.new$/.test(name.slice(stem.length)))
    .map((name) => join(dirname(file), name))
    .filter((name) => statOf(name)?.size === 0);
}

/** What stands under a name; undefined if nothing does. */
export function statOf(file: string): Stats | undefined {
  return statSync(file, { throwIfNoEntry: false });
}

/** True of two looks at the same file, by whatever names. */
export function isSameFile(one: Stats | undefined, other: Stats | undefined): boolean {
  return one !== undefined && other !== undefined && one.ino === other.ino && one.dev === other.dev;
}

/** Gives a file another name that is free. Fails with `EEXIST` where it is not, and never replaces anything. */
export function moveWithoutReplacing(from: string, to: string): void {
  if (tryLink(from, to)) {
    rmSync(from);
    return;
  }
  closeSync(openSync(to, 'wx', 0o600));
  // What is replaced is the empty file that has just been made there.
  renameSync(from, to);
}

/** Gives a file a second name that is free. False where the file system has no second names. */
export function tryLink(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if (NO_LINKS.includes(String((error as NodeJS.ErrnoException).code))) return false;
    throw error;
  }
}
