import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { hasCode } from '../../src/errors.ts';
import type { SkippedStep } from '../../src/feeds/recording-pace.ts';
import type { MalformedLine } from '../../src/feeds/recording.ts';
import { ReplayFeed, type ReplayFeedOptions } from '../../src/feeds/replay.ts';
import type { RingOptions } from '../../src/shm/options.ts';
import { Listener } from './listener.ts';

const NIFTY = { symbol: 'NIFTY', exchange: 'NSE_INDEX' };
const NINE = Date.UTC(2022, 8, 20, 3, 30);
const open: { close(): void | Promise<void> }[] = [];
let folder = '';

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'openalgo-shm-replay-'));
});
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(async () => {
  for (const handle of open.splice(0).reverse()) await handle.close();
});

function listen(ring: RingOptions = {}): Listener {
  const listener = new Listener('replay', { policy: 'lossless', ...ring });
  open.push(listener);
  return listener;
}

function replay(listener: Listener, file: string, options: ReplayFeedOptions = {}): ReplayFeed {
  const feed = new ReplayFeed(file, { ...listener.ring, ...NIFTY, ...options });
  open.push({ close: () => feed.stop().catch(() => {}) });
  return feed;
}

/** A recording of one price at each of these seconds after nine. */
function recordingOf(...seconds: number[]): string {
  return write(seconds.map((second, price) => `${new Date(NINE + second * 1000).toISOString()},${price}`).join('\n'));
}

function write(text: string): string {
  const file = join(folder, 'recording');
  writeFileSync(file, text);
  return file;
}

const sessions = ['../shared/data/nifty-ltp-2022-09-20.csv', '__test__/samples/index-ltp.csv'];
test.each(sessions.filter(existsSync))(
  'every value of %s arrives, in order, through a ring far smaller than it',
  async (file) => {
    const listener = listen({ bufferSize: 65_536 });
    const feed = replay(listener, file, { speed: 'max' }).start();
    await feed.done;
    await listener.until('all ticks', ({ ticks }) => ticks.length === feed.counters.published);

    const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
    expect(listener.ticks).toEqual(
      lines.map((line) => {
        const [time = '', price] = line.split(',');
        return { ...NIFTY, type: 1, timestamp: Date.parse(`${time.replace(' ', 'T')}+05:30`), ltp: Number(price) };
      }),
    );
    expect(feed.counters).toMatchObject({
      published: lines.length,
      passes: 1,
      position: listener.ticks.at(-1)?.timestamp,
    });
    expect(feed.progress).toMatchObject({ lines: lines.length, malformed: 0 });
    expect(feed.progress.bytesRead).toBe(feed.progress.bytesTotal);
    expect(listener.stats.messagesLost).toBe(0);
    expect(listener.hasPublisher).toBe(false);
  },
);

describe('the pace', () => {
  test('is never faster than the recording', async () => {
    const listener = listen();
    const begun = performance.now();
    const feed = replay(listener, recordingOf(0, 0.1, 0.1, 0.25)).start();
    await feed.done;
    expect(performance.now() - begun).toBeGreaterThan(245);
    expect(feed.counters.published).toBe(4);
  });

  test('can be multiplied', async () => {
    const listener = listen();
    const begun = performance.now();
    await replay(listener, recordingOf(0, 3600, 7200), { speed: 72_000 }).start().done;
    expect(performance.now() - begun).toBeGreaterThan(95);
    expect(performance.now() - begun).toBeLessThan(60_000);
  });

  test('sends what is due before it waits for what is not', async () => {
    const listener = listen();
    const feed = replay(listener, recordingOf(0, 0, 0, 3000)).start();
    await listener.until('the first three', ({ ticks }) => ticks.length === 3);
    expect(feed.counters).toMatchObject({ published: 3, position: NINE });
    await feed.stop();
    expect(feed.counters.published).toBe(3);
  });
});

