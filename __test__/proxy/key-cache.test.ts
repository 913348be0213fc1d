import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, expect, test } from 'vitest';
import { KeyCache } from '../../src/proxy/key-cache.ts';

let cache: KeyCache;
afterEach(() => cache.close());

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

const MEGABYTE = 2 ** 20;

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
  for (let number = 0; number < 100; number++) await cache.verify(`${number}${'k'.repeat(MEGABYTE)}`);
  expect(heapUsed() - before).toBeLessThan(20 * MEGABYTE);
  await cache.verify(`0${'k'.repeat(MEGABYTE)}`);
  expect(asked).toBe(100);
});
