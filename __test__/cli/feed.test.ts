import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { LockFreeRingBuffer } from '../../src/shm/ring-buffer.ts';
import { removeRings, run, RunningCommand, until } from './running-command.ts';

const ring = `test-feed-${process.pid}`;
const directory = mkdtempSync(join(tmpdir(), 'openalgo-shm-'));
const prices = join(directory, 'prices.csv');
writeFileSync(prices, '2022-09-20 09:15:00,17500\nnonsense\n2022-09-20 09:15:01,17499.95\n');

afterEach(async () => {
  await RunningCommand.endAll();
  removeRings(ring);
});
afterAll(() => rmSync(directory, { recursive: true }));

function published(): number {
  const buffer = LockFreeRingBuffer.open(ring);
  const sum = buffer.stats().publishers.reduce((total, lane) => total + lane.messagesPublished, 0);
  buffer.close();
  return sum;
}

describe('feed simulated', () => {
  test('publishes under the broker’s name until Ctrl-C, and sums up', async () => {
    const feed = new RunningCommand(['feed', 'simulated', '--rate=max', '--broker=zerodha', `--ring=${ring}`]);
    await feed.says(/simulated market of 56 instruments/);
    await until('ticks', () => published() > 0);
    const buffer = LockFreeRingBuffer.open(ring);
    expect(buffer.stats().publishers[0]).toMatchObject({ publisher: 'zerodha', alive: true });
    buffer.close();
    const { code, stdout, stderr } = await feed.signal('SIGINT');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/published [\d,]+ ticks in \d+\.\d s\n$/);
  });
});

describe('feed replay', () => {
  const replay = (...flags: string[]) => ['feed', 'replay', prices, '--speed=max', `--ring=${ring}`, ...flags];

  test('reports a malformed line with its number, counts it and goes on', async () => {
    const { code, stdout, stderr } = await run(replay('--symbol=NIFTY', '--exchange=NSE_INDEX'));
    expect(code).toBe(0);
    expect(stdout).toMatch(/published 2 ticks in .*3 lines read \(100 %\), 1 malformed\n$/);
    expect(stderr).toMatch(/prices\.csv:2: .*\n$/);
    expect(published()).toBe(2);
  });

  test('ends at a malformed line with --strict', async () => {
    const { code, stderr } = await run(replay('--symbol=NIFTY', '--strict'));
    expect(code).toBe(1);
    expect(stderr).toMatch(/openalgo-shm: ERR_MALFORMED_LINE: .*prices\.csv:2: /);
  });

  test('needs to know whose prices they are', async () => {
    const { code, stderr } = await run(replay());
    expect(code).toBe(2);
    expect(stderr).toMatch(/ERR_INVALID_OPTION: .*symbol/);
  });

  test('says that a file is not there', async () => {
    const { code, stderr } = await run(['feed', 'replay', join(directory, 'none.csv'), `--ring=${ring}`]);
    expect([code, stderr]).toEqual([1, expect.stringMatching(/^openalgo-shm: ERR_FILE: .*none\.csv.*\n$/)]);
  });

  test('begins again and again with --loop', async () => {
    const feed = new RunningCommand(replay('--symbol=NIFTY', '--loop'));
    await feed.says(/shared memory/);
    await until('a third pass', () => published() > 4);
    expect((await feed.signal('SIGTERM')).code).toBe(0);
  });
});
