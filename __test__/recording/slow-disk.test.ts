// A disk that takes its time, or fails. There is none here: its answers come late, or are put in the place of the
// system's; all else is real.
import type * as fs from 'node:fs';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, expect, test, vi } from 'vitest';
import { Recorder } from '../../src/recording/recorder.ts';
import { SharedMemoryPublisher } from '../../src/shm/publisher.ts';
import { LockFreeRingBuffer } from '../../src/shm/ring-buffer.ts';

const disk = vi.hoisted(() => ({ asked: 0, answered: 0, others: 0, fails: false, namesCounted: true, isKept: '' }));

vi.mock('node:fs', async (original) => {
  const real = await original<typeof fs>();
  return {
    ...real,
    fdatasync: (descriptor: number, then: (error: NodeJS.ErrnoException | null) => void) => {
      const { ino } = real.fstatSync(descriptor);
      disk.asked++;
      setTimeout(() => {
        disk.answered++;
        try {
          if (real.fstatSync(descriptor).ino !== ino) disk.others++;
        } catch {
          disk.others++;
        }
        real.fdatasync(descriptor, then);
      }, 30);
    },
    fdatasyncSync: (descriptor: number) => {
      if (disk.fails) throw Object.assign(new Error('EIO: i/o error, fdatasync'), { code: 'EIO' });
      real.fdatasyncSync(descriptor);
    },
    rmSync: (name: string, options?: fs.RmOptions) => {
      if (name === disk.isKept) throw Object.assign(new Error('EACCES: permission denied, unlink'), { code: 'EACCES' });
      real.rmSync(name, options);
    },
    fstatSync: (descriptor: number) => {
      const found = real.fstatSync(descriptor);
      return disk.namesCounted ? found : Object.assign(found, { nlink: 0 });
    },
  };
});

const RING = { name: `test-slow-disk-${process.pid}`, policy: 'lossless' } as const;
const folder = mkdtempSync(join(tmpdir(), 'openalgo-shm-slow-disk-'));
const file = join(folder, 'day.ticks');
beforeEach(() =>
  Object.assign(disk, { asked: 0, answered: 0, others: 0, fails: false, namesCounted: true, isKept: '' }),
);
afterAll(() => {
  LockFreeRingBuffer.unlink(RING.name);
  rmSync(folder, { recursive: true });
});

async function publishOneByOne(recorder: Recorder, prices: number): Promise<void> {
  const publisher = new SharedMemoryPublisher({ ...RING, publisherName: 'zerodha' }).start();
  for (let price = 0; price < prices; price++) {
    const before = recorder.counters.ticks;
    publisher.publishMarketData('S', { ltp: price });
    while (recorder.running && recorder.counters.ticks === before) {
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }
  publisher.stop();
}

test('files are finished while the disk is asked, and compressed when it has answered; a stop waits for it', async () => {
  const recorder = new Recorder(file, { ...RING, flushMs: 2, rotateBytes: 500 }).start();
  await publishOneByOne(recorder, 100);
  await recorder.stop();
  expect(recorder.counters).toMatchObject({ ticks: 100, unrotated: 0, uncompressed: 0 });
  expect(recorder.counters.rotations).toBeGreaterThan(10);
  expect(disk.asked).toBeGreaterThan(1);
  expect([disk.answered, disk.others]).toEqual([disk.asked, 0]);
  expect(readdirSync(folder).filter((name) => name !== 'day.ticks' && !name.endsWith('.gz'))).toEqual([]);
  await new Recorder(file, RING).start().stop();
});

test('ticks that a disk has lost when a file is finished are an error', async () => {
  const recorder = new Recorder(file, { ...RING, flushMs: 5, rotateBytes: 1 }).start();
  const failed = expect(recorder.done).rejects.toMatchObject({
    code: 'ERR_FILE',
    message: expect.stringContaining('EIO'),
  });
  disk.fails = true;
  await publishOneByOne(recorder, 1);
  await failed;
  expect(recorder.running).toBe(false);
});

test('a file system that counts no names is recorded to', async () => {
  disk.namesCounted = false;
  const recorder = new Recorder(file, { ...RING, flushMs: 5 }).start();
  await publishOneByOne(recorder, 20);
  await recorder.stop();
  expect(recorder.counters).toMatchObject({ ticks: 20, rotations: 0 });
});

test('what cannot be tidied up beside a recording is no reason to record nothing', async () => {
  disk.isKept = `${file}.1-0.new`;
  writeFileSync(disk.isKept, '');
  await new Recorder(file, RING).start().stop();
  expect(existsSync(disk.isKept)).toBe(true);
});
