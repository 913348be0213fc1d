import { spawnSync } from 'node:child_process';
import {
  closeSync,
  lstatSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { parquetMetadataAsync, parquetReadObjects } from 'hyparquet';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { exportCsv } from '../../src/recording/export-csv.ts';
import { exportParquet } from '../../src/recording/export-parquet.ts';
import { readRecording } from '../../src/recording/read-recording.ts';
import { Recorder } from '../../src/recording/recorder.ts';
import { ReplayFeed } from '../../src/feeds/replay.ts';
import { SharedMemoryPublisher } from '../../src/shm/publisher.ts';
import { LockFreeRingBuffer } from '../../src/shm/ring-buffer.ts';
import { Listener } from '../feeds/listener.ts';

const RING = { name: `test-export-${process.pid}`, policy: 'lossless', depthLevels: 3 } as const;
const MANY = 60_000;
const BOOK = {
  buy: [{ price: 99.5, quantity: 10, orders: 2 }],
  sell: [{ price: 100, quantity: 0.25, orders: 0 }],
};
let folder = '';
let recording = '';

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'openalgo-shm-export-'));
  recording = join(folder, 'day.ticks');
  const recorder = new Recorder(recording, RING).start();
  const publisher = new SharedMemoryPublisher({ ...RING, publisherName: 'a "quoted", name' }).start();
  publisher.publishBatch([
    { symbol: 'RELIANCE', ltp: 1402.5, timestamp: 1_700_000_000_123, week52High: 1600 },
    { symbol: 'TCS', exchange: 'BSE', volume: 2 ** 53 - 1, ltp: 0.1 + 0.2, depth: BOOK },
  ]);
  for (let price = 0; price < MANY;) {
    const size = Math.min(200, MANY - price);
    price += publisher.publishBatch(Array.from({ length: size }, (_, i) => ({ symbol: 'MANY', ltp: price + i })));
    await new Promise((resolve) => setImmediate(resolve));
  }
  await recorder.stop();
  publisher.stop();
});
afterAll(() => {
  LockFreeRingBuffer.unlink(RING.name);
  rmSync(folder, { recursive: true });
});

/** Files of a table's name, finished or not. */
function leftOf(file: string): string[] {
  return readdirSync(folder).filter((name) => name.startsWith(basename(file)));
}

async function times(): Promise<number[]> {
  const found: number[] = [];
  for await (const run of readRecording(recording)) found.push(...run.map(({ recordedMs }) => recordedMs));
  return found;
}

describe('CSV', () => {
  test('has a header, every tick, and nothing where a tick has no value', async () => {
    const file = join(folder, 'all.csv');
    const contents = await exportCsv(recording, file, { fields: ['ltp', 'volume', '52_week_high'], depthLevels: 1 });
    const [header, first, second, ...rest] = readFileSync(file, 'utf8').trimEnd().split('\n');
    const [at, next] = (await times()).map((ms) => new Date(ms).toISOString());
    expect(header).toBe(
      'recorded_at,broker,exchange,symbol,mode,ltp,volume,52_week_high,buy_levels,sell_levels,' +
        'buy_1_price,buy_1_quantity,buy_1_orders,sell_1_price,sell_1_quantity,sell_1_orders',
    );
    expect(first).toBe(`${at},"a ""quoted"", name",NSE,RELIANCE,2,1402.5,,1600,,,,,,,,`);
    expect(second).toBe(
      `${next},"a ""quoted"", name",BSE,TCS,3,0.30000000000000004,9007199254740991,,1,1,99.5,10,2,100,0.25,0`,
    );
    expect(rest).toHaveLength(MANY);
    expect(contents).toMatchObject({ ticks: MANY + 2, damages: 0, lost: 0 });
  });

  test('can be cut down to some symbols, and is replayed as any other', async () => {
    const file = join(folder, 'reliance.csv');
    await exportCsv(recording, file, { symbols: ['RELIANCE'], depthLevels: 0 });
    const listener = new Listener('export', { policy: 'lossless' });
    try {
      await new ReplayFeed(file, { ...listener.ring, speed: 'max' }).start().done;
      await listener.until('the tick', ({ ticks }) => ticks.length === 1);
      expect(listener.ticks).toEqual([
        { symbol: 'RELIANCE', exchange: 'NSE', type: 2, ltp: 1402.5, timestamp: 1_700_000_000_123, week52High: 1600 },
      ]);
    } finally {
      listener.close();
    }
  });
});

