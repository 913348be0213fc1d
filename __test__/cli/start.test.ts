import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { LockFreeRingBuffer } from '../../src/shm/ring-buffer.ts';
import { lives, removeRings, ringExists, run, RunningCommand, until } from './running-command.ts';

const ring = `test-start-${process.pid}`;
const start = (...flags: string[]) => new RunningCommand(['start', '--port=0', `--ring=${ring}`, ...flags]);

afterEach(async () => {
  await RunningCommand.endAll();
  removeRings(ring);
});

async function pidsOf(command: RunningCommand): Promise<{ feed: number; proxy: number }> {
  const [, feed] = await command.says(/feed .*process (\d+)/);
  const [, proxy] = await command.says(/proxy .*process (\d+)/);
  await command.says(/Ctrl-C ends both/);
  return { feed: Number(feed), proxy: Number(proxy) };
}

describe('start', () => {
  test('serves the simulated market and says what to try next', async () => {
    const command = start();
    const [, url] = await command.says(/new WebSocket\('(ws:[^']+)'\)/);
    expect(command.stdout).toMatch(/watch RELIANCE/);
    expect(command.stdout).toMatch(/ stats/);
    const [, page] = await command.says(/(http:\/\/\S+)\s+the market and the proxy on a page/);
    expect(await (await fetch(page!)).text()).toMatch(/<html/i);
    const client = new WebSocket(url!);
    await once(client, 'open');
    client.send('{"action":"subscribe","symbol":"RELIANCE"}');
    const ticks: { symbol: string; data: { ltp: number } }[] = [];
    client.on('message', (data) => {
      const message = JSON.parse(String(data));
      if (message.type === 'market_data') ticks.push(message);
    });
    await until('ticks of RELIANCE', () => ticks.length >= 3);
    expect(ticks.every(({ symbol, data }) => symbol === 'RELIANCE' && data.ltp > 0)).toBe(true);
    client.terminate();
  });

  test('ends both processes and removes the shared memory with Ctrl-C', async () => {
    const command = start();
    const { feed, proxy } = await pidsOf(command);
    expect(ringExists(ring)).toBe(true);
    const { code, stderr } = await command.signal('SIGINT');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect([lives(feed), lives(proxy), ringExists(ring)]).toEqual([false, false, false]);
  });

  test('takes a Ctrl-C that comes twice at once, as under npm, for one', async () => {
    const command = start();
    await pidsOf(command);
    command.process.kill('SIGINT');
    const { code } = await command.signal('SIGINT');
    expect([code, ringExists(ring)]).toEqual([0, false]);
  });

  test.each(['feed', 'proxy'] as const)(
    'ends with an error when its %s dies, and the other with it',
    async (victim) => {
      const command = start();
      const pids = await pidsOf(command);
      process.kill(pids[victim], 'SIGKILL');
      const { code, stderr } = await command.ended;
      expect(code).toBe(1);
      expect(stderr).toMatch(new RegExp(`ERR_UPSTREAM: the process of the ${victim} was ended by a signal`));
      expect([lives(pids.feed), lives(pids.proxy), ringExists(ring)]).toEqual([false, false, false]);
    },
  );

  test('leaves no process behind when it is killed itself', async () => {
    const command = start();
    const { feed, proxy } = await pidsOf(command);
    await command.signal('SIGKILL');
    await until('feed and proxy to end', () => !lives(feed) && !lives(proxy));
  });

  test('says which port is in use, once, and disturbs nobody', async () => {
    const first = start();
    const [, port] = await first.says(/ws:\/\/127\.0\.0\.1:(\d+)/);
    await pidsOf(first);
    const second = await run(['start', `--port=${port}`, `--ring=${ring}`]);
    expect(second.code).toBe(1);
    expect(second.stderr).toMatch(/^openalgo-shm: ERR_PORT_IN_USE: 127\.0\.0\.1:\d+ is in use.*\n$/);
    expect(ringExists(ring)).toBe(true);
    const response = await fetch(`http://127.0.0.1:${port}/health`);
    expect(await response.json()).toMatchObject({ status: 'ok' });
  });

  test('hands its configuration file on to feed and proxy', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'openalgo-shm-'));
    const config = join(directory, 'settings.json');
    writeFileSync(config, JSON.stringify({ rate: 7, feed: { broker: 'paper' }, serve: { snapshot: false } }));
    const command = start(`--config=${config}`);
    await command.says(/7 ticks a second/);
    await pidsOf(command);
    const { stdout } = await run(['stats', `--ring=${ring}`, '--json']);
    expect(JSON.parse(stdout).publishers).toMatchObject([{ name: 'paper' }]);
    rmSync(directory, { recursive: true });
  });

  test('removes no ring whose name only begins like its own', async () => {
    const other = new LockFreeRingBuffer({ name: `${ring}.mine` });
    const command = start();
    await pidsOf(command);
    await command.signal('SIGTERM');
    expect([ring, `${ring}.interest`, `${ring}.mine`].map(ringExists)).toEqual([false, false, true]);
    other.close();
  });

  test('keeps a ring that was there before and is still held', async () => {
    const feed = new RunningCommand(['feed', 'simulated', `--ring=${ring}`]);
    await feed.says(/shared memory/);
    const command = start();
    await pidsOf(command);
    await command.signal('SIGTERM');
    expect(ringExists(ring)).toBe(true);
  });
});
