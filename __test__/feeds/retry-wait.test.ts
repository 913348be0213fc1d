import { expect, test } from 'vitest';
import { RetryWait } from '../../src/feeds/retry-wait.ts';

const LONG = 3_600_000;
const never = new AbortController().signal;

test('a wait ends when its time is over', async () => {
  await new RetryWait().wait(1, never);
});

test('a wait that is hurried ends, but not before the shortest time', async () => {
  const wait = new RetryWait();
  const began = performance.now();
  const ended = wait.wait(LONG, never, 50);
  for (let times = 0; times < 10; times++) wait.hurry();
  await ended;
  expect(performance.now() - began).toBeGreaterThan(48);
});

test('a wait that is shorter than the shortest stays as it is', async () => {
  const wait = new RetryWait();
  const ended = wait.wait(1, never, LONG);
  wait.hurry();
  await ended;
});

test('hurrying counts for the wait of now, not for the next', async () => {
  const wait = new RetryWait();
  wait.hurry();
  const ending = new AbortController();
  let isOver = false;
  const ended = wait.wait(LONG, ending.signal, 0).then(() => (isOver = true));
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(isOver).toBe(false);
  ending.abort();
  await ended;
});

test('a wait ends with its signal, also with one that is over already', async () => {
  const ending = new AbortController();
  const ended = new RetryWait().wait(LONG, ending.signal);
  ending.abort();
  await ended;
  await new RetryWait().wait(LONG, ending.signal);
});
