import { expect, test } from 'vitest';
import { UnfinishedMessage, UnfinishedMessages } from '../../src/proxy/unfinished.ts';

const MB = 1024 * 1024;

function setUp() {
  const all = new UnfinishedMessages<string>();
  const message = () => new UnfinishedMessage<string>(all, MB);
  const judge = (of: UnfinishedMessage<string>, name: string, bytes: number, now = 0, isCompressed = false) =>
    of.judge(name, bytes, isCompressed, true, now);
  return { all, message, judge };
}

test('a message counts until it is served, whatever comes behind it', () => {
  const { all, message, judge } = setUp();
  const clients = Array.from({ length: 17 }, message);
  const served = clients.map((client, number) => {
    judge(client, `client ${number}`, MB);
    return client.complete(MB);
  });
  const late = message();
  judge(late, 'late', MB);
  const isFull = (): boolean => all.oneOfTooMany('late', 0) === 'late';
  expect(isFull()).toBe(true);
  // Another one of the same client is served at once.
  clients[0]!.complete(10)();
  expect(isFull()).toBe(true);
  served[0]!();
  served[0]!();
  expect(isFull()).toBe(true);
  served[1]!();
  expect(isFull()).toBe(false);
});

test('of too many the newcomer goes, or the oldest once it has had a second; who is gone counts no more', () => {
  const { all, message, judge } = setUp();
  const clients = Array.from({ length: 17 }, message);
  clients.forEach((client, number) => judge(client, `client ${number}`, MB, number));
  expect(all.oneOfTooMany('client 16', 1_000)).toBe('client 16');
  expect(all.oneOfTooMany('client 16', 1_001)).toBe('client 0');
  clients[0]!.release();
  expect(all.oneOfTooMany('client 16', 1_001)).toBeUndefined();
  expect(all.isEmpty).toBe(false);
  expect(all.tooSlow(10_004)).toEqual(['client 1', 'client 2', 'client 3']);
  clients.forEach((client) => client.release());
  expect(all.isEmpty).toBe(true);
});

test('a compressed one counts as what it may become, and has its time from the first byte on', () => {
  const { all, message, judge } = setUp();
  const clients = Array.from({ length: 17 }, message);
  for (const client of clients) expect(judge(client, 'client', 2_000, 0, true)).toBe('pass');
  // Many that are whole and about to be served are no attack.
  expect(all.oneOfTooMany('newcomer', 0)).toBeUndefined();
  expect(all.tooSlow(1_001)).toEqual([]);
  expect(all.oneOfTooMany('newcomer', 1_001)).toBe('client');
  expect(judge(clients[0]!, 'client', 1, 10_001, true)).toBe('too_slow');
});

test('without a key a compressed one has a second to come whole, and no more room than a plain one after that', () => {
  const { message } = setUp();
  const [whole, plain, unfinished] = [message(), message(), message()];
  const judge = (of: UnfinishedMessage<string>, bytes: number, isCompressed: boolean, now: number) =>
    of.judge('client', bytes, isCompressed, false, now);
  expect(judge(whole, 100, true, 0)).toBe('pass');
  whole.complete(2_000)();
  expect(judge(whole, 100, true, 2_000)).toBe('pass');
  expect(judge(plain, 100, false, 0)).toBe('pass');
  expect(judge(plain, 20_000, false, 0)).toBe('too_big');
  expect(judge(unfinished, 100, true, 0)).toBe('pass');
  expect(judge(unfinished, 1, true, 1_000)).toBe('too_big');
});
