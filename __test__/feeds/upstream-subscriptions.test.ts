import { afterEach, expect, test } from 'vitest';
import type { Mode } from '../../src/message.ts';
import type { Instrument, Outcome, Outcomes, Upstream } from '../../src/feeds/upstream.ts';
import { UpstreamSubscriptions, type UpstreamSubscriptionsOptions } from '../../src/feeds/upstream-subscriptions.ts';
import { until } from '../shm/living.ts';

interface Asked {
  what: string;
  /** Answers for all of it; default success. */
  answer: (outcome?: Outcome) => void;
  /** Answers for one, and success for the others. */
  answerFor: (symbol: string, outcome: Outcome) => void;
  fail: (reason: Error) => void;
}

/** An upstream that answers when the test says so. */
class Patient implements Upstream {
  readonly asked: Asked[] = [];

  subscribe(mode: Mode, depth: number, instruments: readonly Instrument[]): Promise<Outcomes> {
    return this.#ask(`subscribe ${mode} ${depth}`, instruments);
  }

  refresh(mode: Mode, depth: number, instruments: readonly Instrument[]): Promise<Outcomes> {
    return this.#ask(`refresh ${mode} ${depth}`, instruments);
  }

  unsubscribe(mode: Mode, instruments: readonly Instrument[]): Promise<Outcomes> {
    return this.#ask(`unsubscribe ${mode}`, instruments);
  }

  /** The next request once it has come. */
  async next(): Promise<Asked> {
    await until('something is asked', () => this.asked.length > 0);
    return this.asked.shift() as Asked;
  }

  #ask(what: string, instruments: readonly Instrument[]): Promise<Outcomes> {
    const symbols = instruments.map(({ symbol }) => symbol).join(' ');
    return new Promise((resolve, fail) => {
      const answerFor = (isMeant: (symbol: string) => boolean, outcome: Outcome | undefined): void => {
        const meant = outcome === undefined ? [] : instruments.filter(({ symbol }) => isMeant(symbol));
        resolve(new Map(meant.map((instrument) => [instrument, outcome as Outcome])));
      };
      this.asked.push({
        what: `${what}: ${symbols}`,
        answer: (outcome) => answerFor(() => true, outcome),
        answerFor: (symbol, outcome) => answerFor((other) => other === symbol, outcome),
        fail,
      });
    });
  }
}

let subscriptions: UpstreamSubscriptions;
/** What was told, like `TCS 3 success 5` or `TCS 1 error not found`. */
let told: string[];
const toldIs = (...expected: string[]): Promise<void> =>
  until(`${expected.join(', ')} is told`, () => told.join() === expected.join());
const upstream = (): Patient => {
  const patient = new Patient();
  subscriptions.connected(patient);
  return patient;
};
const make = (options: UpstreamSubscriptionsOptions = {}): void => {
  told = [];
  subscriptions = new UpstreamSubscriptions({
    graceMs: 1,
    retry: { firstMs: 1, longestMs: 1 },
    onResult: ({ symbol, mode, status, depth = '', message = '' }) =>
      told.push(`${symbol} ${mode} ${status} ${depth}${message}`.trim()),
    ...options,
  });
};
const tcs = { exchange: 'NSE', symbol: 'TCS', mode: 1 as Mode, depth: 0 };
const nothing = { wanted: 0, subscribed: 0, refused: 0 };
/** An upstream that has been asked for TCS, and has answered with success. */
const takingTcs = async (options?: UpstreamSubscriptionsOptions): Promise<Patient> => {
  make(options);
  const patient = upstream();
  subscriptions.want(tcs);
  (await patient.next()).answer();
  return patient;
};

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
  const patient = await takingTcs();
  await until('it is subscribed', () => subscriptions.counts.subscribed === 1);
  subscriptions.unwant(tcs);
  const leaving = await patient.next();
  expect(leaving.what).toBe('unsubscribe 1: TCS');
  subscriptions.want(tcs);
  leaving.answer();
  const again = await patient.next();
  expect(again.what).toBe('subscribe 1 5: TCS');
  expect(told).toEqual(['TCS 1 success']);
  again.answer();
  await toldIs('TCS 1 success', 'TCS 1 success');
});

test('what was taken before is not refused by one word, as a broker that comes back may say', async () => {
  await takingTcs();
  await toldIs('TCS 1 success');
  subscriptions.disconnected();
  const next = upstream();
  const refused = { status: 'refused', reason: 'socket is closed' } as const;
  for (let times = 0; times < 5; times++) {
    const { what, answer } = await next.next();
    expect(what).toBe('subscribe 1 5: TCS');
    answer(refused);
  }
  (await next.next()).answer();
  await toldIs('TCS 1 success', 'TCS 1 success');
});