describe('Parquet', () => {
  test('holds every tick, typed, with nulls where a tick has no value, over many row groups', async () => {
    const file = join(folder, 'all.parquet');
    await exportParquet(recording, file, { fields: ['ltp', 'volume'], depthLevels: 1 });
    const { buffer } = new Uint8Array(await readFile(file));
    const { row_groups } = await parquetMetadataAsync(buffer);
    expect(row_groups.length).toBeGreaterThan(1);
    const rows = await parquetReadObjects({ file: buffer });
    const at = await times();
    expect(rows).toHaveLength(MANY + 2);
    expect(rows[0]).toEqual({
      recorded_at: new Date(at[0]!),
      broker: 'a "quoted", name',
      exchange: 'NSE',
      symbol: 'RELIANCE',
      mode: 2,
      ltp: 1402.5,
      volume: null,
      buy_levels: null,
      sell_levels: null,
      buy_1_price: null,
      buy_1_quantity: null,
      buy_1_orders: null,
      sell_1_price: null,
      sell_1_quantity: null,
      sell_1_orders: null,
    });
    expect(rows[1]).toMatchObject({
      symbol: 'TCS',
      ltp: 0.1 + 0.2,
      volume: 2 ** 53 - 1,
      buy_1_price: 99.5,
      sell_1_quantity: 0.25,
    });
    expect(rows.slice(2).map(({ ltp }) => ltp)).toEqual(Array.from({ length: MANY }, (_, price) => price));
  });
});

test('Parquet holds fewer rows in memory the more columns they have', async () => {
  const file = join(folder, 'wide.parquet');
  await exportParquet(recording, file, { fields: ['ltp'], depthLevels: 50 });
  const { row_groups, schema } = await parquetMetadataAsync(new Uint8Array(await readFile(file)).buffer);
  const rows = row_groups.map(({ num_rows }) => Number(num_rows));
  expect(rows.reduce((sum, count) => sum + count)).toBe(MANY + 2);
  expect(Math.max(...rows) * (schema.length - 1)).toBeLessThan(4_100_000);
});

