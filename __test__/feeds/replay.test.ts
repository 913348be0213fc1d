import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { hasCode } from '../../src/errors.ts';
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
