import { afterEach, expect, test } from 'vitest';
import { KeyCheckLimits, TooManyKeyChecks } from '../../src/proxy/key-check-limits.ts';

let limits: KeyCheckLimits;
afterEach(() => limits.close());

/** Checks as many keys of an address as come at once. @returns how many were checked and how many refused */
async function crowd(address: string, keys: number, isWrong: boolean): Promise<{ checked: number; refused: number }> {
  const counts = { checked: 0, refused: 0 };
  const check = async (): Promise<void> => {
    try {
      const end = await limits.begin({ address, isWanted: () => true });
      counts.checked += 1;
      await new Promise(setImmediate);
      end(isWrong);
    } catch (error) {
      expect(error).toBeInstanceOf(TooManyKeyChecks);
      counts.refused += 1;
    }
  };
  await Promise.all(Array.from({ length: keys }, check));
  return counts;
}

test.each([
  ['10.0.0.1', 18, 10],
  ['127.0.0.1', 200, 100],
])('wrong keys of %s that come at once are no more than those that come one by one', async (address, keys, most) => {
  limits = new KeyCheckLimits();
  const { checked, refused } = await crowd(address, keys, true);
  expect(checked + refused).toBe(keys);
  // The time that they take may allow a few more.
  expect(checked).toBeGreaterThanOrEqual(most);
  expect(refused).toBeGreaterThan(0);
});

test('right keys of one address that come at once are all checked', async () => {
  limits = new KeyCheckLimits();
  expect(await crowd('10.0.0.1', 18, false)).toEqual({ checked: 18, refused: 0 });
});

test('an address whose guesses are used up is refused, and others do not notice', async () => {
  limits = new KeyCheckLimits();
  await crowd('10.0.0.1', 18, true);
  expect(await crowd('10.0.0.1', 1, false)).toEqual({ checked: 0, refused: 1 });
  expect(await crowd('10.0.0.2', 1, false)).toEqual({ checked: 1, refused: 0 });
});