describe.each([
  ['CSV', exportCsv],
  ['Parquet', exportParquet],
])('%s', (kind, exportAs) => {
  test.each([
    ['a field that there is none of', { fields: ['price'] }],
    ['more levels than any ring has', { depthLevels: 201 }],
  ])('refuses %s', async (_what, options) => {
    await expect(exportAs(recording, join(folder, 'refused'), options)).rejects.toMatchObject({
      code: 'ERR_INVALID_OPTION',
    });
  });

  test('says how many rows it has written', async () => {
    const options = { symbols: ['TCS'], fields: ['ltp'] };
    expect(await exportAs(recording, join(folder, 'few'), options)).toMatchObject({ ticks: MANY + 2, rows: 1 });
  });

  test('writes nothing where no tick is of the symbols, and says of which they are', async () => {
    const file = join(folder, 'no-rows');
    writeFileSync(file, 'a table of before');
    await expect(exportAs(recording, file, { symbols: ['SBIN', 'INFY'] })).rejects.toMatchObject({
      code: 'ERR_FILE',
      message: `none of the ${MANY + 2} ticks of ${recording} is of SBIN, INFY: it has RELIANCE, TCS, MANY`,
    });
    expect(readFileSync(file, 'utf8')).toBe('a table of before');
    rmSync(file);
    await expect(exportAs(recording, file, { symbols: ['SBIN'] })).rejects.toMatchObject({ code: 'ERR_FILE' });
    expect(leftOf(file)).toEqual([]);
  });

  test('writes nothing of a recording without a tick', async () => {
    const empty = join(folder, 'empty.ticks');
    writeFileSync(empty, '');
    await expect(exportAs(empty, join(folder, 'none'))).rejects.toMatchObject({
      code: 'ERR_FILE',
      message: `${empty} is empty: nothing was recorded`,
    });
    expect(leftOf(join(folder, 'none'))).toEqual([]);
  });

  test('of a damaged recording is made of what is left, or where strict not at all', async () => {
    const damaged = join(folder, 'damaged.ticks');
    const bytes = readFileSync(recording);
    bytes[bytes.length >> 1]! ^= 1;
    writeFileSync(damaged, bytes);
    const file = join(folder, 'of-damaged');
    const { rows, damages, blocksLost, ticksLost } = await exportAs(damaged, file, { depthLevels: 0 });
    expect([damages, blocksLost, rows + ticksLost]).toEqual([1, 1, MANY + 2]);
    const before = readFileSync(file);
    await expect(exportAs(damaged, file, { strict: true })).rejects.toMatchObject({ code: 'ERR_FILE' });
    expect(readFileSync(file).equals(before)).toBe(true);
    await exportAs(recording, file, { strict: true, symbols: ['TCS'] });
    expect(readFileSync(file).equals(before)).toBe(false);
  });

  test('leaves nothing behind when it is ended', async () => {
    const file = join(folder, 'ended');
    await expect(exportAs(recording, file, { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'ERR_FILE',
    });
    expect(leftOf(file)).toEqual([]);
  });

  test.skipIf(process.platform === 'win32')('goes on in a file that is open, where it is given as such', async () => {
    const file = join(folder, `open-${kind}`);
    const table = join(folder, `alone-${kind}`);
    const descriptor = openSync(file, 'a');
    writeSync(descriptor, 'before');
    await exportAs(recording, `/dev/fd/${descriptor}`, { symbols: ['TCS'] });
    writeSync(descriptor, 'after');
    closeSync(descriptor);
    await exportAs(recording, table, { symbols: ['TCS'] });
    const expected = Buffer.concat([Buffer.from('before'), readFileSync(table), Buffer.from('after')]);
    expect(readFileSync(file).equals(expected)).toBe(true);
  });

  test('puts a table in the place of the one that a link leads to', async () => {
    const file = join(folder, 'linked');
    const link = join(folder, `link-${kind}`);
    writeFileSync(file, 'a table of before');
    symlinkSync(file, link);
    await exportAs(recording, link, { symbols: ['TCS'] });
    expect(lstatSync(link).isSymbolicLink()).toBe(true);
    const table = readFileSync(file);
    expect(table.toString()).not.toBe('a table of before');
    rmSync(file);
    await exportAs(recording, link, { symbols: ['TCS'] });
    expect([lstatSync(link).isSymbolicLink(), readFileSync(file).equals(table)]).toEqual([true, true]);
  });

  test.skipIf(process.platform === 'win32')('goes through a pipe as a whole', async () => {
    const [pipe, table] = [join(folder, `pipe-${kind}`), join(folder, `not-through-pipe-${kind}`)];
    spawnSync('mkfifo', [pipe]);
    const [through] = await Promise.all([readFile(pipe), exportAs(recording, pipe, { symbols: ['TCS'] })]);
    await exportAs(recording, table, { symbols: ['TCS'] });
    expect(through.equals(readFileSync(table))).toBe(true);
  });

  test.skipIf(process.platform !== 'linux')(
    'fails where the disk is full, and leaves the device as it is',
    async () => {
      await expect(exportAs(recording, '/dev/full')).rejects.toMatchObject({
        code: 'ERR_FILE',
        message: expect.stringMatching(/^\/dev\/full cannot be written: ENOSPC/),
      });
      expect(lstatSync('/dev/full').isCharacterDevice()).toBe(true);
      await exportAs(recording, '/dev/null', { symbols: ['TCS'] });
      expect(lstatSync('/dev/null').isCharacterDevice()).toBe(true);
    },
  );

  test('does not put a table in the place of its recording, by whatever name', async () => {
    const other = join(folder, `other-name-of-day-${kind}`);
    symlinkSync(recording, other);
    const before = readFileSync(recording);
    for (const file of [recording, other]) {
      await expect(exportAs(recording, file)).rejects.toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
    }
    expect(readFileSync(recording).equals(before)).toBe(true);
  });

  test('leaves no half a table when the recording cannot be read', async () => {
    const file = join(folder, 'none');
    await expect(exportAs(join(folder, 'absent'), file)).rejects.toMatchObject({ code: 'ERR_FILE' });
    for (const nowhere of [join(folder, 'no-folder', 'table'), join(recording, 'table')]) {
      await expect(exportAs(recording, nowhere)).rejects.toMatchObject({ code: 'ERR_FILE' });
    }
    expect(leftOf(file)).toEqual([]);
  });
});