test('what was taken before and is refused again and again has ended', async () => {
  const patient = await takingTcs();
  subscriptions.refresh();
  for (let times = 0; times < 6; times++) (await patient.next()).answer({ status: 'refused', reason: 'delisted' });
  await toldIs('TCS 1 success', 'TCS 1 ended', 'TCS 1 error delisted');
});

test('what is wanted again and could not be left has stayed', async () => {
  const patient = await takingTcs();
  await toldIs('TCS 1 success');
  subscriptions.unwant(tcs);
  const leaving = await patient.next();
  subscriptions.want(tcs);
  leaving.answer({ status: 'failed', reason: 'database is locked' });
  await toldIs('TCS 1 success', 'TCS 1 success');
  expect(subscriptions.counts).toEqual({ wanted: 1, subscribed: 1, refused: 0 });
});

test('a deeper book that is wanted meanwhile is asked for next, after the shallower one is left; a smaller one never', async () => {
  make();
  const patient = upstream();
  subscriptions.want({ ...tcs, mode: 3, depth: 5 });
  const request = await patient.next();
  subscriptions.want({ ...tcs, mode: 3, depth: 20 });
  request.answer();
  const leaving = await patient.next();
  expect(leaving.what).toBe('unsubscribe 3: TCS');
  leaving.answer();
  const deeper = await patient.next();
  expect(deeper.what).toBe('subscribe 3 20: TCS');
  deeper.answer();
  await toldIs('TCS 3 success 20');
  subscriptions.want({ ...tcs, mode: 3, depth: 5 });
  subscriptions.want({ ...tcs, symbol: 'INFY' });
  expect((await patient.next()).what).toBe('subscribe 1 5: INFY');
});

test('the depth that is told is what the upstream says will come', async () => {
  make();
  const patient = upstream();
  subscriptions.want({ ...tcs, mode: 3, depth: 20 });
  (await patient.next()).answer({ status: 'success', depth: 5 });
  await toldIs('TCS 3 success 5');
  subscriptions.want({ ...tcs, mode: 3, depth: 15 });
  subscriptions.want({ ...tcs, symbol: 'INFY' });
  expect((await patient.next()).what).toBe('subscribe 1 5: INFY');
  expect(told).toEqual(['TCS 3 success 5', 'TCS 3 success 5']);
});

test('who had a book keeps it where a deeper one is refused', async () => {
  make();
  const patient = upstream();
  subscriptions.want({ ...tcs, mode: 3, depth: 5 });
  (await patient.next()).answer();
  await toldIs('TCS 3 success 5');
  subscriptions.want({ ...tcs, mode: 3, depth: 20 });
  (await patient.next()).answer();
  (await patient.next()).answer({ status: 'refused', reason: 'no more than 50 instruments' });
  const again = await patient.next();
  expect(again.what).toBe('subscribe 3 5: TCS');
  again.answer();
  await toldIs('TCS 3 success 5', 'TCS 3 success 5');
});

test('no more is told than a book has that the upstream would not give up', async () => {
  make();
  const patient = upstream();
  subscriptions.want({ ...tcs, mode: 3, depth: 5 });
  (await patient.next()).answer();
  await toldIs('TCS 3 success 5');
  subscriptions.want({ ...tcs, mode: 3, depth: 20 });
  (await patient.next()).answer({ status: 'refused', reason: 'Unsubscription failed' });
  (await patient.next()).answer({ status: 'success', depth: 20 });
  await toldIs('TCS 3 success 5', 'TCS 3 success 5');
});

test('what is refused is told, and asked for again, alone, until nobody wants it', async () => {
  make();
  const patient = upstream();
  subscriptions.want(tcs);
  subscriptions.want({ ...tcs, symbol: 'INFY' });
  (await patient.next()).answerFor('INFY', { status: 'refused', reason: 'not found' });
  await toldIs('TCS 1 success', 'INFY 1 error not found');
  expect(subscriptions.counts).toEqual({ wanted: 2, subscribed: 1, refused: 1 });
  const again = await patient.next();
  expect(again.what).toBe('subscribe 1 5: INFY');
  subscriptions.unwant({ ...tcs, symbol: 'INFY' });
  again.answer({ status: 'refused', reason: 'not found' });
  await until('it is forgotten', () => subscriptions.counts.wanted === 1);
  expect(told).toEqual(['TCS 1 success', 'INFY 1 error not found', 'INFY 1 ended']);
});

