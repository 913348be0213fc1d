import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Recording, type MalformedLine } from '../../src/feeds/recording.ts';
import { ReplayFeed } from '../../src/feeds/replay.ts';
import { FIELDS, type DepthLevel, type Tick } from '../../src/message.ts';
import { exportCsv } from '../../src/recording/export-csv.ts';
import { exportParquet } from '../../src/recording/export-parquet.ts';
import { Recorder } from '../../src/recording/recorder.ts';
import { SharedMemoryPublisher } from '../../src/shm/publisher.ts';
import { LockFreeRingBuffer } from '../../src/shm/ring-buffer.ts';
import { Listener } from './listener.ts';

const DEPTH = 20;
const RING = { name: `test-tables-${process.pid}`, policy: 'lossless', depthLevels: DEPTH } as const;
const AT = 1_704_167_101_123;

const side = (levels: number, step: number): DepthLevel[] =>
  Array.from({ length: levels }, (_, level) => ({
    price: 1400.05 + step * level,
    quantity: 0.1 + 0.2 + level,
    orders: level % 3,
  }));

/** A tick of each kind: all fields, books of 5 and 20 levels, one-sided, empty; times that a reader could mistake. */
const TICKS: Tick[] = [
  { symbol: 'NIFTY', exchange: 'NSE_INDEX', type: 1, ltp: 17_622.25, timestamp: AT },
  {
    symbol: 'ALL',
    exchange: 'NFO',
    type: 2,
    ...Object.fromEntries(FIELDS.map(([name], index) => [name, index + 0.1 + 0.2])),
  },
  { symbol: 'RELIANCE', exchange: 'NSE', type: 3, ltp: 1402.5, depth: { buy: side(5, -0.05), sell: side(5, 0.05) } },
  { symbol: 'RELIANCE', exchange: 'NSE', type: 3, depth: { buy: side(DEPTH, -0.05), sell: side(DEPTH, 0.05) } },
  { symbol: 'ONE-SIDED', exchange: 'NSE', type: 3, ltp: 1, depth: { buy: side(3, -1), sell: [] } },
  { symbol: 'EMPTY', exchange: 'BSE', type: 3, ltp: 1, depth: { buy: [], sell: [] } },
  { symbol: 'QUOTE-WITH-BOOK', exchange: 'BSE', type: 2, ltp: 1, depth: { buy: [], sell: side(1, 1) } },
  { symbol: 'LTP-WITH-VOLUME', exchange: 'MCX', type: 1, ltp: 1, volume: 2 ** 53 - 1 },
  { symbol: 'NEVER', exchange: 'MCX', type: 2, ltp: 1, ltt: 0, timestamp: 0, open: 0 },
  { symbol: 'SECONDS', exchange: 'MCX', type: 1, ltp: 1, timestamp: 1_704_167_101 },
  { symbol: 'OUT-OF-BOUNDS', exchange: 'MCX', type: 1, ltp: 1, timestamp: 5, exchangeTimestamp: 4.1e12 },
  { symbol: 'NOT-FINITE', exchange: 'MCX', type: 2, ltp: Number.NaN, change: Number.POSITIVE_INFINITY, low: -1e-9 },
  { symbol: ' a "quoted", ;name', exchange: 'A,"B', type: 1, ltp: 1e21 },
  { symbol: '₹é', exchange: '=1', type: 1, ltp: 5e-324, timestamp: AT + 60_000 },
];

let folder = '';
let recording = '';
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'openalgo-shm-tables-'));
  recording = join(folder, 'day.ticks');
  const recorder = new Recorder(recording, RING).start();
  const publisher = new SharedMemoryPublisher({ ...RING, publisherName: 'zerodha', nonFinite: 'pass' }).start();
  expect(publisher.publishBatch(TICKS)).toBe(TICKS.length);
  await recorder.stop();
  publisher.stop();
});
afterAll(() => {
  LockFreeRingBuffer.unlink(RING.name);
  rmSync(folder, { recursive: true });
});

/** What a replay of the file puts into a ring. */
async function replayed(file: string, depthLevels = DEPTH): Promise<{ ticks: Tick[]; feed: ReplayFeed }> {
  const listener = new Listener('tables-replay', { policy: 'lossless', depthLevels });
  try {
    const feed = new ReplayFeed(file, { ...listener.ring, speed: 'max', strict: true }).start();
    await feed.done;
    await listener.until('all ticks', ({ ticks }) => ticks.length === feed.counters.published);
    return { ticks: [...listener.ticks], feed };
  } finally {
    listener.close();
  }
}

