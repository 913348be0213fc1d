import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, existsSync, lstatSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { InterestPublisher } from '../../src/shm/interest.ts';
import { SharedMemoryPublisher } from '../../src/shm/publisher.ts';
import { LockFreeRingBuffer } from '../../src/shm/ring-buffer.ts';
import { removeRings, ringExists, run, RunningCommand, until } from './running-command.ts';

const ring = `test-look-${process.pid}`;
let publisher: SharedMemoryPublisher;

beforeEach(() => {
  publisher = new SharedMemoryPublisher({ name: ring, publisherName: 'mock' }).start();
});
afterEach(async () => {
  await RunningCommand.endAll();
  publisher.stop();
  for (const name of [ring, `${ring}x`]) removeRings(name);
});

function publishSome(): void {
  const depth = { buy: [{ price: 99.5, quantity: 5, orders: 2 }], sell: [{ price: 100.5, quantity: 7 }] };
  publisher.publishMarketData('RELIANCE', { ltp: 100, volume: 10 });
  publisher.publishMarketData('NIFTY25NOVFUT', { exchange: 'NFO', ltp: 24_000, oi: 5 });
  publisher.publishMarketData('RELIANCE', { ltp: 100.05, depth });
}

describe('watch', () => {
  const watch = (...flags: string[]) => run(['watch', `--ring=${ring}`, '--from=oldest', ...flags]);

  test('prints one line a tick in a pipe', async () => {
    publishSome();
    const { code, stdout } = await watch('--count=3', '--depth=1');
    expect(code).toBe(0);
    expect(stdout.split('\n')).toEqual([
      expect.stringMatching(/^NSE:RELIANCE ltp=100 volume=10 .*broker=mock$/),
      expect.stringMatching(/^NFO:NIFTY25NOVFUT ltp=24000 .*oi=5 .*broker=mock$/),
      expect.stringMatching(/^NSE:RELIANCE ltp=100\.05 .*buy=5@99\.5 sell=7@100\.5 broker=mock$/),
      '',
    ]);
  });

  test.each([
    [
      ['RELIANCE', '--count=2'],
      ['NSE:RELIANCE', 'NSE:RELIANCE'],
    ],
    [['nfo:*', '--count=1'], ['NFO:NIFTY25NOVFUT']],
    [['NIFTY*', 'TCS', '--count=1'], ['NFO:NIFTY25NOVFUT']],
    [['--filter=fut', '--count=1'], ['NFO:NIFTY25NOVFUT']],
  ])('shows only what was asked for: %j', async (flags, topics) => {
    publishSome();
    const { stdout } = await watch(...flags);
    expect(
      stdout
        .trim()
        .split('\n')
        .map((line) => line.split(' ')[0]),
    ).toEqual(topics);
  });

  test('prints JSON with the names of the wire', async () => {
    publishSome();
    const { stdout } = await watch('--json', '--count=3');
    const ticks = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(ticks[2]).toMatchObject({
      symbol: 'RELIANCE',
      exchange: 'NSE',
      mode: 3,
      ltp: 100.05,
      depth: { buy: [{ price: 99.5, quantity: 5, orders: 2 }] },
      broker: 'mock',
    });
  });

  test('follows a ring that is removed and made anew', async () => {
    publishSome();
    const command = new RunningCommand(['watch', `--ring=${ring}`, '--from=oldest']);
    await command.says(/ltp=100\.05/);
    publisher.cleanup();
    publisher.start();
    await until('ticks of the new ring', () => {
      publisher.publishMarketData('AGAIN', { ltp: 1 });
      return command.stdout.includes('NSE:AGAIN');
    });
    expect((await command.signal('SIGINT')).code).toBe(0);
  });

  test('does not make a ring, and says what to do without one', async () => {
    const { code, stderr } = await run(['watch', '--ring=test-look-nobody-made']);
    expect([code, stderr]).toEqual([1, expect.stringMatching(/^openalgo-shm: ERR_SHM_NOT_FOUND: .+\n$/)]);
    expect(ringExists('test-look-nobody-made')).toBe(false);
  });
});

