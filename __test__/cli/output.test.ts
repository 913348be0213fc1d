import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, openSync, closeSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { readRecording } from '../../src/recording/read-recording.ts';
import { SharedMemoryPublisher } from '../../src/shm/publisher.ts';
import { LockFreeRingBuffer } from '../../src/shm/ring-buffer.ts';
import { removeRings, root, run, until } from './running-command.ts';

const FULL = '/dev/full';
const ring = `test-output-${process.pid}`;
const folder = mkdtempSync(join(tmpdir(), 'openalgo-shm-output-'));
const bin = join(root, 'dist/cli/main.js');

afterEach(() => removeRings(ring));
afterAll(() => rmSync(folder, { recursive: true }));

/** Runs a command whose output goes to a full device. */
async function onFullDisk(args: readonly string[], { stderr = 'pipe' as 'pipe' | 'full' } = {}) {
  const full = openSync(FULL, 'w');
  const command = spawn(process.execPath, [bin, ...args], {
    cwd: folder,
    stdio: ['ignore', full, stderr === 'full' ? full : 'pipe'],
  });
  closeSync(full);
  let said = '';
  command.stderr?.setEncoding('utf8').on('data', (text: string) => (said += text));
  const [code] = await once(command, 'close');
  return { code: code as number, stderr: said };
}

function publisher(): SharedMemoryPublisher {
  return new SharedMemoryPublisher({ name: ring, publisherName: 'zerodha' }).start();
}

describe.skipIf(!existsSync(FULL))('output that cannot be written', () => {
  const line = /^openalgo-shm: ERR_FILE: the output cannot be written: ENOSPC[^\n]*\n$/;

  test.each([
    ['help', ['--help']],
    ['the version', ['--version']],
    ['settings', ['serve', '--print-config']],
    ['a completion', ['completion', 'bash']],
    ['findings', ['doctor', `--ring=${ring}`]],
    ['what was removed', ['cleanup', `--ring=${ring}`]],
    ['figures', ['stats', `--ring=${ring}`]],
    ['figures again and again', ['stats', `--ring=${ring}`, '--follow']],
    ['ticks', ['watch', `--ring=${ring}`, '--from=oldest']],
    ['ticks as JSON', ['watch', `--ring=${ring}`, '--from=oldest', '--json']],
    ['a feed', ['feed', 'simulated', `--ring=${ring}`, '--rate=10']],
    ['a replay', ['feed', 'replay', join(root, '__test__/samples/index-ltp.csv'), '--symbol=A', `--ring=${ring}`]],
  ])('ends %s with one line and exit code 1', async (_what, args) => {
    const feed = publisher();
    feed.publishBatch([{ symbol: 'A', ltp: 1 }]);
    if (args[0] === 'cleanup') feed.stop();
    const { code, stderr } = await onFullDisk(args);
    feed.stop();
    expect([code, stderr]).toEqual([1, expect.stringMatching(line)]);
  });

  test('ends a recording in order, with what had come', async () => {
    const feed = publisher();
    const file = join(folder, 'day.ticks');
    const { code, stderr } = await onFullDisk(['record', file, `--ring=${ring}`]);
    feed.stop();
    expect([code, stderr]).toEqual([1, expect.stringMatching(line)]);
    const buffer = LockFreeRingBuffer.open(ring);
    expect(buffer.stats().subscribers).toEqual([]);
    buffer.close();
  });

  test('on both ends is still exit code 1', async () => {
    publisher().stop();
    expect((await onFullDisk(['stats', `--ring=${ring}`], { stderr: 'full' })).code).toBe(1);
  });

  test('of notes beside it changes nothing', async () => {
    const full = openSync(FULL, 'w');
    const file = join(folder, 'prices.csv');
    writeFileSync(file, '2022-09-20 09:15:00,17500\nnonsense\n');
    const args = ['feed', 'replay', file, '--symbol=NIFTY', `--ring=${ring}`];
    const command = spawn(process.execPath, [bin, ...args], { stdio: ['ignore', 'pipe', full] });
    closeSync(full);
    expect((await once(command, 'close'))[0]).toBe(0);
  });
});

describe('a reader that goes away', () => {
  test('ends a command quietly, and what it holds is written', async () => {
    const feed = publisher();
    const file = join(folder, 'piped.ticks');
    const recorder = spawn(process.execPath, [bin, 'record', file, `--ring=${ring}`, '--flush=3600000'], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let said = '';
    recorder.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
    await once(recorder.stdout, 'data');
    recorder.stdout.destroy();
    feed.publishBatch([{ symbol: 'A', ltp: 1 }]);
    const buffer = LockFreeRingBuffer.open(ring);
    await until('the tick is read', () => buffer.stats().subscribers.some((reader) => reader.messagesReceived === 1));
    buffer.close();
    recorder.kill('SIGINT');
    const [code] = await once(recorder, 'close');
    feed.stop();
    expect([code, said]).toEqual([0, '']);
    const ticks = [];
    for await (const run of readRecording(file)) ticks.push(...run);
    expect(ticks).toMatchObject([{ symbol: 'A', ltp: 1 }]);
  });

  test('ends watch quietly', async () => {
    const feed = publisher();
    const watch = spawn(process.execPath, [bin, 'watch', `--ring=${ring}`, '--from=oldest'], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let said = '';
    watch.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
    feed.publishBatch([{ symbol: 'A', ltp: 1 }]);
    await once(watch.stdout, 'data');
    watch.stdout.destroy();
    const more = setInterval(() => feed.publishBatch([{ symbol: 'A', ltp: 2 }]), 20);
    const [code] = await once(watch, 'close');
    clearInterval(more);
    feed.stop();
    expect([code, said]).toEqual([0, '']);
  });
});

test('a command whose output can be written says so', async () => {
  publisher().stop();
  expect(await run(['stats', `--ring=${ring}`])).toMatchObject({ code: 0, stderr: '' });
});
