import { afterEach, describe, expect, test } from 'vitest';
import { StandInOpenAlgo } from '../feeds/stand-in.ts';
import { removeRings, run, RunningCommand, until } from './running-command.ts';

const ring = `test-feed-openalgo-${process.pid}`;
const servers: StandInOpenAlgo[] = [];

async function server(port = 0): Promise<StandInOpenAlgo> {
  const made = await StandInOpenAlgo.start(port);
  servers.push(made);
  return made;
}

afterEach(async () => {
  await RunningCommand.endAll();
  for (const one of servers.splice(0)) await one.end();
  removeRings(ring);
});

describe('feed openalgo', () => {
  test('connects with the key of the environment, and sums up at the end', async () => {
    const { url } = await server();
    const feed = new RunningCommand(['feed', 'openalgo', url, `--ring=${ring}`], {
      env: { OPENALGO_SHM_API_KEY: 'good-key' },
    });
    await until('it to be connected', () => feed.stderr.includes(`connected to OpenAlgo at ${url}, broker mock`));
    const { code, stdout, stderr } = await feed.signal('SIGTERM');
    expect(code).toBe(0);
    expect(stdout).toMatch(/published 0 ticks in .* s, 0 of 0 subscribed, 1 connection, 0 malformed, 0 refused\n$/);
    expect(stdout + stderr).not.toContain('good-key');
  });

  test('ends at once, with what OpenAlgo says, when the key is bad', async () => {
    const { url } = await server();
    const { code, stderr, stdout } = await run(['feed', 'openalgo', url, '--api-key=bad-key', `--ring=${ring}`]);
    expect(code).toBe(1);
    expect(stderr).toBe('openalgo-shm: ERR_UPSTREAM: OpenAlgo refuses (AUTHENTICATION_ERROR): Invalid API key\n');
    expect(stdout + stderr).not.toContain('bad-key');
  });

  test('waits for an OpenAlgo that is not there yet', async () => {
    const first = await server();
    await first.end();
    const feed = new RunningCommand(['feed', 'openalgo', first.url, '--api-key=good-key', `--ring=${ring}`]);
    await until('it to have tried', () => /cannot be reached: .*trying again in/.test(feed.stderr));
    await server(first.port);
    await until('it to be connected', () => feed.stderr.includes('connected to OpenAlgo'));
  });

  test('follows a login at OpenAlgo, and says so', async () => {
    const one = await server();
    const flags = ['--api-key=good-key', '--broker-check=20', `--ring=${ring}`];
    const feed = new RunningCommand(['feed', 'openalgo', one.url, ...flags]);
    await until('it to be connected', () => feed.stderr.includes('connected to OpenAlgo'));
    one.tell('dropAdapter');
    await until('it to have noticed', () => feed.stderr.includes('OpenAlgo has dropped its broker; logging in again'));
    await until('it to be back', () => feed.stderr.split('connected to OpenAlgo').length === 3);
    const { stdout } = await feed.signal('SIGTERM');
    expect(stdout).toMatch(/1 connection, 0 malformed, 0 refused, 1 login followed\n$/);
  });

  test.each([
    [['feed', 'openalgo'], 'no API key: give --api-key or set OPENALGO_SHM_API_KEY'],
    [['feed', 'openalgo', 'localhost:8765', '--api-key=x'], "url is 'localhost:8765', expected one as ws://"],
    [['feed', 'openalgo', 'ws://localhost:8765/#a', '--api-key=x'], "url is 'ws://localhost:8765/#a', expected one as"],
  ])('%j is said to be wrong', async (command, message) => {
    const { code, stderr } = await run([...command, `--ring=${ring}`]);
    expect(code).toBe(2);
    expect(stderr).toContain(`openalgo-shm: ERR_INVALID_OPTION: ${message}`);
  });

  test('never shows a key among its settings', async () => {
    const { stdout } = await run(['feed', 'openalgo', '--api-key=secret-of-alice', '--print-config']);
    expect(stdout).toContain('"(set)"');
    expect(stdout).not.toContain('secret-of-alice');
  });
});

describe('feed zmq', () => {
  test('says where it is bound, and sums up at the end', async () => {
    const feed = new RunningCommand(['feed', 'zmq', '--bind=tcp://127.0.0.1:0', `--ring=${ring}`]);
    await until('it to be bound', () => /bound to tcp:\/\/127\.0\.0\.1:\d+/.test(feed.stderr));
    const { code, stdout } = await feed.signal('SIGINT');
    expect(code).toBe(0);
    expect(stdout).toMatch(/published 0 ticks in .* s, 0 messages received, 0 malformed, 0 order updates\n$/);
  });

  test('says that the bus is taken, and by whom it may be', async () => {
    const first = new RunningCommand(['feed', 'zmq', '--bind=tcp://127.0.0.1:0', `--ring=${ring}`]);
    await until('it to be bound', () => /bound to (\S+)/.test(first.stderr));
    const [, endpoint] = /bound to (\S+)/.exec(first.stderr) as RegExpExecArray;
    const { code, stderr } = await run(['feed', 'zmq', `--bind=${endpoint}`, `--ring=${ring}`]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/ERR_PORT_IN_USE: .* is taken, perhaps by OpenAlgo's own WebSocket server/);
  });
});
