import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { emptyContents, readRecording } from '../../src/recording/read-recording.ts';
import { Recorder, type RecorderOptions } from '../../src/recording/recorder.ts';
import { SharedMemoryPublisher } from '../../src/shm/publisher.ts';
import { LockFreeRingBuffer } from '../../src/shm/ring-buffer.ts';

const RING = { name: `test-recording-file-${process.pid}`, policy: 'lossless' } as const;
const BUSY = { code: 'ERR_FILE_BUSY' };
let folder = '';
let file = '';
const open: { close(): unknown }[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'openalgo-shm-recording-file-'));
  file = join(folder, 'day.ticks');
});
afterEach(async () => {
  for (const handle of open.splice(0).reverse()) await handle.close();
  LockFreeRingBuffer.unlink(RING.name);
  rmSync(folder, { recursive: true });
});

function record(path = file, options: RecorderOptions = {}): Recorder {
  const recorder = new Recorder(path, { ...RING, flushMs: 20, compress: false, ...options }).start();
  open.push({ close: () => recorder.stop().catch(() => {}) });
  return recorder;
}

function publisher(): SharedMemoryPublisher {
  const publisher = new SharedMemoryPublisher({ ...RING, publisherName: 'zerodha' }).start();
  open.push({ close: () => publisher.stop() });
  return publisher;
}