test('a recording replays as what was published', async () => {
  expect((await replayed(recording)).ticks).toEqual(TICKS);
});

describe.each([
  ['CSV', exportCsv],
  ['Parquet', exportParquet],
])('a table of %s', (kind, exportAs) => {
  test('replays as what was published: every field, time, book and mode', async () => {
    const file = join(folder, `all.${kind}`);
    await exportAs(recording, file, { depthLevels: DEPTH });
    const { ticks, feed } = await replayed(file);
    expect(ticks).toEqual(TICKS);
    expect(feed.progress).toMatchObject({ malformed: 0, bytesRead: feed.progress.bytesTotal });
    expect([...feed.recording.unknownKeys.keys()]).toEqual([]);
  });

  test('keeps to the time when a tick was recorded, whatever its fields say', async () => {
    const file = join(folder, `paced.${kind}`);
    await exportAs(recording, file);
    const ticks: (Tick & { recordedMs?: number })[] = [];
    for await (const run of new Recording(file).read()) ticks.push(...run);
    const recorded: number[] = [];
    for await (const run of new Recording(recording).read()) {
      recorded.push(...Array.from(run, (tick) => (tick as { recordedMs: number } & Tick).recordedMs));
    }
    expect(ticks.map(({ recordedMs }, index) => Math.abs(recordedMs! - recorded[index]!) < 1)).not.toContain(false);
  });

  test('that was exported with fewer levels replays with these, and counts the books that were cut', async () => {
    const file = join(folder, `cut.${kind}`);
    await exportAs(recording, file, { depthLevels: 2 });
    const { ticks, feed } = await replayed(file);
    expect(feed.progress.cutBooks).toBe(3);
    expect(ticks[3]?.depth).toEqual({ buy: side(2, -0.05), sell: side(2, 0.05) });
    expect(ticks[5]?.depth).toEqual({ buy: [], sell: [] });
  });

  test('counts books that are too deep for the ring as malformed', async () => {
    const file = join(folder, `deep.${kind}`);
    await exportAs(recording, file, { depthLevels: DEPTH });
    const malformed: MalformedLine[] = [];
    const deep = new Recording(file, { onMalformedLine: (line) => malformed.push(line) });
    let ticks = 0;
    for await (const run of deep.read(5)) ticks += [...run].length;
    expect(ticks).toBe(TICKS.length - 1);
    expect(malformed).toMatchObject([{ reason: expect.stringContaining('a book of 20 levels') }]);
  });
});

test('tables of CSV that were joined replay one after another', async () => {
  const file = join(folder, 'joined.csv');
  await exportCsv(recording, file, { depthLevels: DEPTH });
  writeFileSync(file, readFileSync(file, 'utf8').repeat(2));
  expect((await replayed(file)).ticks).toEqual([...TICKS, ...TICKS]);
});

test('a table of CSV replays compressed as well', async () => {
  const file = join(folder, 'zipped.csv');
  await exportCsv(recording, file, { depthLevels: DEPTH });
  writeFileSync(file, gzipSync(readFileSync(file)));
  expect((await replayed(file)).ticks).toEqual(TICKS);
});

test('a table of CSV that a spreadsheet has shortened is refused, line by line', async () => {
  const file = join(folder, 'shortened.csv');
  await exportCsv(recording, file, { fields: ['ltp', 'timestamp'], depthLevels: 0 });
  const [header, first] = readFileSync(file, 'utf8').split('\n') as [string, string];
  writeFileSync(file, `${header}\n${first.replace(String(AT), '1.70417E+12')}\n`);
  appendFileSync(file, `${first.replace(/^[^,]+/, '02-01-2024 09:15')}\n${first},1\n${first}\n`);
  const malformed: MalformedLine[] = [];
  const ticks: Tick[] = [];
  for await (const run of new Recording(file, { onMalformedLine: (line) => malformed.push(line) }).read()) {
    ticks.push(...run);
  }
  expect(ticks).toMatchObject([TICKS[0]]);
  expect(malformed.map(({ number, reason }) => `${number}: ${reason}`)).toEqual([
    expect.stringMatching(/^2: has the timestamp 1.70417E\+12, whose digits were cut off/),
    expect.stringMatching(/^3: has the recorded_at "02-01-2024 09:15"/),
    expect.stringMatching(/^4: has 8 columns, expected the 7/),
  ]);
});