test('what was just refused is told again and not asked for, however often somebody begins to want it', async () => {
  make({ retry: { firstMs: 3_600_000, longestMs: 3_600_000 } });
  const patient = upstream();
  subscriptions.want(tcs);
  (await patient.next()).answer({ status: 'refused', reason: 'not found' });
  await toldIs('TCS 1 error not found');
  for (let times = 0; times < 3; times++) {
    subscriptions.unwant(tcs);
    subscriptions.want(tcs);
  }
  expect(told.slice(1)).toEqual(Array.from({ length: 3 }, () => ['TCS 1 ended', 'TCS 1 error not found']).flat());
  subscriptions.want({ ...tcs, symbol: 'INFY' });
  expect((await patient.next()).what).toBe('subscribe 1 5: INFY');
});

test('what was refused is asked for again in time, however often somebody begins to want it', async () => {
  make({ retry: { firstMs: 100, longestMs: 100 } });
  const patient = upstream();
  subscriptions.want(tcs);
  (await patient.next()).answer({ status: 'refused', reason: 'not found' });
  await toldIs('TCS 1 error not found');
  const wanting = setInterval(() => {
    subscriptions.unwant(tcs);
    subscriptions.want(tcs);
  }, 5);
  (await patient.next()).answer();
  clearInterval(wanting);
  await until('it is told', () => told.at(-1) === 'TCS 1 success');
});

test('what only fails is asked for again, then alone, and at last counts as refused', async () => {
  make();
  const patient = upstream();
  const failed = { status: 'failed', reason: 'database is locked', isOfAll: true } as const;
  subscriptions.want(tcs);
  subscriptions.want({ ...tcs, symbol: 'INFY' });
  const asked: string[] = [];
  for (let times = 0; times < 2; times++) {
    const together = await patient.next();
    asked.push(together.what);
    together.answer(failed);
  }
  for (let times = 0; times < 5; times++) {
    const alone = await patient.next();
    asked.push(alone.what.replace(/ (TCS|INFY)$/, ''));
    alone.answer(alone.what.endsWith('INFY') ? { status: 'success' } : failed);
  }
  await until('both are told', () => told.length === 2);
  expect(asked).toEqual([
    'subscribe 1 5: TCS INFY',
    'subscribe 1 5: TCS INFY',
    'subscribe 1 5:',
    'subscribe 1 5:',
    'subscribe 1 5:',
    'subscribe 1 5:',
    'subscribe 1 5:',
  ]);
  expect([...told].sort()).toEqual(['INFY 1 success', 'TCS 1 error database is locked']);
});

