import { expect, test } from 'vitest';
import { type Refusal, type VerdictListener, Verdicts } from '../../src/proxy/verdicts.ts';

const success = (symbol: string, depth?: number) => ({
  exchange: 'NSE',
  symbol,
  mode: 3 as const,
  status: 'success' as const,
  ...(depth !== undefined && { depth }),
});
const error = (symbol: string) => ({
  exchange: 'NSE',
  symbol,
  mode: 3 as const,
  status: 'error' as const,
  message: 'no',
});

function verdicts(most?: number, areAllTelling = () => true): { verdicts: Verdicts; heard: string[] } {
  const heard: string[] = [];
  const listener: VerdictListener = {
    accepted: ({ symbol }) => heard.push(`+${symbol}`),
    refused: (refusals: readonly Refusal[]) => heard.push(refusals.map(({ symbol }) => `-${symbol}`).join()),
    undecided: ({ symbol }) => heard.push(`?${symbol}`),
    silenced: () => heard.push('silence'),
  };
  return { verdicts: new Verdicts(listener, areAllTelling, most), heard };
}

const known = (of: Verdicts, symbol: string) => of.known({ exchange: 'NSE', symbol }, 3);

test('the deepest book of several feeds counts', () => {
  const { verdicts: of } = verdicts();
  of.take(1, [success('TCS', 5)]);
  of.take(2, [success('TCS', 20)]);
  expect(known(of, 'TCS')?.depth).toBe(20);
  of.forget(2);
  expect(known(of, 'TCS')?.depth).toBe(5);
});

test('only so many results are remembered: the oldest go first', () => {
  const { verdicts: of } = verdicts(3);
  of.take(
    1,
    ['A', 'B', 'C', 'D'].map((symbol) => success(symbol)),
  );
  expect(['A', 'B', 'C', 'D'].map((symbol) => known(of, symbol) !== undefined)).toEqual([false, true, true, true]);
  // What is told again is new.
  of.take(1, [success('B'), success('E')]);
  expect(['B', 'C', 'D', 'E'].map((symbol) => known(of, symbol) !== undefined)).toEqual([true, false, true, true]);
  // A refusal that another feed may still take counts too.
  of.take(
    2,
    ['X', 'Y', 'Z'].map((symbol) => error(symbol)),
  );
  expect(of.size).toBe(3);
});

test('a success behind an error in the same message holds', () => {
  const { verdicts: of, heard } = verdicts();
  of.take(1, [error('A'), error('B'), success('A')]);
  expect(heard).toEqual(['+A', '-B']);
  expect(of.size).toBe(1);
});

test('a feed that was never heard of can be forgotten', () => {
  const { verdicts: of, heard } = verdicts();
  of.forget(7);
  expect(heard).toEqual([]);
  of.expect(7);
  of.forget(7);
  expect(heard).toEqual(['silence']);
});

test('nothing is refused while a feed publishes that tells no results: it may bring it', () => {
  let areAllTelling = false;
  const { verdicts: of, heard } = verdicts(undefined, () => areAllTelling);
  of.expect(0);
  of.expect(1);
  of.take(0, [error('A')]);
  expect(heard).toEqual([]);
  of.take(1, [error('A'), success('B')]);
  of.forget(1);
  expect(heard).toEqual(['?A', '+B']);
  areAllTelling = true;
  of.take(0, [error('A')]);
  expect(heard).toEqual(['?A', '+B', '-A']);
});