describe('one time that is wrong', () => {
  const line = (time: string, price: number): string => `${time},${price}`;
  const session = ['2024-01-02 09:15:00', '2024-01-02 09:15:01', '2024-01-02 09:15:02', '2024-01-02 09:15:03'];
  /** So fast that a session takes 30 ms, and a step of an hour 36 s. */
  const SPEED = 100;

  test.each<[string, string[], number]>([
    ['a first tick of 1970', ['1970-01-01 05:30:01', ...session], 1],
    ['a first tick of 2100', ['2100-01-01 00:00:00', ...session], 0],
    ['a tick of 2100 in the middle', [...session.slice(0, 2), '2100-01-01 00:00:00', ...session.slice(2)], 1],
    ['a tick of an hour later', [...session.slice(0, 2), '2024-01-02 10:14:59', ...session.slice(2)], 0],
    ['a tick of 1970 in the middle', [...session.slice(0, 2), '1970-01-01 05:30:01', ...session.slice(2)], 0],
    ['a night between two days', [...session, '2024-01-03 09:15:00', '2024-01-03 09:15:01'], 1],
    ['a last tick of 2100', [...session, '2100-01-01 00:00:00'], 1],
  ])('does not rule the replay: %s', async (_what, times, skipped) => {
    const listener = listen();
    const steps: SkippedStep[] = [];
    const begun = performance.now();
    const feed = replay(listener, write(times.map(line).join('\n')), {
      speed: SPEED,
      onSkippedStep: (step) => steps.push(step),
    }).start();
    await feed.done;
    const took = performance.now() - begun;
    expect(took).toBeGreaterThan(28);
    expect(took).toBeLessThan(20_000);
    await listener.until('all ticks', ({ ticks }) => ticks.length === times.length);
    expect(listener.ticks.map(({ ltp }) => ltp)).toEqual(times.map((_, price) => price));
    expect([feed.counters.skippedSteps, steps.length]).toEqual([skipped, skipped]);
  });

  test('may be bounded more closely', async () => {
    const listener = listen();
    const feed = replay(listener, recordingOf(0, 600, 601, 602), { maxGapMs: 5000, speed: 100 }).start();
    await feed.done;
    expect(feed.counters).toMatchObject({ published: 4, skippedSteps: 1 });
  });
});

describe('a file without times', () => {
  const untimed = (count: number): string =>
    write(Array.from({ length: count }, (_, price) => JSON.stringify({ ltp: price, timestamp: 0 })).join('\n'));

  test('has the rate that is asked for, over and over', async () => {
    const listener = listen();
    const begun = performance.now();
    const feed = replay(listener, untimed(2), { rate: 100, loop: true }).start();
    await listener.until('a tenth pass', ({ ticks }) => ticks.length >= 20);
    expect(performance.now() - begun).toBeGreaterThan(185);
    await feed.stop();
    expect(listener.ticks.slice(0, 20).map(({ ltp }) => ltp)).toEqual(Array.from({ length: 20 }, (_, i) => i % 2));
    expect(feed.counters.passes).toBeGreaterThanOrEqual(9);
  });

  test('has 100 ticks a second, times the speed, in every pass', async () => {
    const listener = listen();
    const begun = performance.now();
    const feed = replay(listener, untimed(1), { speed: 2, loop: true }).start();
    await listener.until('20 ticks', ({ ticks }) => ticks.length >= 20);
    expect(performance.now() - begun).toBeGreaterThan(92);
    await feed.stop();
  });

  test('and one with a single moment wait between two passes', async () => {
    const listener = listen();
    const begun = performance.now();
    const feed = replay(listener, recordingOf(0, 0), { loop: true }).start();
    await listener.until('10 passes', ({ ticks }) => ticks.length >= 20);
    expect(performance.now() - begun).toBeGreaterThan(85);
    await feed.stop();
  });
});

describe('a file that gives no tick fails, and says why', () => {
  test.each<[string, string, RegExp]>([
    ['an empty one', '', /is empty/],
    ['a header alone', 'timestamp,price\n', /holds no tick: none is on its 1 lines/],
    [
      'lines that are malformed',
      'nonsense\nmore\n',
      /2 of 2 lines could not be read; the first, line 1, is neither a header nor/,
    ],
    ['messages of another kind', '{"type":"pong","status":"success"}\n', /holds no tick/],
    ['an empty array', '[]\n', /holds no tick/],
  ])('%s', async (_what, text, reason) => {
    const feed = replay(listen(), write(text), { speed: 'max' }).start();
    await expect(feed.done).rejects.toMatchObject({ code: 'ERR_FILE', message: expect.stringMatching(reason) });
    expect(feed.counters.published).toBe(0);
  });
});

