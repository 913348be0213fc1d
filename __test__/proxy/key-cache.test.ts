import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, expect, test } from 'vitest';
import { KeyCache } from '../../src/proxy/key-cache.ts';
import { KeyCheckLimits, TooManyKeyChecks } from '../../src/proxy/key-check-limits.ts';

let cache: KeyCache;
afterEach(() => cache.close());

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

const MEGABYTE = 2 ** 20;
const SOMEBODY = { address: '10.0.0.1', isGone: false };

function heapUsed(): number {
  collectGarbage();
  return process.memoryUsage().heapUsed;
}

test('keys that were refused are remembered, but take no memory, however long they are', async () => {
  let asked = 0;
  cache = new KeyCache(
    async () => {
      asked += 1;
      return undefined;
    },
    60_000,
    () => undefined,
  );
  const before = heapUsed();
  for (let number = 0; number < 100; number++) await cache.verify(`${number}${'k'.repeat(MEGABYTE)}`, SOMEBODY);
  expect(heapUsed() - before).toBeLessThan(20 * MEGABYTE);
  await cache.verify(`0${'k'.repeat(MEGABYTE)}`, SOMEBODY);
  expect(asked).toBe(100);
});

test('a key that is refused between its acceptance and its watch ends the session', async () => {
  let isValid = true;
  cache = new KeyCache(
    async () => (isValid ? { userId: 'alice' } : undefined),
    3_600_000,
    () => undefined,
  );
  await cache.verify('k', SOMEBODY);
  isValid = false;
  cache.recheck();
  expect(await cache.verify('k', SOMEBODY)).toBeUndefined();
  expect(await new Promise((resolve) => void cache.watch('k', resolve))).toBeUndefined();
});

test('guesses beyond the limit put nothing away that is known', async () => {
  const asked: string[] = [];
  cache = new KeyCache(
    (key) => {
      asked.push(key);
      return key === 'good' ? Promise.resolve({ userId: 'alice' }) : new Promise(() => undefined);
    },
    60_000,
    () => undefined,
    { limits: new KeyCheckLimits() },
  );
  await cache.verify('good', SOMEBODY);
  const guesses = Array.from({ length: 11_000 }, (_, number) => cache.verify(`guess${number}`, SOMEBODY));
  // Two are being checked, and sixteen wait.
  for (const guess of guesses.slice(18)) await expect(guess).rejects.toBeInstanceOf(TooManyKeyChecks);
  for (const guess of guesses.slice(0, 18)) guess.catch(() => undefined);
  expect(await cache.verify('good', SOMEBODY)).toEqual({ userId: 'alice' });
  expect(asked).toHaveLength(3);
});

test('refused keys, however many, put no accepted one away', async () => {
  const asked: string[] = [];
  cache = new KeyCache(
    async (key) => {
      asked.push(key);
      return key === 'good' ? { userId: 'alice' } : undefined;
    },
    60_000,
    () => undefined,
  );
  await cache.verify('good', SOMEBODY);
  for (let number = 0; number < 11_000; number++) await cache.verify(`guess${number}`, SOMEBODY);
  await cache.verify('good', SOMEBODY);
  // The newest ones are known, the oldest are not.
  await cache.verify('guess10999', SOMEBODY);
  expect(asked).toHaveLength(11_001);
  await cache.verify('guess0', SOMEBODY);
  expect(asked).toHaveLength(11_002);
});

test('a key that could not be checked leaves nothing behind, and one of a session is never put away', async () => {
  let isThere = true;
  cache = new KeyCache(
    async (key) => {
      if (!isThere) throw new Error('away');
      return { userId: key };
    },
    60_000,
    () => undefined,
  );
  await cache.verify('held', SOMEBODY);
  const revocations: string[] = [];
  const unwatch = cache.watch('held', (owner) => owner ?? revocations.push('held'));
  for (let number = 0; number < 10_100; number++) await cache.verify(`key${number}`, SOMEBODY);
  isThere = false;
  expect(await cache.verify('held', SOMEBODY)).toEqual({ userId: 'held' });
  await expect(cache.verify('never', SOMEBODY)).rejects.toThrow('away');
  isThere = true;
  expect(await cache.verify('never', SOMEBODY)).toEqual({ userId: 'never' });
  unwatch();
  expect(revocations).toEqual([]);
});

test('a key that was accepted before is checked again, whoever guesses from the same address', async () => {
  cache = new KeyCache(
    async (key) => (key === 'good' ? { userId: 'alice' } : undefined),
    60_000,
    () => undefined,
    { limits: new KeyCheckLimits() },
  );
  await cache.verify('good', SOMEBODY);
  for (let number = 0; number < 10; number++) await cache.verify(`guess${number}`, SOMEBODY);
  await expect(cache.verify('guess', SOMEBODY)).rejects.toBeInstanceOf(TooManyKeyChecks);
  // What is known of it is too old now.
  cache.recheck();
  expect(await cache.verify('good', SOMEBODY)).toEqual({ userId: 'alice' });
});

test('wrong keys that come again and again are no more guesses, and keep no other key of their address out', async () => {
  cache = new KeyCache(
    async (key) => (key === 'good' ? { userId: 'alice' } : undefined),
    // Nothing is remembered for long enough to be used again.
    0,
    () => undefined,
    { limits: new KeyCheckLimits() },
  );
  for (let round = 0; round < 10; round++) {
    for (const key of ['old', 'older', 'oldest']) expect(await cache.verify(key, SOMEBODY)).toBeUndefined();
  }
  expect(await cache.verify('good', SOMEBODY)).toEqual({ userId: 'alice' });
});