/** Another process that runs a script of this folder with the package as it is built. */
function otherProcess(script: string, ...args: string[]): ChildProcess {
  const child = spawn(process.execPath, [join(import.meta.dirname, script), ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  open.push({
    close: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
  });
  return child;
}

async function until(what: string, condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 30_000;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`after 30 s still not: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** Publishes one price after another until the recorder has written them. */
async function recordPrices(
  recorder: Recorder,
  source: SharedMemoryPublisher,
  from: number,
  to: number,
): Promise<void> {
  const before = recorder.counters.ticks;
  for (let price = from; price < to; price++) source.publishMarketData('S', { ltp: price });
  await until('they are written', () => recorder.counters.ticks === before + to - from);
}

async function pricesOf(path: string): Promise<number[]> {
  const prices: number[] = [];
  const contents = emptyContents();
  for await (const ticks of readRecording(path, contents)) prices.push(...ticks.map(({ ltp }) => ltp!));
  expect(contents.damages).toBe(0);
  return prices;
}

const files = (): string[] => readdirSync(folder).toSorted();
const numbers = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, index) => from + index);

describe('a recording has one writer:', () => {
  test('a second recorder is refused, by whatever name it calls the file', async () => {
    const recorder = record();
    const names = [file, join(folder, 'soft.ticks'), join(folder, '..', folder.split('/').at(-1)!, 'day.ticks')];
    symlinkSync(file, names[1]!);
    if (process.platform !== 'win32') {
      names.push(join(folder, 'hard.ticks'));
      linkSync(file, names.at(-1)!);
    }
    for (const name of names) {
      const second = new Recorder(name, RING);
      expect(() => second.start()).toThrow(expect.objectContaining(BUSY));
      expect(second.running).toBe(false);
    }
    expect(recorder.locked).toBe(true);
    await recordPrices(recorder, publisher(), 0, 3);
    await recorder.stop();
    expect(await pricesOf(file)).toEqual(numbers(0, 3));
    await record().stop();
  });

  test('the lock of a process that is killed goes with it', async () => {
    const child = otherProcess('recording.mjs', file, RING.name);
    await once(child.stdout!, 'data');
    expect(() => new Recorder(file, RING).start()).toThrow(expect.objectContaining(BUSY));
    child.kill('SIGKILL');
    await once(child, 'exit');
    await record().stop();
  });

  test('the name of a recording is never free while its recorder rotates', async () => {
    const recorder = record(file, { rotateBytes: 1 });
    const child = otherProcess('taking-over.mjs', file, RING.name);
    let said = '';
    child.stdout!.on('data', (text: Buffer) => (said += String(text)));
    await until('the other has begun to try', () => said.includes('trying'));
    const source = publisher();
    for (let price = 0; price < 200; price++) await recordPrices(recorder, source, price, price + 1);
    child.kill('SIGTERM');
    await once(child, 'exit');
    await recorder.stop();
    expect(said).toMatch(/refused [1-9]\d* times, let in 0 times/);
    expect(recorder.counters).toMatchObject({ ticks: 200, rotations: 200, unrotated: 0 });
    const rotated = files().filter((name) => name !== 'day.ticks');
    const all = await Promise.all(rotated.map((name) => pricesOf(join(folder, name))));
    expect(all.flat().toSorted((a, b) => a - b)).toEqual(numbers(0, 200));
  });

  test('readers are not kept from a file that grows', async () => {
    const recorder = record();
    const source = publisher();
    for (const price of [0, 1, 2]) {
      await recordPrices(recorder, source, price, price + 1);
      expect(await pricesOf(file)).toEqual(numbers(0, price + 1));
    }
  });

  test('a finished file that another process writes is not compressed under its hands', async () => {
    const other = join(folder, 'day.20261123T034500Z.ticks');
    const child = otherProcess('recording.mjs', other, RING.name);
    await once(child.stdout!, 'data');
    const inode = statSync(other).ino;
    const recorder = record(file, { compress: true });
    await recorder.stop();
    expect([files(), statSync(other).ino]).toEqual([['day.20261123T034500Z.ticks', 'day.ticks'], inode]);
    expect(recorder.counters.uncompressed).toBe(0);
  });

  test.skipIf(process.platform === 'win32').each(['/dev/null', '/dev/full'])('%s is none', (device) => {
    expect(() => new Recorder(device, RING).start()).toThrow(expect.objectContaining({ code: 'ERR_FILE' }));
  });
});

describe('a rotation replaces nothing of others:', () => {
  const NAME = 'day.20261123T034500Z';

  test('names that are in use are left to those that have them', async () => {
    const taken = [`${NAME}.ticks`, `${NAME}-1.ticks.gz`, `${NAME}-2.ticks`];
    for (const name of taken) writeFileSync(join(folder, name), 'of another');
    mkdirSync(join(folder, `${NAME}-3.ticks`));
    vi.useFakeTimers({ toFake: ['Date'], now: Date.UTC(2026, 10, 23, 3, 45) });
    try {
      const recorder = record(file, { rotateBytes: 1 });
      const source = publisher();
      for (const price of [0, 1]) await recordPrices(recorder, source, price, price + 1);
      await recorder.stop();
    } finally {
      vi.useRealTimers();
    }
    for (const name of taken) expect(readFileSync(join(folder, name), 'utf8')).toBe('of another');
    expect(await pricesOf(join(folder, `${NAME}-4.ticks`))).toEqual([0]);
    expect(await pricesOf(join(folder, `${NAME}-5.ticks`))).toEqual([1]);
  });

  test('a compressed file that exists is kept, and so is the finished one', async () => {
    for (const name of [`${NAME}.ticks`, `${NAME}.ticks.gz`]) writeFileSync(join(folder, name), name);
    const recorder = record(file, { compress: true });
    await recorder.stop();
    for (const name of [`${NAME}.ticks`, `${NAME}.ticks.gz`]) {
      expect(readFileSync(join(folder, name), 'utf8')).toBe(name);
    }
    expect([recorder.counters.uncompressed, files()]).toEqual([1, [`${NAME}.ticks`, `${NAME}.ticks.gz`, 'day.ticks']]);
  });

  test('two recorders with the same pattern of names do not meet', async () => {
    const second = join(folder, 'second');
    mkdirSync(second);
    const recorders = [record(file, { rotateBytes: 1 }), record(join(second, 'day.ticks'), { rotateBytes: 1 })];
    const source = publisher();
    for (let price = 0; price < 20; price++) source.publishMarketData('S', { ltp: price });
    await until('both have them', () => recorders.every(({ counters }) => counters.ticks === 20));
    for (const recorder of recorders) await recorder.stop();
    for (const place of [folder, second]) {
      const names = readdirSync(place).filter((name) => /^day\..+\.ticks$/.test(name));
      const all = await Promise.all(names.map((name) => pricesOf(join(place, name))));
      expect(all.flat().toSorted((a, b) => a - b)).toEqual(numbers(0, 20));
    }
  });

  test('a file that was moved away stays where it is, and the name is begun anew', async () => {
    const recorder = record(file, { rotateBytes: 1000 });
    const source = publisher();
    await recordPrices(recorder, source, 0, 3);
    renameSync(file, join(folder, 'moved'));
    await recordPrices(recorder, source, 3, 50);
    await recordPrices(recorder, source, 50, 53);
    await recorder.stop();
    expect(await pricesOf(join(folder, 'moved'))).toEqual(numbers(0, 50));
    expect([await pricesOf(file), recorder.counters.unrotated]).toEqual([numbers(50, 53), 0]);
  });

  test('a file that another has put under its name is left alone, and all goes on into the one before', async () => {
    const recorder = record(file, { rotateBytes: 1 });
    const source = publisher();
    renameSync(file, join(folder, 'moved'));
    writeFileSync(file, 'of another');
    await recordPrices(recorder, source, 0, 3);
    await recordPrices(recorder, source, 3, 5);
    await recorder.stop();
    expect(readFileSync(file, 'utf8')).toBe('of another');
    expect(await pricesOf(join(folder, 'moved'))).toEqual(numbers(0, 5));
    expect(recorder.counters).toMatchObject({ rotations: 0, unrotated: 2 });
    expect(recorder.rotationFault).toContain('EEXIST');
    expect(files()).toEqual(['day.ticks', 'moved']);
  });

  test('a folder that was moved takes its file along, and nothing is lost', async () => {
    const [before, after] = [join(folder, 'before'), join(folder, 'after')];
    mkdirSync(before);
    const recorder = record(join(before, 'day.ticks'), { rotateBytes: 1 });
    const source = publisher();
    renameSync(before, after);
    await recordPrices(recorder, source, 0, 3);
    await recordPrices(recorder, source, 3, 5);
    await recorder.stop();
    expect(await pricesOf(join(after, 'day.ticks'))).toEqual(numbers(0, 5));
    expect([recorder.counters.unrotated, existsSync(before)]).toEqual([2, false]);
  });

  test('a link leads to the growing file, and finished ones lie beside that', async () => {
    const disk = join(folder, 'disk');
    mkdirSync(disk);
    symlinkSync(join(disk, 'day.ticks'), file);
    const recorder = record(file, { rotateBytes: 1 });
    await recordPrices(recorder, publisher(), 0, 1);
    await recorder.stop();
    expect([files(), readdirSync(disk)]).toEqual([
      ['day.ticks', 'disk'],
      [expect.stringMatching(/^day\.\d{8}T\d{6}Z\.ticks$/), 'day.ticks'],
    ]);
  });
});

describe('a file that is removed while it is written', () => {
  test('is begun anew, so that what comes next is kept', async () => {
    const recorder = record();
    const source = publisher();
    await recordPrices(recorder, source, 0, 3);
    rmSync(file);
    await until('there is a new one', () => existsSync(file));
    await recordPrices(recorder, source, 3, 5);
    await recorder.stop();
    expect(await pricesOf(file)).toEqual(numbers(3, 5));
  });

  test('and whose name another has taken is an error, and not silence', async () => {
    const recorder = record(file, { flushMs: 50 });
    rmSync(file);
    writeFileSync(file, 'of another');
    await expect(recorder.done).rejects.toMatchObject({
      code: 'ERR_FILE',
      message: expect.stringContaining('it was removed'),
    });
    expect(readFileSync(file, 'utf8')).toBe('of another');
  });
});

test('what a recorder left when it was killed in a rotation is removed, and nothing of others', async () => {
  writeFileSync(file, '');
  linkSync(file, join(folder, 'day.20261123T034500Z.ticks'));
  writeFileSync(join(folder, 'day.ticks.1-0.new'), '');
  writeFileSync(join(folder, 'day.ticks.1-1.new'), 'of another');
  writeFileSync(join(folder, 'tomorrow.ticks.1-0.new'), '');
  await record(file, { compress: true }).stop();
  expect(files()).toEqual(['day.ticks', 'day.ticks.1-1.new', 'tomorrow.ticks.1-0.new']);
});
