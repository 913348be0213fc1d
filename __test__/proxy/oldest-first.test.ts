import { expect, test } from 'vitest';
import { OldestFirst } from '../../src/proxy/oldest-first.ts';

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
