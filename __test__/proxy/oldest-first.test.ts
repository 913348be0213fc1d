import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { OldestFirst } from '../../src/proxy/oldest-first.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

function heapUsed(): number {
  collectGarbage();
  return process.memoryUsage().heapUsed;
}

test('the oldest member comes first, however members came and went', () => {
  const members = new OldestFirst<number>();
  expect(members.takeOldest()).toBeUndefined();
  for (let member = 0; member < 5; member++) members.add(member);
  members.add(0);
  members.delete(1);
  expect([members.size, members.takeOldest(), members.takeOldest()]).toEqual([4, 2, 3]);
  members.add(3);
  expect([members.takeOldest(), members.takeOldest(), members.takeOldest()]).toEqual([4, 0, 3]);
  expect(members.takeOldest()).toBeUndefined();
  members.add(7);
  members.clear();
  members.add(8);
  expect([members.takeOldest(), members.takeOldest()]).toEqual([8, undefined]);
});

test('members that come and go leave nothing behind in memory', () => {
  const members = new OldestFirst<number>();
  const before = heapUsed();
  for (let change = 0; change < 1_000_000; change++) members.add(change % 10);
  expect(heapUsed() - before).toBeLessThan(4 * 2 ** 20);
  expect([members.size, members.takeOldest()]).toEqual([10, 0]);
});