describe('stats', () => {
  test('shows a ring with its publishers', async () => {
    publishSome();
    const { code, stdout } = await run(['stats', `--ring=${ring}`, '--json']);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      ring: { name: ring, depth_levels: 5, policy: 'overwrite' },
      publishers: [{ name: 'mock', alive: true, messages_published: 3, pid: process.pid }],
    });
    expect((await run(['stats', `--ring=${ring}`])).stdout).toMatch(/mock +\d+ +3 /);
  });

  test('asks a proxy, and follows it line by line', async () => {
    publishSome();
    const proxy = new RunningCommand(['serve', '--port=0', `--ring=${ring}`, '--log-level=warn']);
    const [, url] = await proxy.says(/→ (ws:\S+);/);
    expect((await run(['stats', `--url=${url}`])).stdout).toMatch(/^proxy http:\/\/127\.0\.0\.1:\d+, up /);
    const follow = new RunningCommand(['stats', `--url=${url}`, '--json', '--follow', '--interval=50']);
    await until('three reports', () => follow.stdout.split('\n').length > 3);
    const { code, stdout } = await follow.signal('SIGINT');
    expect(code).toBe(0);
    expect(JSON.parse(stdout.split('\n')[0]!)).toMatchObject({ clients: { connected: 0 }, ring: { name: ring } });
  });

  test('says so where something else than a proxy answers', async () => {
    const other = createServer((_, response) => response.end('{"clients":5}')).listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo;
    const { code, stderr } = await run(['stats', `--url=http://127.0.0.1:${port}`]);
    expect([code, stderr]).toEqual([1, expect.stringMatching(/ERR_UPSTREAM: .* is no openalgo-shm proxy\n$/)]);
    other.close();
  });

  test('says how to get a proxy where none answers', async () => {
    const { code, stderr } = await run(['stats', '--url=http://127.0.0.1:9']);
    expect([code, stderr]).toEqual([1, expect.stringMatching(/ERR_UPSTREAM: no proxy answers .*--ring NAME\n$/)]);
  });
});

describe('cleanup', () => {
  test('removes what nobody holds, and says what', async () => {
    publisher.stop();
    const { code, stdout } = await run(['cleanup', `--ring=${ring}`]);
    expect([code, stdout]).toEqual([0, expect.stringMatching(new RegExp(`^removed ${ring} \\(.* MiB\\)\n$`))]);
    expect(ringExists(ring)).toBe(false);
  });

  test('keeps what is held, and says by whom', async () => {
    const { code, stdout, stderr } = await run(['cleanup', `--ring=${ring}`]);
    expect([code, stderr]).toEqual([1, expect.stringContaining('ERR_SHM_BUSY')]);
    expect(stdout).toContain(`kept ${ring}: held by mock (process ${process.pid})`);
    expect(ringExists(ring)).toBe(true);
  });

  test('only lists with --dry-run', async () => {
    publisher.stop();
    const { stdout } = await run(['cleanup', `--ring=${ring}`, '--dry-run', '--json']);
    expect(JSON.parse(stdout)).toMatchObject({ removed: [{ name: ring }], held: [], dry_run: true });
    expect(ringExists(ring)).toBe(true);
  });

  test('is content when there is nothing', async () => {
    publisher.cleanup();
    const { code, stdout } = await run(['cleanup', `--ring=${ring}`]);
    expect([code, stdout]).toEqual([0, `there is no ring ${ring}\n`]);
  });

  test('leaves rings of other names alone', async () => {
    const others = [`${ring}x`, `${ring}.mine`];
    for (const other of others) new LockFreeRingBuffer({ name: other }).close();
    new InterestPublisher({ name: ring }).close();
    publisher.stop();
    await run(['cleanup', `--ring=${ring}`]);
    expect([ring, `${ring}.interest`, ...others].map(ringExists)).toEqual([false, false, true, true]);
  });
});

