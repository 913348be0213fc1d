import { createHash, timingSafeEqual } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { OpenAlgoShmError } from '../errors.ts';
import { userOfKey } from '../user-of-key.ts';
import type { Identity, KeyCheck } from './auth.ts';

/** How long a file that is being written may be empty, ms. */
const WRITTEN_MS = 250;

/** A key, alone or with the name of its user. */
export type KeyEntry = string | { key: string; userId: string };

interface KnownKey {
  digest: Buffer;
  identity: Identity;
}

/** Checks keys against a list. */
export function staticKeys(entries: readonly KeyEntry[]): KeyCheck {
  const known = entries.map(knownKey);
  return (key) => Promise.resolve(find(known, key));
}

/**
 * Checks keys against a file and a list. The file has one key a line, then perhaps the name of its user;
 * empty lines and lines that begin with `#` do not count. It is read again when it has changed. While it cannot be read, or
 * is gone, the keys that it had last stay in force; an empty file takes all keys back.
 *
 * @param onTrouble hears once that the file cannot be read any more.
 * @throws {OpenAlgoShmError} `ERR_FILE` when it cannot be read at the start or holds no key.
 */
export function fileKeys(path: string, others: readonly KeyEntry[], onTrouble: (error: unknown) => void): KeyCheck {
  const fixed = others.map(knownKey);
  let version = versionOf(path);
  let known = [...fixed, ...readKeys(path)];
  if (known.length === 0) throw new OpenAlgoShmError('ERR_FILE', `auth: ${path} holds no key; write one on a line`);
  let isReadable = true;
  const read = async (): Promise<void> => {
    try {
      let current = versionOf(path);
      if (current === version) return void (isReadable = true);
      let keys = readKeys(path);
      if (keys.length === 0) {
        // Perhaps it is being written, and has been emptied for that.
        await setTimeout(WRITTEN_MS);
        current = versionOf(path);
        keys = readKeys(path);
      }
      known = [...fixed, ...keys];
      version = current;
      isReadable = true;
    } catch (error) {
      if (isReadable) onTrouble(error);
      isReadable = false;
    }
  };
  let underWay: Promise<void> | undefined;
  return async (key) => {
    underWay ??= read().finally(() => (underWay = undefined));
    await underWay;
    return find(known, key);
  };
}

/** The digest by which a key is compared and remembered. */
export function digestOf(key: string): Buffer {
  return createHash('sha256').update(key).digest();
}

// Every known key is compared, each in constant time, so that the time taken says nothing about any of them.
function find(known: readonly KnownKey[], key: string): Identity | undefined {
  const digest = digestOf(key);
  let found: Identity | undefined;
  for (const candidate of known) {
    if (timingSafeEqual(candidate.digest, digest)) found = candidate.identity;
  }
  return found;
}

function knownKey(entry: KeyEntry): KnownKey {
  const { key, userId } = typeof entry === 'string' ? { key: entry, userId: undefined } : entry;
  if (typeof key !== 'string' || key === '') {
    throw new OpenAlgoShmError('ERR_INVALID_OPTION', 'auth: a key must be a string that is not empty');
  }
  return { digest: digestOf(key), identity: { userId: userId ?? userOfKey(key) } };
}

function readKeys(path: string): KnownKey[] {
  const lines = reading(path, () => readFileSync(path, 'utf8')).split('\n');
  return lines
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const [key = '', userId] = line.split(/\s+/, 2);
      return knownKey(userId === undefined ? key : { key, userId });
    });
}

// A file that replaces it may have the length and the time of the one before; the time of its change cannot be set.
function versionOf(path: string): string {
  const { mtimeNs, ctimeNs, size, ino, dev } = reading(path, () => statSync(path, { bigint: true }));
  return [mtimeNs, ctimeNs, size, ino, dev].join(':');
}

function reading<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    const message =
      `auth: the key file ${path} cannot be read: ${(cause as Error).message}; ` +
      'keys that were read before stay in force. Restore it; an empty file takes all keys back';
    throw new OpenAlgoShmError('ERR_FILE', message, { cause });
  }
}
