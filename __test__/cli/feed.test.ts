import { createWriteStream, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { LockFreeRingBuffer } from '../../src/shm/ring-buffer.ts';
import { removeRings, ringExists, run, RunningCommand, until } from './running-command.ts';

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

describe('feed zmq', () => {
  test('refuses what is no address before it makes a ring', async () => {
    const { code, stderr } = await run(['feed', 'zmq', '--bind=foo', `--ring=${ring}`]);
    expect([code, stderr]).toEqual([2, expect.stringMatching(/^openalgo-shm: ERR_INVALID_OPTION: bind is "foo".*\n$/)]);
    expect(ringExists(ring)).toBe(false);
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

  test.each<[string, string | Buffer, RegExp]>([
    ['is empty', '', /ERR_FILE: .*is empty/],
    ['has a header alone', 'symbol,ltp\n', /ERR_FILE: .*holds no tick/],
    ['has not one line that can be read', 'symbol,ltp\nA,cheap\nA,dear\n', /ERR_FILE: .*2 of 3 lines .*line 2/],
    ['is a workbook', 'PK\x03\x04', /ERR_FILE: .*save the sheet as CSV/],
  ])('of a file that %s fails with a line that says so', async (_what, content, message) => {
    const file = join(directory, 'nothing');
    writeFileSync(file, content);
    const { code, stdout, stderr } = await run(['feed', 'replay', file, '--speed=max', `--ring=${ring}`]);
    expect([code, stdout]).toEqual([1, expect.stringContaining('published 0 ticks')]);
    expect(stderr.trimEnd().split('\n').at(-1)).toMatch(message);
  });

  test('says which columns no field is called after, and which steps of the time it skipped', async () => {
    const file = join(directory, 'steps.csv');
    writeFileSync(
      file,
      'symbol,Date,Time,LTP,Side\u001b[2J\nA,2024-01-02,09:15:01,1,BUY\nA,2024-01-03,09:15:01,2,BUY\nA,2024-01-03,09:15:01,3,BUY\n',
    );
    const { code, stdout, stderr } = await run(['feed', 'replay', file, `--ring=${ring}`, '--max-gap=60']);
    expect([code, stdout]).toEqual([0, expect.stringMatching(/published 3 ticks .*, 1 step of its time skipped\n$/)]);
    expect(stderr).toContain('from 2024-01-02T03:45:01.000Z to 2024-01-03T03:45:01.000Z: not waited for');
    expect(stderr).toMatch(/passed over, as no field is called so: "Side\\u001b\[2J"\n/);
  });

  test('prints nothing of a file that could command the terminal', async () => {
    const file = join(directory, 'escapes.csv');
    writeFileSync(file, 'symbol,ltp,\u001b]0;x\u0007\nA,1\n"A\u001b[2J"b,1\nA,\u001b[2J,\n{"\u001b[2J,1,1\n');
    const { code, stderr } = await run(['feed', 'replay', file, `--ring=${ring}`]);
    expect([code, stderr]).toEqual([1, expect.stringContaining('escapes.csv:2: ')]);
    // oxlint-disable-next-line no-control-regex
    expect(stderr).not.toMatch(/[\u0000-\u0009\u000b-\u001f]/);
  });

  test('keeps the rate that is asked for, and takes no speed beside it', async () => {
    const { code, stderr } = await run(replay('--symbol=NIFTY', '--rate=10'));
    expect([code, stderr]).toEqual([
      2,
      expect.stringContaining("'--rate <n>' cannot be used with option '--speed <x>'"),
    ]);
    const feed = await run(['feed', 'replay', prices, '--symbol=NIFTY', '--rate=100', `--ring=${ring}`]);
    expect([feed.code, feed.stdout]).toEqual([0, expect.stringContaining('100 ticks a second')]);
  });

  test.each([
    ['an array of JSON on one line', 'large.json', ['[', ',', ']'], false],
    ['an array of JSON on one line, compressed', 'large.json.gz', ['[', ',', ']'], true],
    ['lines of JSON, compressed', 'large.jsonl.gz', ['', '\n', ''], true],
  ] as const)('takes little memory for %s, of any size', async (_what, name, [open, between, close], isCompressed) => {
    const file = join(directory, name);
    const count = 40_000;
    const remark = 'x'.repeat(1000);
    const pieces = function* () {
      for (let i = 0; i < count; i++) yield `${i === 0 ? open : between}{"symbol":"A","ltp":${i},"remark":"${remark}"}`;
      yield close;
    };
    const stream = isCompressed ? [createGzip({ level: 1 })] : [];
    await pipeline([Readable.from(pieces()), ...stream, createWriteStream(file)]);
    // The text alone has 41 MB.
    const env = { NODE_OPTIONS: '--max-old-space-size=32' };
    const { code, stdout } = await run(['feed', 'replay', file, '--speed=max', `--ring=${ring}`], { env });
    expect([code, stdout]).toEqual([0, expect.stringContaining('published 40,000 ticks')]);
    rmSync(file);
  });

  test('begins again and again with --loop', async () => {
    const feed = new RunningCommand(replay('--symbol=NIFTY', '--loop'));
    await feed.says(/shared memory/);
    await until('a third pass', () => published() > 4);
    expect((await feed.signal('SIGTERM')).code).toBe(0);
  });
});
