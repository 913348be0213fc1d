import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, openSync, closeSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
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
    ['a replay', ['feed', 'replay', join(root, '__test__/samples/index-ltp.csv'), '--symbol=A', `--ring=${ring}`]],
  ])('ends %s with one line and exit code 1', async (_what, args) => {
    const feed = publisher();
    feed.publishBatch([{ symbol: 'A', ltp: 1 }]);
    if (args[0] === 'cleanup') feed.stop();
    const { code, stderr } = await onFullDisk(args);
    feed.stop();
    expect([code, stderr]).toEqual([1, expect.stringMatching(line)]);
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

/** Starts a service whose output, log or both are lost, and waits until it works. */
async function serviceWithout(lost: 'output' | 'log' | 'both', full: number, args: readonly string[]) {
  const service = spawn(process.execPath, [bin, ...args], {
    cwd: folder,
    stdio: ['ignore', lost === 'log' ? 'ignore' : full, lost === 'output' ? 'pipe' : full, 'ipc'],
  });
  const ended = once(service, 'close');
  let said = '';
  service.stderr?.setEncoding('utf8').on('data', (text: string) => (said += text));
  const working = once(service, 'message').then(([{ ready }]) => ready as Record<string, unknown>);
  const ready = await Promise.race([working, ended.then(() => Promise.reject(new Error(`it has ended: ${said}`)))]);
  return {
    ready,
    said: () => said,
    /** Ends it; resolves with its exit code. */
    end: async (): Promise<number> => {
      service.kill('SIGINT');
      return (await ended)[0] as number;
    },
  };
}

describe.skipIf(!existsSync(FULL))('a service whose output cannot be written', () => {
  let full: number;
  beforeEach(() => (full = openSync(FULL, 'w')));
  afterEach(() => closeSync(full));
  const warning = /^openalgo-shm: warning: the output cannot be written: ENOSPC[^\n]*\n$/;

  test.each(['output', 'log', 'both'] as const)('serves on with %s lost, and ends in order', async (lost) => {
    const args = ['serve', `--ring=${ring}`, '--port=0', '--log-level=debug'];
    const proxy = await serviceWithout(lost, full, args);
    const page = String(proxy.ready['url']).replace('ws', 'http');
    for (let request = 0; request < 3; request++) expect((await fetch(`${page}/stats`)).status).toBe(200);
    expect(await proxy.end()).toBe(0);
    if (lost === 'output') expect(proxy.said()).toContain('the output cannot be written: ENOSPC');
  });

  test('publishes on, with one line that says so', async () => {
    const feed = await serviceWithout('output', full, ['feed', 'simulated', `--ring=${ring}`, '--rate=100']);
    await until('the line has come', () => feed.said() !== '');
    const buffer = LockFreeRingBuffer.open(ring);
    const published = () => buffer.stats().publishers[0]?.messagesPublished ?? 0;
    const before = published();
    await until('more is published', () => published() > before);
    buffer.close();
    expect([await feed.end(), feed.said()]).toEqual([0, expect.stringMatching(warning)]);
  });

  test('records on', async () => {
    const feed = publisher();
    const file = join(folder, 'day.ticks');
    const recorder = await serviceWithout('output', full, ['record', file, `--ring=${ring}`]);
    await until('the line has come', () => recorder.said() !== '');
    feed.publishBatch([{ symbol: 'A', ltp: 1 }]);
    const buffer = LockFreeRingBuffer.open(ring);
    await until('the tick is read', () => buffer.stats().subscribers.some((reader) => reader.messagesReceived === 1));
    buffer.close();
    expect([await recorder.end(), recorder.said()]).toEqual([0, expect.stringMatching(warning)]);
    feed.stop();
    expect(await ticksIn(file)).toMatchObject([{ symbol: 'A', ltp: 1 }]);
  });
});

async function ticksIn(file: string): Promise<object[]> {
  const ticks = [];
  for await (const run of readRecording(file)) ticks.push(...run);
  return ticks;
}

describe('a reader that goes away', () => {
  test('costs a recording nothing, and is no reason for a word', async () => {
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
    expect(await ticksIn(file)).toMatchObject([{ symbol: 'A', ltp: 1 }]);
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