test('what fails for itself, as while the broker is not there yet, is asked for again together', async () => {
  make();
  const patient = upstream();
  subscriptions.want(tcs);
  subscriptions.want({ ...tcs, symbol: 'INFY' });
  for (let times = 0; times < 5; times++) {
    const together = await patient.next();
    expect(together.what.split(' ').slice(3).sort()).toEqual(['INFY', 'TCS']);
    together.answer({ status: 'failed', reason: 'not connected' });
    // Something else is asked for until it is time for both.
    subscriptions.want({ ...tcs, symbol: `OTHER${times}`, mode: 2 });
    const other = await patient.next();
    expect(other.what).toBe(`subscribe 2 5: OTHER${times}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
    other.answer();
  }
  told.length = 0;
  (await patient.next()).answer();
  await until('both are told', () => ['INFY 1 success', 'TCS 1 success'].every((text) => told.includes(text)));
});

const FULL = { status: 'refused', reason: 'Maximum capacity reached: 3 connections × 1000 symbols' } as const;

test('what nobody wants any more makes room before anybody is refused', async () => {
  const patient = await takingTcs({ graceMs: 3_600_000 });
  await toldIs('TCS 1 success');
  subscriptions.unwant(tcs);
  subscriptions.want({ ...tcs, symbol: 'INFY' });
  (await patient.next()).answer(FULL);
  const leaving = await patient.next();
  expect(leaving.what).toBe('unsubscribe 1: TCS');
  leaving.answer();
  const again = await patient.next();
  expect(again.what).toBe('subscribe 1 5: INFY');
  again.answer();
  await toldIs('TCS 1 success', 'TCS 1 ended', 'INFY 1 success');
});

test('what there was no room for gets in as soon as some arises', async () => {
  make({ retry: { firstMs: 3_600_000, longestMs: 3_600_000 } });
  const patient = upstream();
  for (const symbol of ['TCS', 'INFY', 'SBIN']) subscriptions.want({ ...tcs, symbol });
  const request = await patient.next();
  request.answerFor('INFY', FULL);
  await until('all are told', () => told.length === 3);
  subscriptions.unwant(tcs);
  const leaving = await patient.next();
  expect(leaving.what).toBe('unsubscribe 1: TCS');
  leaving.answer();
  const again = await patient.next();
  expect(again.what).toBe('subscribe 1 5: INFY');
});

test('what is known is told to who begins to want it, and its end is told', async () => {
  const patient = await takingTcs({ graceMs: 20 });
  await toldIs('TCS 1 success');
  subscriptions.wantToo(tcs);
  subscriptions.unwant(tcs);
  subscriptions.want(tcs);
  expect(told).toEqual(['TCS 1 success', 'TCS 1 success', 'TCS 1 success']);
  subscriptions.unwant(tcs);
  (await patient.next()).answer();
  await toldIs('TCS 1 success', 'TCS 1 success', 'TCS 1 success', 'TCS 1 ended');
});

test('what the upstream ends later is told, and asked for again while it is wanted', async () => {
  const patient = await takingTcs();
  await toldIs('TCS 1 success');
  subscriptions.endedUpstream(tcs, 'delisted');
  expect(told.at(-1)).toBe('TCS 1 error delisted');
  expect((await patient.next()).what).toBe('subscribe 1 5: TCS');
});

test('what cannot be left is left again, a few times', async () => {
  const patient = await takingTcs();
  await toldIs('TCS 1 success');
  subscriptions.unwant(tcs);
  for (let times = 0; times < 6; times++) {
    const leaving = await patient.next();
    expect(leaving.what).toBe('unsubscribe 1: TCS');
    leaving.answer({ status: 'failed', reason: 'database is locked' });
  }
  await toldIs('TCS 1 success', 'TCS 1 ended');
  expect(subscriptions.counts.subscribed).toBe(0);
});

test('what is subscribed is asked for once more, after all else, and nothing but the end of one that is not taken comes of it', async () => {
  make({ graceMs: 3_600_000 });
  const patient = upstream();
  subscriptions.want({ ...tcs, mode: 3, depth: 20 });
  (await patient.next()).answer({ status: 'success', depth: 5 });
  for (const symbol of ['INFY', 'SBIN', 'IDLE']) subscriptions.want({ ...tcs, symbol });
  (await patient.next()).answer();
  await until('all are subscribed', () => subscriptions.counts.subscribed === 4);
  subscriptions.unwant({ ...tcs, symbol: 'IDLE' });
  subscriptions.refresh();
  subscriptions.want({ ...tcs, symbol: 'NEW' });
  told.length = 0;
  const asked: string[] = [];
  for (const outcome of [{ status: 'success' }, { status: 'success', depth: 20 }] as const) {
    const request = await patient.next();
    asked.push(request.what);
    request.answer(outcome);
  }
  const last = await patient.next();
  expect([...asked, last.what]).toEqual(['subscribe 1 5: NEW', 'refresh 3 20: TCS', 'refresh 1 5: INFY SBIN IDLE']);
  last.answerFor('SBIN', { status: 'refused', reason: 'delisted' });
  await toldIs('NEW 1 success', 'SBIN 1 ended');
  (await patient.next()).answer();
  await toldIs('NEW 1 success', 'SBIN 1 ended', 'SBIN 1 success');
  subscriptions.wantToo({ ...tcs, mode: 3 });
  expect(told.at(-1)).toBe('TCS 3 success 5');
});

test.each([3_600_000, 1])(
  'what is left and wanted again meanwhile is asked for once more too, grace %i ms',
  async (graceMs) => {
    make({ graceMs });
    const patient = upstream();
    subscriptions.want(tcs);
    (await patient.next()).answer();
    await toldIs('TCS 1 success');
    subscriptions.want({ ...tcs, symbol: 'SLOW' });
    const slow = await patient.next();
    subscriptions.refresh();
    subscriptions.unwant(tcs);
    await new Promise((resolve) => setTimeout(resolve, 20));
    subscriptions.want(tcs);
    slow.answer();
    expect((await patient.next()).what).toBe('refresh 1 5: TCS SLOW');
  },
);

test('a request that nobody answers any more is asked of the next upstream', async () => {
  make();
  const first = upstream();
  subscriptions.want(tcs);
  (await first.next()).fail(new Error('the connection is gone'));
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect([first.asked.length, told.length]).toEqual([0, 0]);
  expect((await upstream().next()).what).toBe('subscribe 1 5: TCS');
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
