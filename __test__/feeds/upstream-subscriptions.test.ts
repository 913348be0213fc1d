import { afterEach, expect, test } from 'vitest';
import type { Mode } from '../../src/message.ts';
import {
  UpstreamSubscriptions,
  type Instrument,
  type Upstream,
  type UpstreamSubscriptionsOptions,
} from '../../src/feeds/upstream-subscriptions.ts';
import { until } from '../shm/living.ts';

interface Asked {
  what: string;
  answer: (failed?: Map<Instrument, string>) => void;
  fail: (reason: Error) => void;
  instruments: readonly Instrument[];
}

/** An upstream that answers when the test says so. */
class Patient implements Upstream {
  readonly asked: Asked[] = [];

  subscribe(mode: Mode, depth: number, instruments: readonly Instrument[]): Promise<Map<Instrument, string>> {
    return this.#ask(`subscribe ${mode} ${depth}`, instruments);
  }

  unsubscribe(mode: Mode, instruments: readonly Instrument[]): Promise<Map<Instrument, string>> {
    return this.#ask(`unsubscribe ${mode}`, instruments);
  }

  /** The next request once it has come. */
  async next(): Promise<Asked> {
    await until('something is asked', () => this.asked.length > 0);
    return this.asked.shift() as Asked;
  }

  #ask(what: string, instruments: readonly Instrument[]): Promise<Map<Instrument, string>> {
    const symbols = instruments.map(({ symbol }) => symbol).join(' ');
    return new Promise((resolve, reject) => {
      const answer = (failed = new Map<Instrument, string>()): void => resolve(failed);
      this.asked.push({ what: `${what}: ${symbols}`, answer, fail: reject, instruments });
    });
  }
}

let subscriptions: UpstreamSubscriptions;
const upstream = (): Patient => {
  const patient = new Patient();
  subscriptions.connected(patient);
  return patient;
};
const make = (options: UpstreamSubscriptionsOptions = {}): void => {
  subscriptions = new UpstreamSubscriptions({ graceMs: 1, retry: { firstMs: 1, longestMs: 1 }, ...options });
};
const tcs = { exchange: 'NSE', symbol: 'TCS', mode: 1 as Mode, depth: 0 };
const nothing = { wanted: 0, subscribed: 0 };

afterEach(() => subscriptions.close());

test('what is wanted together is asked for together, by mode and depth, in batches', async () => {
  make({ batchSize: 2 });
  for (const symbol of ['A', 'B', 'C']) subscriptions.want({ ...tcs, symbol });
  subscriptions.want({ ...tcs, symbol: 'D', mode: 3, depth: 20 });
  subscriptions.want({ ...tcs, symbol: 'E', mode: 3, depth: 5 });
  const patient = upstream();
  const asked: string[] = [];
  for (let i = 0; i < 4; i++) {
    const request = await patient.next();
    expect(patient.asked).toEqual([]);
    asked.push(request.what);
    request.answer();
  }
  expect(asked).toEqual(['subscribe 1 5: A B', 'subscribe 1 5: C', 'subscribe 3 20: D', 'subscribe 3 5: E']);
  await until('all are', () => subscriptions.counts.subscribed === 5);
});

test('what is left while it is being asked for is left once it was answered', async () => {
  make();
  const patient = upstream();
  subscriptions.want(tcs);
  const request = await patient.next();
  subscriptions.unwant(tcs);
  await new Promise((resolve) => setTimeout(resolve, 20));
  request.answer();
  const next = await patient.next();
  expect(next.what).toBe('unsubscribe 1: TCS');
  next.answer();
  await until('nothing is left of it', () => JSON.stringify(subscriptions.counts) === JSON.stringify(nothing));
});

test('what is wanted again while it is being left is asked for again', async () => {
  make();
  const patient = upstream();
  subscriptions.want(tcs);
  (await patient.next()).answer();
  await until('it is subscribed', () => subscriptions.counts.subscribed === 1);
  subscriptions.unwant(tcs);
  const leaving = await patient.next();
  expect(leaving.what).toBe('unsubscribe 1: TCS');
  subscriptions.want(tcs);
  leaving.answer();
  expect((await patient.next()).what).toBe('subscribe 1 5: TCS');
});

test('a deeper book that is wanted meanwhile is asked for next, a smaller one never', async () => {
  make();
  const patient = upstream();
  subscriptions.want({ ...tcs, mode: 3, depth: 5 });
  const request = await patient.next();
  subscriptions.want({ ...tcs, mode: 3, depth: 20 });
  request.answer();
  const deeper = await patient.next();
  expect(deeper.what).toBe('subscribe 3 20: TCS');
  deeper.answer();
  subscriptions.want({ ...tcs, mode: 3, depth: 5 });
  subscriptions.want({ ...tcs, symbol: 'INFY' });
  expect((await patient.next()).what).toBe('subscribe 1 5: INFY');
});

test('what is refused is asked for again, alone, until nobody wants it', async () => {
  const refusals: string[] = [];
  make({ onRefused: ({ symbol }, mode, reason) => refusals.push(`${symbol} ${mode} ${reason}`) });
  const patient = upstream();
  subscriptions.want(tcs);
  subscriptions.want({ ...tcs, symbol: 'INFY' });
  const request = await patient.next();
  request.answer(new Map([[request.instruments[1] as Instrument, 'not found']]));
  const again = await patient.next();
  expect(again.what).toBe('subscribe 1 5: INFY');
  subscriptions.unwant({ ...tcs, symbol: 'INFY' });
  again.answer(new Map([[again.instruments[0] as Instrument, 'not found']]));
  await until('it is forgotten', () => subscriptions.counts.wanted === 1);
  expect(refusals).toEqual(['INFY 1 not found']);
});

test('a request that fails as a whole has failed for each', async () => {
  make();
  const patient = upstream();
  subscriptions.want(tcs);
  (await patient.next()).fail(new Error('database is locked'));
  const again = await patient.next();
  expect(again.what).toBe('subscribe 1 5: TCS');
});

test('what changes while the upstream is away, even in the middle of a request, is asked of the next', async () => {
  make();
  const first = upstream();
  subscriptions.want(tcs);
  subscriptions.want({ ...tcs, symbol: 'INFY' });
  const request = await first.next();
  subscriptions.disconnected();
  request.fail(new Error('gone'));
  subscriptions.unwant(tcs);
  subscriptions.want({ ...tcs, symbol: 'SBIN' });
  const second = upstream();
  expect((await second.next()).what).toBe('subscribe 1 5: INFY SBIN');
  expect(first.asked).toEqual([]);
});
