import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { ReplayFeed } from '../../src/feeds/replay.ts';
import { crc32 } from '../../src/recording/crc32.ts';
import { emptyContents, readRecording } from '../../src/recording/read-recording.ts';
import type { RecordedTick } from '../../src/recording/recorded-tick.ts';
import { Recorder, type RecorderOptions } from '../../src/recording/recorder.ts';
import { SharedMemoryPublisher } from '../../src/shm/publisher.ts';
import { LockFreeRingBuffer } from '../../src/shm/ring-buffer.ts';
import { SharedMemorySubscriber } from '../../src/shm/subscriber.ts';
import { Listener } from '../feeds/listener.ts';

const RING = { name: `test-recorder-${process.pid}`, policy: 'lossless' } as const;
let folder = '';
let file = '';
const open: { close(): void | Promise<void> }[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'openalgo-shm-recorder-'));
  file = join(folder, 'day.ticks');
});
afterEach(async () => {
  for (const handle of open.splice(0).reverse()) await handle.close();
  LockFreeRingBuffer.unlink(RING.name);
  rmSync(folder, { recursive: true });
});

function record(options: RecorderOptions = {}): Recorder {
  const recorder = new Recorder(file, { ...RING, flushMs: 20, ...options }).start();
  open.push({ close: () => recorder.stop().catch(() => {}) });
  return recorder;
}

function publisher(name: string = RING.name): SharedMemoryPublisher {
  const publisher = new SharedMemoryPublisher({ ...RING, name, publisherName: 'zerodha' }).start();
  open.push({ close: () => publisher.stop() });
  return publisher;
}

