// A file system without second names and without locks, as a memory stick or a mount of a network may be. There is none
// here: what the system would answer is put in the place of its calls, all else is real.
import type * as fs from 'node:fs';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test, vi } from 'vitest';
import { OpenAlgoShmError } from '../../src/errors.ts';
import { readRecording } from '../../src/recording/read-recording.ts';
import { Recorder } from '../../src/recording/recorder.ts';
import { SharedMemoryPublisher } from '../../src/shm/publisher.ts';
import { LockFreeRingBuffer } from '../../src/shm/ring-buffer.ts';

vi.mock('node:fs', async (original) => ({
  ...(await original<typeof fs>()),
  linkSync: () => {
    throw Object.assign(new Error('EPERM: operation not permitted, link'), { code: 'EPERM' });
  },
}));
vi.mock('../../src/shm/file-lock.ts', () => ({
  tryLockDescriptor: () => {
    throw new OpenAlgoShmError('ERR_FILE', 'Operation not supported');
  },
}));

const RING = { name: `test-poor-file-system-${process.pid}`, policy: 'lossless' } as const;
const folder = mkdtempSync(join(tmpdir(), 'openalgo-shm-poor-'));
const file = join(folder, 'day.ticks');
afterAll(() => {
  LockFreeRingBuffer.unlink(RING.name);
  rmSync(folder, { recursive: true });
});

test('there a recorder says that it has no lock, and rotates and compresses without replacing anything', async () => {
  vi.useFakeTimers({ toFake: ['Date'], now: Date.UTC(2026, 10, 23, 3, 45) });
  const taken = 'day.20261123T034500Z.ticks.gz';
  writeFileSync(join(folder, taken), 'of another');
  const recorder = new Recorder(file, { ...RING, flushMs: 5, rotateBytes: 1 }).start();
  const publisher = new SharedMemoryPublisher({ ...RING, publisherName: 'zerodha' }).start();
  try {
    expect(recorder.locked).toBe(false);
    for (let price = 0; price < 3; price++) {
      publisher.publishMarketData('S', { ltp: price });
      while (recorder.counters.ticks <= price) await new Promise((resolve) => setTimeout(resolve, 1));
    }
    await recorder.stop();
  } finally {
    publisher.stop();
    vi.useRealTimers();
  }
  expect(recorder.counters).toMatchObject({ rotations: 3, unrotated: 0, uncompressed: 0 });
  expect(readFileSync(join(folder, taken), 'utf8')).toBe('of another');
  const finished = readdirSync(folder).filter((name) => name.endsWith('.gz') && name !== taken);
  const prices: (number | undefined)[] = [];
  for (const name of finished) {
    for await (const ticks of readRecording(join(folder, name))) prices.push(...ticks.map(({ ltp }) => ltp));
  }
  expect(prices.toSorted()).toEqual([0, 1, 2]);
  expect(readdirSync(folder)).toHaveLength(5);
});
