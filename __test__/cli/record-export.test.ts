import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { SharedMemoryPublisher } from '../../src/shm/publisher.ts';
import { LockFreeRingBuffer } from '../../src/shm/ring-buffer.ts';
import { removeRings, root, run, RunningCommand, until } from './running-command.ts';

const ring = `test-record-${process.pid}`;
const folder = mkdtempSync(join(tmpdir(), 'openalgo-shm-record-'));
const recording = join(folder, 'day.ticks');

afterAll(() => rmSync(folder, { recursive: true }));
afterEach(async () => {
  await RunningCommand.endAll();
  removeRings(ring);
});

/** Records three ticks with the command. */
async function recordThree(...flags: string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const recorder = new RunningCommand(['record', recording, `--ring=${ring}`, '--flush=20', ...flags]);
  await recorder.says(/recording shared memory .* → .*day\.ticks; Ctrl-C ends it/);
  const publisher = new SharedMemoryPublisher({ name: ring, publisherName: 'zerodha' }).start();
  publisher.publishBatch(['TCS', 'SBIN', 'TCS'].map((symbol, price) => ({ symbol, ltp: price })));
  const buffer = LockFreeRingBuffer.open(ring);
  const read = (): number =>
    buffer.stats().subscribers.reduce((sum, { messagesReceived }) => sum + messagesReceived, 0);
  await until('the recorder has read them', () => read() === 3);
  buffer.close();
  publisher.stop();
  return recorder.signal('SIGINT');
}

describe('record, then export and feed replay', () => {
  test('gives the same ticks', async () => {
    const recorded = await recordThree();
    expect([recorded.code, recorded.stderr]).toEqual([0, '']);
    expect(recorded.stdout).toMatch(/recorded 3 ticks, \d+ B\n$/);

    const table = join(folder, 'day.csv');
    const exported = await run(['export', recording, table, '--fields=ltp', '--depth=0', '--symbols=SBIN, TCS ']);
    expect([exported.code, exported.stdout]).toEqual([0, `3 ticks read from ${recording}, 3 written to ${table}\n`]);
    await run(['export', recording, table, '--fields=ltp', '--depth=0', '--symbols=TCS']);
    expect(readFileSync(table, 'utf8').replaceAll(/^\d{4}-\S+Z/gm, 'TIME')).toBe(
      'recorded_at,broker,exchange,symbol,mode,ltp\nTIME,zerodha,NSE,TCS,1,0\nTIME,zerodha,NSE,TCS,1,2\n',
    );
    expect((await run(['export', recording, join(folder, 'day.parquet')])).code).toBe(0);
    expect(readFileSync(join(folder, 'day.parquet')).toString('latin1', 0, 4)).toBe('PAR1');

    await run(['export', recording, table]);
    for (const file of [recording, table, join(folder, 'day.parquet')]) {
      const replayed = await run(['feed', 'replay', file, `--ring=${ring}`, '--speed=max']);
      expect([replayed.code, replayed.stdout, replayed.stderr]).toEqual([
        0,
        expect.stringContaining('published 3 ticks'),
        '',
      ]);
    }
  });

  test('says what was damaged', async () => {
    const bytes = readFileSync(recording);
    writeFileSync(recording, Buffer.concat([bytes, bytes.subarray(0, 40)]));
    const { code, stderr } = await run(['export', recording, join(folder, 'damaged.csv')]);
    expect([code, stderr]).toEqual([
      0,
      '1 damaged place passed over, 40 bytes in all: 1 block lost, with 3 ticks at least\n',
    ]);
    const strict = await run(['export', recording, join(folder, 'strict.csv'), '--strict']);
    expect([strict.code, strict.stdout, existsSync(join(folder, 'strict.csv'))]).toEqual([1, '', false]);
    expect(strict.stderr).toMatch(/^openalgo-shm: ERR_FILE: .* is damaged in one place and a block is lost: .+\n$/);
  });
});

describe('export refuses', () => {
  test.each([
    ['a table of an unknown kind', ['export', recording, join(folder, 'day.xls')], 2, 'ERR_INVALID_OPTION'],
    [
      'a field that there is none of',
      ['export', recording, join(folder, 'x.csv'), '--fields=price'],
      2,
      'ERR_INVALID_OPTION',
    ],
    ['symbols that it has none of', ['export', recording, join(folder, 'x.csv'), '--symbols=INFY'], 1, 'ERR_FILE'],
    ['a full disk', ['export', recording, '/dev/full', '--format=csv'], 1, 'ERR_FILE'],
    ['a directory', ['export', recording, folder, '--format=csv'], 1, 'ERR_FILE'],
    ['a recording that is not there', ['export', join(folder, 'absent'), join(folder, 'x.csv')], 1, 'ERR_FILE'],
  ])('%s, with an error of one line', async (_what, args, exitCode, error) => {
    const { code, stderr } = await run(args);
    expect([code, stderr]).toEqual([exitCode, expect.stringMatching(new RegExp(`^openalgo-shm: ${error}: .+\n$`))]);
    expect(existsSync(join(folder, 'x.csv'))).toBe(false);
  });
});

test.skipIf(process.platform === 'win32').each([
  ['a pipe', '| cat'],
  ['a file', '> "$2"; cat "$2"'],
  ['the end of a file', '>> "$2"; cat "$2"'],
])('export says nothing but the table where its output is that, and goes to %s', (_what, behind) => {
  const command = `"$0" dist/cli/main.js export "$1" /dev/stdout --format=csv --fields=ltp --depth=0 ${behind}`;
  const output = join(folder, 'output');
  writeFileSync(output, 'before\n');
  const { stdout, stderr } = spawnSync('sh', ['-c', command, process.execPath, recording, output], {
    cwd: root,
    encoding: 'utf8',
  });
  expect(stdout.split('\n')).toEqual([
    ...(behind.startsWith('>>') ? ['before'] : []),
    'recorded_at,broker,exchange,symbol,mode,ltp',
    ...Array(3).fill(expect.stringContaining(',zerodha,')),
    '',
  ]);
  expect(stderr).toContain(`3 ticks read from ${recording}, 3 written to /dev/stdout\n`);
});

test('record refuses a file that another recorder writes, and export reads it meanwhile', async () => {
  const growing = join(folder, 'growing.ticks');
  const first = new RunningCommand(['record', growing, `--ring=${ring}`, '--flush=20']);
  await first.says(/Ctrl-C ends it/);
  const publisher = new SharedMemoryPublisher({ name: ring, publisherName: 'zerodha' }).start();
  publisher.publishMarketData('TCS', { ltp: 1 });
  await until('it is written', () => readFileSync(growing).length > 0);
  const second = await run(['record', growing, `--ring=${ring}`]);
  expect([second.code, second.stdout]).toEqual([1, '']);
  expect(second.stderr).toMatch(/^openalgo-shm: ERR_FILE_BUSY: .*growing\.ticks is being written by another .+\n$/);
  expect((await run(['export', growing, join(folder, 'growing.csv')])).code).toBe(0);
  publisher.publishMarketData('TCS', { ltp: 2 });
  expect((await first.signal('SIGINT')).stdout).toMatch(/recorded 2 ticks/);
  publisher.stop();
});

test('record refuses a file that cannot be written, and leaves no reader behind', async () => {
  const { code, stderr } = await run(['record', folder, `--ring=${ring}`]);
  expect([code, stderr]).toEqual([1, expect.stringMatching(/^openalgo-shm: ERR_FILE: /)]);
});