/** Publishes prices `from` to `to`, waiting while the ring is full. */
async function publishPrices(to: SharedMemoryPublisher, from: number, count: number): Promise<void> {
  for (let price = from; price < from + count;) {
    const size = Math.min(100, from + count - price);
    const ticks = Array.from({ length: size }, (_, i) => ({ symbol: `S${(price + i) % 7}`, ltp: price + i }));
    price += to.publishBatch(ticks);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

async function until(what: string, condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 30_000;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`after 30 s still not: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

async function read(path = file, contents = emptyContents()): Promise<RecordedTick[]> {
  const ticks: RecordedTick[] = [];
  for await (const run of readRecording(path, contents)) ticks.push(...run);
  return ticks;
}

const prices = (ticks: readonly RecordedTick[]) => ticks.map(({ ltp }) => ltp);
const upTo = (count: number) => Array.from({ length: count }, (_, price) => price);

describe('a recorder', () => {
  test('writes every tick of the ring, in order, with when it was published', async () => {
    const recorder = record();
    const before = Date.now();
    await publishPrices(publisher(), 0, 5000);
    await until('all are written', () => recorder.counters.ticks === 5000);
    await recorder.stop();
    const ticks = await read();
    expect(prices(ticks)).toEqual(upTo(5000));
    expect(ticks[0]).toMatchObject({ symbol: 'S0', exchange: 'NSE', type: 1, publisher: 'zerodha' });
    const times = ticks.map(({ recordedMs }) => recordedMs);
    expect(times).toEqual(times.toSorted((a, b) => a - b));
    expect(times[0]).toBeGreaterThan(before - 1000);
    expect(times.at(-1)).toBeLessThan(Date.now() + 1000);
    expect(recorder.counters).toMatchObject({ ticks: 5000, lost: 0, bytes: readFileSync(file).length });
  });

  test('leaves the last values of other proxies out: they are no ticks of now', async () => {
    const recorder = record();
    const to = publisher();
    to.publishBatch([
      { symbol: 'TCS', ltp: 1, ageMs: 4000 },
      { symbol: 'TCS', ltp: 2 },
    ]);
    await until('the tick is written', () => recorder.counters.ticks > 0);
    await recorder.stop();
    expect((await read()).map(({ ltp }) => ltp)).toEqual([2]);
  });

  test('has written what it gathered when it is stopped at once', async () => {
    const recorder = record({ flushMs: 3_600_000 });
    await publishPrices(publisher(), 0, 10);
    await recorder.stop();
    expect(prices(await read())).toEqual(upTo(10));
  });

  test('continues a file that exists', async () => {
    const source = publisher();
    for (const from of [0, 3]) {
      const recorder = record();
      await publishPrices(source, from, 3);
      await recorder.stop();
    }
    expect(prices(await read())).toEqual(upTo(6));
  });

  test('continues a file that was cut in the middle of a block', async () => {
    const source = publisher();
    const first = record();
    await publishPrices(source, 0, 3);
    await first.stop();
    appendFileSync(file, readFileSync(file).subarray(0, -5));
    const second = record();
    await publishPrices(source, 3, 3);
    await second.stop();
    const contents = emptyContents();
    expect(prices(await read(file, contents))).toEqual(upTo(6));
    expect(contents).toMatchObject({ blocks: 2, ticks: 6, damages: 1 });
  });

  test('rotates by size, compresses what is finished, and loses nothing between the files', async () => {
    const recorder = record({ rotateBytes: 20_000 });
    const source = publisher();
    for (let part = 0; part < 6; part++) {
      await publishPrices(source, part * 500, 500);
      await until('the part is written', () => recorder.counters.ticks === (part + 1) * 500);
    }
    await recorder.stop();
    expect(recorder.counters.rotations).toBeGreaterThanOrEqual(3);
    const rotated = readdirSync(folder).filter((name) => name !== 'day.ticks');
    expect(rotated).toHaveLength(recorder.counters.rotations);
    for (const name of rotated) expect(name).toMatch(/^day\.\d{8}T\d{6}Z(-\d+)?\.ticks\.gz$/);
    const all: RecordedTick[] = [];
    for (const name of rotated) all.push(...(await read(join(folder, name))));
    if (readFileSync(file).length > 0) all.push(...(await read()));
    expect(prices(all).toSorted((a, b) => a! - b!)).toEqual(upTo(3000));
  });

  test('compresses what an earlier one had rotated and could not', async () => {
    writeFileSync(join(folder, 'day.20261123T034500Z.ticks'), 'left');
    writeFileSync(join(folder, 'day.other.ticks'), 'not a rotation');
    await record().stop();
    expect(readdirSync(folder).toSorted()).toEqual(['day.20261123T034500Z.ticks.gz', 'day.other.ticks', 'day.ticks']);
  });

  test.skipIf(process.platform === 'win32')('compresses for the owner alone', async () => {
    writeFileSync(join(folder, 'day.20261123T034500Z.ticks'), 'left', { mode: 0o600 });
    await record().stop();
    expect(statSync(join(folder, 'day.20261123T034500Z.ticks.gz')).mode & 0o777).toBe(0o600);
  });

  test('goes on when an old file cannot be compressed, and counts it', async () => {
    mkdirSync(join(folder, 'day.20261123T034500Z.ticks'));
    const recorder = record();
    await until('it has tried', () => recorder.counters.uncompressed === 1);
    await publishPrices(publisher(), 0, 3);
    await recorder.stop();
    expect(prices(await read())).toEqual(upTo(3));
    expect(readdirSync(folder).toSorted()).toEqual(['day.20261123T034500Z.ticks', 'day.ticks']);
  });

  test('counts what the ring overwrote before it could be read', async () => {
    const name = `${RING.name}-overwriting`;
    open.push({ close: () => void LockFreeRingBuffer.unlink(name) });
    const recorder = record({ name, policy: 'overwrite', bufferSize: 65_536 });
    const source = new SharedMemoryPublisher({ name, publisherName: 'fast' }).start();
    open.push({ close: () => source.stop() });
    source.publishBatch(upTo(100_000).map((price) => ({ symbol: 'S', ltp: price })));
    await until('it knows', () => recorder.counters.ticks + recorder.counters.lost === 100_000);
    await recorder.stop();
    const contents = emptyContents();
    const ticks = await read(file, contents);
    expect(contents.lost).toBeGreaterThan(0);
    expect(contents.lost + ticks.length).toBe(100_000);
  });

  test('goes on in a ring that was removed and made anew', async () => {
    const recorder = record();
    await publishPrices(publisher(), 0, 3);
    LockFreeRingBuffer.unlink(RING.name);
    const source = publisher();
    let price = 3;
    await until('it records the new one', () => {
      source.publishMarketData('S', { ltp: price++ });
      return recorder.counters.ticks > 3;
    });
    await recorder.stop();
    expect(prices((await read()).slice(0, 3))).toEqual(upTo(3));
  });

  test('misses nothing of a ring that was made anew before it looked', async () => {
    const recorder = record();
    await publishPrices(publisher(), 0, 3);
    LockFreeRingBuffer.unlink(RING.name);
    await publishPrices(publisher(), 3, 3);
    await until('it has all', () => recorder.counters.ticks === 6);
    await recorder.stop();
    expect(prices(await read())).toEqual(upTo(6));
  });

  test('waits for a ring that cannot be joined yet', async () => {
    const recorder = record();
    await publishPrices(publisher(), 0, 3);
    await until('they are written', () => recorder.counters.ticks === 3);
    LockFreeRingBuffer.unlink(RING.name);
    const blocker = new SharedMemorySubscriber({ ...RING, consumers: 1 }).start();
    open.push(blocker);
    // Long enough for it to have looked, and been refused, more than once.
    await new Promise((resolve) => setTimeout(resolve, 2500));
    expect(recorder.running).toBe(true);
    blocker.close();
    await publishPrices(publisher(), 3, 3);
    await until('it has all', () => recorder.counters.ticks === 6);
  });

  test('runs once', async () => {
    const recorder = record();
    expect(() => recorder.start()).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }));
    await recorder.stop();
    expect(() => recorder.start()).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }));
  });

  test.each([
    ['a table', Buffer.from('timestamp,price\n')],
    ['a compressed recording', gzipSync('OATICKS1')],
  ])('leaves a file that is %s as it is', (_what, bytes) => {
    writeFileSync(file, bytes);
    expect(() => new Recorder(file, RING).start()).toThrow(expect.objectContaining({ code: 'ERR_FILE' }));
    expect(readFileSync(file).equals(bytes)).toBe(true);
  });

  test.each([
    ['zeros, as of a machine that failed', Buffer.alloc(100)],
    ['a part of the first block', Buffer.from('OATI')],
  ])('continues a file that begins with %s', async (_what, bytes) => {
    writeFileSync(file, bytes);
    const recorder = record();
    await publishPrices(publisher(), 0, 3);
    await recorder.stop();
    expect(prices(await read())).toEqual(upTo(3));
  });

  test('goes by the time of day when that is set while it records', async () => {
    const recorder = record();
    const source = publisher();
    await publishPrices(source, 0, 1);
    await until('it is written', () => recorder.counters.ticks === 1);
    const now = Date.now;
    const clock = vi.spyOn(Date, 'now').mockImplementation(() => now() + 3_600_000);
    try {
      await publishPrices(source, 1, 1);
      await until('it is written', () => recorder.counters.ticks === 2);
    } finally {
      clock.mockRestore();
    }
    await recorder.stop();
    const [first, second] = (await read()).map(({ recordedMs }) => recordedMs);
    expect(second! - first!).toBeGreaterThan(3_500_000);
  });

  test('ends with an error where the file cannot be written, and leaves the ring', () => {
    const recorder = new Recorder(folder, RING);
    expect(() => recorder.start()).toThrow(expect.objectContaining({ code: 'ERR_FILE' }));
    expect(recorder.running).toBe(false);
  });

  test.each<RecorderOptions>([{ rotateBytes: 0 }, { rotateMs: -1 }, { flushMs: Number.NaN }])(
    'refuses %o',
    (options) => {
      expect(() => new Recorder(file, options)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_OPTION' }));
    },
  );

  test('that is killed leaves everything that it had written readable', async () => {
    const child = spawn(process.execPath, [join(import.meta.dirname, 'recording.mjs'), file, RING.name], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let written = 0;
    child.stdout.on('data', (text: Buffer) => (written = Number(String(text).trim().split('\n').at(-1))));
    await until('it listens', () => LockFreeRingBuffer.list().some(({ name }) => name === RING.name));
    const source = publisher();
    let published = 0;
    await until('it has written some', () => {
      published += source.publishBatch(Array.from({ length: 50 }, (_, i) => ({ symbol: 'S', ltp: published + i })));
      return written > 2000;
    });
    child.kill('SIGKILL');
    await once(child, 'exit');
    const ticks = await read();
    expect(ticks.length).toBeGreaterThanOrEqual(written);
    const first = ticks[0]!.ltp!;
    expect(prices(ticks)).toEqual(Array.from(ticks, (_, index) => first + index));
  });
});

describe('reading', () => {
  async function fiveBlocks(): Promise<Buffer> {
    const recorder = record();
    const source = publisher();
    for (let block = 0; block < 5; block++) {
      await publishPrices(source, block * 10, 10);
      await until('it is written', () => recorder.counters.ticks === (block + 1) * 10);
    }
    await recorder.stop();
    return readFileSync(file);
  }

  test('gives all that is whole of a file cut at any place', async () => {
    const whole = await fiveBlocks();
    for (let bytes = 1; bytes < whole.length; bytes += 97) {
      writeFileSync(file, whole.subarray(0, bytes));
      const ticks = await read().catch(() => []);
      expect(prices(ticks)).toEqual(upTo(ticks.length));
      expect(ticks.length).toBeGreaterThanOrEqual(Math.floor((bytes / whole.length) * 5 - 0.5) * 10);
    }
  });

  test('passes over a damaged block, says so, and gives all others', async () => {
    const whole = await fiveBlocks();
    const middle = Math.floor(whole.length / 2);
    const contents = emptyContents();
    whole[middle]! ^= 0xff;
    writeFileSync(file, whole);
    const ticks = await read(file, contents);
    expect(contents).toMatchObject({ blocks: 4, ticks: 40, damages: 1 });
    expect(contents.damagedBytes).toBeGreaterThan(0);
    expect(prices(ticks)).toEqual(upTo(50).filter((price) => prices(ticks).includes(price)));
  });

  test('finds the blocks behind a length that was damaged', async () => {
    const whole = await fiveBlocks();
    whole.writeUInt32LE(10_000_000, 8);
    writeFileSync(file, whole);
    expect(prices(await read())).toEqual(upTo(50).slice(10));
  });

  test('finds the blocks between foreign bytes', async () => {
    const whole = await fiveBlocks();
    writeFileSync(file, Buffer.concat([whole, Buffer.from('OATICKOATICKS1rubbish'), whole, Buffer.from('OATI')]));
    const contents = emptyContents();
    expect(prices(await read(file, contents))).toEqual([...upTo(50), ...upTo(50)]);
    expect(contents.damages).toBe(2);
  });

  test('takes compressed recordings, joined ones, and such as were cut', async () => {
    const whole = gzipSync(await fiveBlocks());
    writeFileSync(file, Buffer.concat([whole, whole]));
    expect(prices(await read())).toEqual([...upTo(50), ...upTo(50)]);
    writeFileSync(file, Buffer.concat([whole, whole.subarray(0, whole.length / 2)]));
    const ticks = await read();
    expect(ticks.length).toBeGreaterThanOrEqual(50);
    expect(prices(ticks.slice(0, 50))).toEqual(upTo(50));
  });

  test('of something else is an error', async () => {
    writeFileSync(file, 'OATICKS1 but nothing else');
    await expect(read()).rejects.toMatchObject({ code: 'ERR_FILE' });
    await expect(read(join(folder, 'absent'))).rejects.toMatchObject({ code: 'ERR_FILE' });
  });
});

describe('replaying a recording', () => {
  async function recordSlowly(): Promise<void> {
    const recorder = record();
    const source = publisher();
    for (let price = 0; price < 4; price++) {
      source.publishMarketData('S', { ltp: price, timestamp: 1_600_000_000_000 });
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    await recorder.stop();
  }

  test('takes as long as it took to publish it, whatever times are inside the ticks', async () => {
    await recordSlowly();
    const listener = new Listener('recorder-replay', { policy: 'lossless' });
    open.push(listener);
    const begun = performance.now();
    const feed = new ReplayFeed(file, listener.ring).start();
    await feed.done;
    expect(performance.now() - begun).toBeGreaterThan(145);
    await listener.until('all', ({ ticks }) => ticks.length === 4);
    expect(listener.ticks.map(({ ltp, timestamp }) => [ltp, timestamp])).toEqual(
      upTo(4).map((price) => [price, 1_600_000_000_000]),
    );
    expect(feed.progress).toMatchObject({ lines: 4, malformed: 0, bytesRead: readFileSync(file).length });
  });

  test('reports a damaged place and plays the rest, unless it is strict', async () => {
    await recordSlowly();
    const bytes = readFileSync(file);
    const listener = new Listener('recorder-damaged', { policy: 'lossless' });
    open.push(listener);
    writeFileSync(file, Buffer.concat([bytes, Buffer.from('rubbish, and a lot of it'), bytes]));
    const reasons: string[] = [];
    const onMalformedLine = ({ reason }: { reason: string }): void => void reasons.push(reason);
    const feed = new ReplayFeed(file, { ...listener.ring, speed: 'max', onMalformedLine }).start();
    await feed.done;
    expect([feed.counters.published, feed.progress.malformed, reasons]).toEqual([
      8,
      1,
      ['the recording is damaged here'],
    ]);
    const strict = new ReplayFeed(file, { ...listener.ring, speed: 'max', strict: true }).start();
    await expect(strict.done).rejects.toMatchObject({ code: 'ERR_MALFORMED_LINE' });
  });

  test.each([
    ['that is damaged at its beginning', (bytes: Buffer) => Buffer.concat([Buffer.alloc(4096), bytes]), 4],
    ['of which only the first bytes were written', (bytes: Buffer) => bytes.subarray(0, 5), 0],
  ])('takes a file %s for what it is', async (_what, harm, played) => {
    await recordSlowly();
    writeFileSync(file, harm(readFileSync(file)));
    const listener = new Listener('recorder-beginning', { policy: 'lossless' });
    open.push(listener);
    const feed = new ReplayFeed(file, { ...listener.ring, speed: 'max' }).start();
    const outcome = await feed.done.then(
      () => 'played',
      ({ code }) => code,
    );
    expect([outcome, feed.counters.published]).toEqual([played > 0 ? 'played' : 'ERR_FILE', played]);
  });

  test.each([
    ['symbol', '\u0001S', '\u0001\u0007'],
    ['exchange', '\u0003NSE', '\u0003N\u0007E'],
  ])('leaves out ticks whose %s no message can hold, and says so', async (field, name, spoilt) => {
    await recordSlowly();
    const bytes = readFileSync(file);
    bytes.write(spoilt, bytes.indexOf(name), 'latin1');
    bytes.writeUInt32LE(crc32(bytes.subarray(16, 16 + bytes.readUInt32LE(8))), 12);
    writeFileSync(file, bytes);
    const listener = new Listener('recorder-names', { policy: 'lossless' });
    open.push(listener);
    const reasons: string[] = [];
    const onMalformedLine = ({ reason }: { reason: string }): void => void reasons.push(reason);
    const feed = new ReplayFeed(file, { ...listener.ring, speed: 'max', onMalformedLine }).start();
    await feed.done;
    expect(feed.counters.published + reasons.length).toBe(4);
    expect(reasons[0]).toContain(`${field} must be text`);
  });

  test('leaves out books that are too deep for the ring, and says so', async () => {
    const recorder = record();
    const side = [1, 2, 3].map((price) => ({ price, quantity: 1, orders: 1 }));
    publisher().publishBatch([
      { symbol: 'S', depth: { buy: side, sell: side } },
      { symbol: 'S', ltp: 1 },
    ]);
    await recorder.stop();
    const listener = new Listener('recorder-deep', { policy: 'lossless', depthLevels: 2 });
    open.push(listener);
    const feed = new ReplayFeed(file, { ...listener.ring, speed: 'max' }).start();
    await feed.done;
    expect([feed.counters.published, feed.progress.malformed]).toEqual([1, 1]);
  });
});
