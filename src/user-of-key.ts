import { createHash } from 'node:crypto';

/** A user's name made of a key that comes without one; nobody can get back to the key from it. */
export function userOfKey(key: string): string {
  return `key-${createHash('sha256').update(key).digest('hex').slice(0, 12)}`;
}

/** Whether a user's name was made of a key. */
export function isNameOfKey(name: string): boolean {
  return /^key-[0-9a-f]{12}$/.test(name);
}