describe('a replay', () => {
  test('begins again at the end if it loops, until it is stopped', async () => {
    const listener = listen();
    const feed = replay(listener, recordingOf(0, 1, 2), { speed: 'max', loop: true }).start();
    await listener.until('a fourth pass', ({ ticks }) => ticks.length > 9);
    await feed.stop();
    expect(listener.ticks.slice(0, 9).map(({ ltp }) => ltp)).toEqual([0, 1, 2, 0, 1, 2, 0, 1, 2]);
    expect(feed.counters.passes).toBeGreaterThanOrEqual(3);
  });

  test('that loops over a file without ticks ends with an error, not in a circle', async () => {
    const feed = replay(listen(), write('timestamp,price\n'), { speed: 'max', loop: true }).start();
    await expect(feed.done).rejects.toSatisfy((error) => hasCode(error, 'ERR_FILE'));
  });

  test('plays books, quotes and prices of many symbols from lines of JSON', async () => {
    const depth = { buy: [{ price: 1, quantity: 2, orders: 3 }], sell: [{ price: 4, quantity: 5, orders: 6 }] };
    const lines = [
      { symbol: 'TCS', exchange: 'NSE', mode: 'full', last_price: 3, depth },
      { type: 'market_data', symbol: 'SBIN', exchange: 'BSE', mode: 2, data: { ltp: 4, open: 5 }, broker: 'zerodha' },
    ];
    const listener = listen();
    await replay(listener, write(lines.map((line) => JSON.stringify(line)).join('\n'))).start().done;
    await listener.until('both', ({ ticks }) => ticks.length === 2);
    expect(listener.ticks).toEqual([
      { symbol: 'TCS', exchange: 'NSE', type: 3, ltp: 3, depth },
      { symbol: 'SBIN', exchange: 'BSE', type: 2, ltp: 4, open: 5 },
    ]);
    expect([...listener.publishers]).toEqual(['replay']);
  });

  test('reports malformed lines with their numbers, counts them and goes on', async () => {
    const listener = listen();
    const malformed: MalformedLine[] = [];
    const file = write('2022-09-20 09:00:01,5\nnonsense\n2022-09-20 09:00:02,6\n');
    const feed = replay(listener, file, { speed: 'max', onMalformedLine: (line) => malformed.push(line) }).start();
    await feed.done;
    await listener.until('two ticks', ({ ticks }) => ticks.length === 2);
    expect(malformed).toEqual([
      { file, number: 2, text: 'nonsense', reason: expect.stringContaining('has 1 columns') },
    ]);
    expect(feed.progress.malformed).toBe(1);
  });

  test('that is strict ends at a malformed line, after publishing what came before it', async () => {
    const listener = listen();
    const feed = replay(listener, write('2022-09-20 09:00:01,5\nnonsense\n2022-09-20 09:00:02,6\n'), {
      speed: 'max',
      strict: true,
    }).start();
    await expect(feed.done).rejects.toSatisfy((error) => hasCode(error, 'ERR_MALFORMED_LINE'));
    await listener.until('one tick', ({ ticks }) => ticks.length === 1);
    expect([feed.counters.published, feed.running, listener.hasPublisher]).toEqual([1, false, false]);
  });

  test('counts a book that is too deep for the ring as malformed', async () => {
    const side = [1, 2, 3].map((price) => ({ price, quantity: 1 }));
    const listener = listen({ depthLevels: 2 });
    const reasons: string[] = [];
    const feed = replay(listener, write(`${JSON.stringify({ ltp: 1, bids: side })}\n{"ltp":2}`), {
      onMalformedLine: ({ reason }) => reasons.push(reason),
    }).start();
    await feed.done;
    await listener.until('one tick', ({ ticks }) => ticks.length === 1);
    expect(reasons).toEqual([expect.stringContaining('has a book of 3 levels a side, the ring has room for 2')]);
  });

  test('ends with an error when its file is gone', async () => {
    const feed = replay(listen(), recordingOf(0));
    rmSync(feed.recording.file);
    feed.start();
    await expect(feed.done).rejects.toSatisfy((error) => hasCode(error, 'ERR_FILE'));
    await expect(feed.stop()).rejects.toSatisfy((error) => hasCode(error, 'ERR_FILE'));
  });

  test('of a CSV file that names no symbol asks for one', async () => {
    const listener = listen();
    const feed = new ReplayFeed(recordingOf(0), listener.ring).start();
    await expect(feed.done).rejects.toSatisfy((error) => hasCode(error, 'ERR_INVALID_OPTION'));
  });

  test.each<[string, string, ReplayFeedOptions]>([
    ['a speed of 0', 'ERR_INVALID_OPTION', { speed: 0 }],
    ['a negative speed', 'ERR_INVALID_OPTION', { speed: -1 }],
    ['a rate of 0', 'ERR_INVALID_OPTION', { rate: 0 }],
    ['a rate and a speed', 'ERR_INVALID_OPTION', { rate: 10, speed: 1 }],
    ['a longest gap of 0', 'ERR_INVALID_OPTION', { maxGapMs: 0 }],
    ['an offset from UTC that is none', 'ERR_INVALID_OPTION', { utcOffset: 'IST' }],
    ['a symbol of 49 letters', 'ERR_INVALID_SYMBOL', { symbol: 'S'.repeat(49) }],
  ])('refuses %s before anything is opened', (_what, code, options) => {
    const listener = listen();
    const file = recordingOf(0);
    expect(() => replay(listener, file, options)).toThrow(expect.objectContaining({ code }));
    expect(listener.hasPublisher).toBe(false);
  });

  test('refuses a file that is not there', () => {
    const listener = listen();
    expect(() => replay(listener, join(folder, 'absent'))).toThrow(expect.objectContaining({ code: 'ERR_FILE' }));
  });
});