describe.skipIf(process.platform !== 'linux')('what has the name of a ring and is none', () => {
  const name = `test-stranger-${process.pid}`;
  const path = join('/dev/shm', name);
  afterEach(() => {
    for (const end of ['', '.interest', '.events']) rmSync(path + end, { recursive: true, force: true });
  });

  const strangers: [string, () => void, string, RegExp][] = [
    ['a short file', () => writeFileSync(path, 'hello'), 'ERR_SHM_LAYOUT', /not a segment .* it has 5 bytes/],
    ['a file of others', () => writeFileSync(path, 'x'.repeat(9000)), 'ERR_SHM_LAYOUT', /not a segment .* first word/],
    ['an empty file', () => writeFileSync(path, ''), 'ERR_SHM_LAYOUT', /is empty: the process that was creating/],
    ['a directory', () => mkdirSync(path), 'ERR_SHM_SYSTEM', /is a directory, .*rm -r \/dev\/shm/],
    ['a link', () => symlinkSync('/etc/hostname', path), 'ERR_SHM_SYSTEM', /is a symbolic link, /],
    ['a pipe', () => void spawnSync('mkfifo', [path]), 'ERR_SHM_SYSTEM', /is a pipe, /],
  ];

  test.each(strangers)('is named by cleanup and left where it is: %s', async (_what, make, error, reason) => {
    make();
    const before = lstatSync(path);
    for (const flags of [[], ['--dry-run'], ['--json']]) {
      const { code, stdout, stderr } = await run(['cleanup', `--ring=${name}`, ...flags]);
      expect([code, stderr]).toEqual([1, expect.stringMatching(new RegExp(`^openalgo-shm: ${error}: .+\n$`))]);
      expect(stderr).toMatch(reason);
      expect(stderr).toContain(`rm ${lstatSync(path).isDirectory() ? '-r ' : ''}${path}`);
      if (flags[0] !== '--json') expect(stdout).toBe('');
      else expect(JSON.parse(stdout)).toMatchObject({ removed: [], refused: [{ name, code: error }] });
    }
    expect(lstatSync(path).ino).toBe(before.ino);
  });

  test.each(strangers)('is an error of one line for those who read: %s', async (_what, make, error, reason) => {
    make();
    for (const words of [['stats'], ['watch']]) {
      const { code, stdout, stderr } = await run([...words, `--ring=${name}`]);
      expect([code, stdout]).toEqual([1, '']);
      expect(stderr).toMatch(new RegExp(`^openalgo-shm: ${error}: .+\n$`));
      expect(stderr).toMatch(reason);
    }
    const doctor = await run(['doctor', '--port=0', `--ring=${name}`]);
    expect([doctor.code, doctor.stdout]).toEqual([1, expect.stringMatching(reason)]);
  });

  test.each(strangers.slice(3))('is not replaced by those who write: %s', async (_what, make, error, reason) => {
    make();
    const before = lstatSync(path);
    for (const words of [
      ['serve', '--port=0'],
      ['feed', 'simulated'],
    ]) {
      const { code, stderr } = await run([...words, `--ring=${name}`]);
      expect([code, stderr]).toEqual([1, expect.stringMatching(new RegExp(`^openalgo-shm: ${error}: .+\n$`))]);
      expect(stderr).toMatch(reason);
    }
    expect(lstatSync(path).ino).toBe(before.ino);
  });

  test('is named beside a ring that is removed, and by doctor', async () => {
    publisher.stop();
    writeFileSync(`/dev/shm/${ring}.interest`, 'of others');
    const doctor = await run(['doctor', '--port=0', `--ring=${ring}`]);
    expect(doctor.stdout).toMatch(new RegExp(`! ring +${ring}\\.interest cannot be opened`));
    const { code, stdout, stderr } = await run(['cleanup', `--ring=${ring}`]);
    expect([code, stdout]).toEqual([1, expect.stringMatching(new RegExp(`^removed ${ring} \\(`))]);
    expect(stderr).toContain(`/dev/shm/${ring}.interest: not a segment of this library`);
    expect(readFileSync(`/dev/shm/${ring}.interest`, 'utf8')).toBe('of others');
    rmSync(`/dev/shm/${ring}.interest`);
  });

  test.skipIf(process.getuid?.() !== 0)('is another user’s', async () => {
    writeFileSync(path, 'x'.repeat(9000));
    chownSync(path, 12_345, 12_345);
    const { code, stderr } = await run(['cleanup', `--ring=${name}`]);
    expect([code, stderr]).toEqual([1, expect.stringMatching(/ERR_SHM_PERMISSION: .* belongs to user id 12345/)]);
    expect(existsSync(path)).toBe(true);
  });
});
