import { createServer } from 'node:net';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import type { StatsReport } from '../../src/proxy/schemas.ts';
import { removeRings, ringExists, run, RunningCommand, until } from './running-command.ts';

const ring = `test-serve-${process.pid}`;
const serve = (...flags: string[]) =>
  new RunningCommand(['serve', '--port=0', `--ring=${ring}`, '--log-level=warn', ...flags]);

afterEach(async () => {
  await RunningCommand.endAll();
  removeRings(ring);
});

describe('serve', () => {
  test('creates the ring with its options and answers /stats', async () => {
    const [, address] = await serve('--depth-levels=20', '--lanes=3').says(/→ ws:\/\/(\S+);/);
    const stats = (await (await fetch(`http://${address}/stats`)).json()) as StatsReport;
    expect(stats.ring).toMatchObject({ name: ring, depth_levels: 20, lanes: 3, policy: 'overwrite' });
  });

  test.each(['spin', 'adaptive', 'sleep'])('gets ticks when it waits by %s', async (wait) => {
    const [, address] = await serve(`--wait=${wait}`).says(/→ ws:\/\/(\S+);/);
    const feed = new RunningCommand(['feed', 'simulated', `--ring=${ring}`, '--rate=1000']);
    await until('ticks at the proxy', async () => {
      const stats = (await (await fetch(`http://${address}/stats`)).json()) as StatsReport;
      return (stats.subscribers[0]?.messages_received ?? 0) > 100;
    });
    expect((await feed.signal('SIGTERM')).code).toBe(0);
  });

  test('keeps to a ring that is there', async () => {
    const feed = new RunningCommand(['feed', 'simulated', `--ring=${ring}`, '--depth-levels=7']);
    await feed.says(/shared memory/);
    const [, address] = await serve('--depth-levels=20').says(/→ ws:\/\/(\S+);/);
    const stats = (await (await fetch(`http://${address}/stats`)).json()) as StatsReport;
    expect(stats.ring).toMatchObject({ depth_levels: 7 });
  });

  test('sees its clients off and leaves the ring with SIGTERM', async () => {
    const command = serve();
    const [, url] = await command.says(/→ (ws:\S+);/);
    const client = new WebSocket(url!);
    await once(client, 'open');
    const closed = once(client, 'close');
    const { code, stderr } = await command.signal('SIGTERM');
    expect((await closed)[0]).toBe(1001);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(ringExists(ring)).toBe(true);
  });

  test('says that the port is in use', async () => {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    const { code, stderr } = await serve(`--port=${port}`).ended;
    server.close();
    expect(code).toBe(1);
    expect(stderr).toBe(
      `openalgo-shm: ERR_PORT_IN_USE: 127.0.0.1:${port} is in use, perhaps by another proxy; stop it or give another port\n`,
    );
  });

  test('a second proxy on the port leaves the first at work', async () => {
    const [, address, port] = await serve().says(/→ ws:\/\/(127\.0\.0\.1:(\d+));/);
    expect((await run(['serve', `--port=${port}`, `--ring=${ring}`])).code).toBe(1);
    expect((await fetch(`http://${address}/stats`)).status).toBe(200);
  });

  test('takes the hours of the market from flags, with the days off from a file', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'openalgo-shm-'));
    const file = join(directory, 'holidays.txt');
    // Every session that there is falls on a day off: whenever this runs, the market is closed and opens never.
    const today = [-1, 0, 1].map((days) => new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10));
    writeFileSync(file, `# days off\n${today.map((date) => `${date} a day off`).join('\n')}\n\n`);
    const hours = ['--market-hours=Mon-Sun 00:00-24:00', '--market-time-zone=UTC', `--market-holidays=${file}`];
    const [, address] = await serve(...hours).says(/→ ws:\/\/(\S+);/);
    const response = await fetch(`http://${address}/health`);
    expect([response.status, await response.json()]).toMatchObject([200, { status: 'ok', market: 'closed' }]);
    rmSync(directory, { recursive: true });
  });

  test.each([
    ['--market-hours=9-15', /ERR_INVALID_OPTION: marketHours has '9-15', expected sessions/],
    ['--market-holidays=/nowhere', /ERR_USAGE: .*a file of them: ENOENT/],
  ])('says what is wrong with %s', async (flag, message) => {
    const { code, stderr } = await serve(flag).ended;
    expect([code, stderr]).toEqual([2, expect.stringMatching(message)]);
  });

  test('refuses to be reached from elsewhere without keys, and says what to set', async () => {
    const { code, stderr } = await run(['serve', '--host=0.0.0.0', '--port=0', `--ring=${ring}`]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^openalgo-shm: ERR_AUTH_REQUIRED: .*set auth.*\n$/);
  });

  test('asks for the keys of a file, for the figures too', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'openalgo-shm-'));
    const keys = join(directory, 'keys.txt');
    writeFileSync(keys, 'letmein trader\n');
    const [, url] = await serve(`--keys-file=${keys}`).says(/→ (ws:\S+);/);
    const refused = await run(['stats', `--url=${url}`]);
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringMatching(/ERR_UPSTREAM: .*OPENALGO_SHM_API_KEY/)]);
    const told = await run(['stats', `--url=${url}`], { env: { OPENALGO_SHM_API_KEY: 'letmein' } });
    expect([told.code, told.stdout]).toEqual([0, expect.stringContaining(ring)]);
    rmSync(directory, { recursive: true });
  });

  test.skipIf(process.platform === 'win32')(
    'asks the adapter host for keys, where the ring has its socket',
    async () => {
      const directory = mkdtempSync(join(tmpdir(), 'openalgo-shm-'));
      mkdirSync(join(directory, 'openalgo-shm'), { mode: 0o700 });
      const host = createServer((socket) => {
        socket.setEncoding('utf8').on('data', (line: string) => {
          const { id, api_key: key } = JSON.parse(line) as { id: number; api_key: string };
          socket.write(`${JSON.stringify({ id, user_id: key === 'letmein' ? 'trader' : null })}\n`);
        });
      });
      host.listen(join(directory, 'openalgo-shm', `${ring}.sock`));
      await once(host, 'listening');
      const flags = ['serve', '--port=0', `--ring=${ring}`, '--log-level=warn', '--keys-socket'];
      const command = new RunningCommand(flags, { env: { XDG_RUNTIME_DIR: directory } });
      const [, url] = await command.says(/→ (ws:\S+);/);
      const told = async (key: string): Promise<number | null> => {
        return (await run(['stats', `--url=${url}`], { env: { OPENALGO_SHM_API_KEY: key } })).code;
      };
      expect([await told('letmein'), await told('other')]).toEqual([0, 1]);
      expect((await command.signal('SIGTERM')).code).toBe(0);
      host.close();
      rmSync(directory, { recursive: true });
    },
  );

  test('says that a socket’s path is too long', async () => {
    const { code, stderr } = await run([
      'serve',
      '--port=0',
      `--ring=${ring}`,
      `--keys-socket=/tmp/${'x'.repeat(120)}`,
    ]);
    expect([code, stderr]).toEqual([2, expect.stringMatching(/ERR_INVALID_OPTION: auth.socket: .* at most 107/)]);
  });
});
