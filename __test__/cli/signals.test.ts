import { spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { FORMAT_VERSION, LockFreeRingBuffer } from '../../src/shm/ring-buffer.ts';
import { processesWith, sharedMemoryOf } from './processes.ts';
import { lives, removeRings, ringExists, root, RunningCommand, until } from './running-command.ts';

/** Longer than the bound of any end: a command that has two processes kills each after ten seconds, the host after 15. */
const ENDING_MS = 28_000;
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

const rings: string[] = [];
function newRing(): string {
  const ring = `test-signal-${process.pid}-${randomBytes(3).toString('hex')}`;
  rings.push(ring);
  return ring;
}
const left = (ring: string) => ({ processes: processesWith(ring), memory: sharedMemoryOf(ring) });
const NOTHING = { processes: [], memory: [] };

afterEach(async () => {
  await RunningCommand.endAll();
  for (const ring of rings.splice(0)) {
    for (const { pid } of processesWith(ring)) process.kill(pid, 'SIGKILL');
    removeRings(ring);
  }
});

/** Ends a command by a signal; its exit code, or that it did not end. */
async function endBy(command: RunningCommand, signal: NodeJS.Signals): Promise<number | null | 'did not end'> {
  command.process.kill(signal);
  const ended = await Promise.race([command.ended, sleep(ENDING_MS, 'did not end' as const, { ref: false })]);
  return ended === 'did not end' ? ended : ended.code;
}

/** Where a start has got to, as others see it. */
const STEPS = {
  'the proxy is a process': (ring: string) => processesWith(`serve --host=127.0.0.1`).some(isOf(ring)),
  'the ring exists': ringExists,
  'the feed is a process': (ring: string) => processesWith(`feed simulated`).some(isOf(ring)),
  'the feed publishes': (ring: string) => ringExists(ring) && isPublished(ring),
};
const isOf = (ring: string) => (found: { command: string }) => found.command.includes(ring);

function isPublished(ring: string): boolean {
  const buffer = LockFreeRingBuffer.open(ring);
  try {
    return buffer.stats().publishers.length > 0;
  } finally {
    buffer.close();
  }
}

describe.skipIf(process.platform !== 'linux')('a signal while start begins', () => {
  const start = (ring: string) => new RunningCommand(['start', '--port=0', `--ring=${ring}`]);

  test('ends everything, whenever it comes in the first two seconds', async () => {
    const delays = Array.from({ length: 27 }, (_, index) => index * 75);
    const failed: object[] = [];
    const attempt = async (delay: number): Promise<void> => {
      const ring = newRing();
      const signal = SIGNALS[(delay / 75) % SIGNALS.length]!;
      const command = start(ring);
      await sleep(delay);
      const code = await endBy(command, signal);
      // Before it has begun its work a process ends as the system has it: by the signal.
      if ((code !== 0 && code !== null) || left(ring).processes.length > 0 || left(ring).memory.length > 0)
        failed.push({ delay, signal, code, ...left(ring), stderr: command.stderr });
    };
    const queue = [...delays];
    const worker = async (): Promise<void> => {
      for (let delay = queue.shift(); delay !== undefined; delay = queue.shift()) await attempt(delay);
    };
    await Promise.all([worker(), worker(), worker()]);
    expect(failed).toEqual([]);
  });

  describe.each(Object.keys(STEPS) as (keyof typeof STEPS)[])('at the moment that %s', (step) => {
    test.each(SIGNALS)('%s ends everything', async (signal) => {
      const ring = newRing();
      const command = start(ring);
      await until(step, () => STEPS[step](ring));
      expect(await endBy(command, signal)).toBe(0);
      expect({ ...left(ring), stderr: command.stderr }).toEqual({ ...NOTHING, stderr: '' });
    });

    test('its end by SIGKILL ends the processes that it has started', async () => {
      const ring = newRing();
      const command = start(ring);
      await until(step, () => STEPS[step](ring));
      await command.signal('SIGKILL');
      await until('no process is left', () => processesWith(ring).length === 0);
    });
  });

  test('a second signal changes nothing', async () => {
    const ring = newRing();
    const command = start(ring);
    await until('the feed is a process', () => STEPS['the feed is a process'](ring));
    for (const signal of ['SIGTERM', 'SIGHUP', 'SIGINT'] as const) command.process.kill(signal);
    expect(await endBy(command, 'SIGTERM')).toBe(0);
    expect(left(ring)).toEqual(NOTHING);
  });

  test('a second Ctrl-C ends processes too that do not end by themselves, and removes the shared memory', async () => {
    const ring = newRing();
    const command = start(ring);
    await command.says(/Ctrl-C ends both/);
    for (const { pid, command: words } of processesWith(ring)) {
      if (words.includes('serve') || words.includes('feed')) process.kill(pid, 'SIGSTOP');
    }
    command.process.kill('SIGINT');
    // Two within a second are one key: npm passes on what the terminal has sent already.
    await sleep(1_100);
    expect(await endBy(command, 'SIGINT')).toBe(130);
    expect(left(ring)).toEqual(NOTHING);
  });

  test.skipIf(spawnSync('flock', ['--version']).status !== 0)(
    'waits for a process that holds the name of the ring, and removes the shared memory then',
    async () => {
      const ring = newRing();
      const command = start(ring);
      await command.says(/Ctrl-C ends both/);
      const holder = spawn('flock', ['--no-fork', `/dev/shm/${ring}.lock`, 'sh', '-c', 'echo held; exec sleep 60']);
      await once(holder.stdout, 'data');
      const ended = endBy(command, 'SIGTERM');
      await until(
        'only the memory is left',
        () => !processesWith(ring).some(({ command: words }) => /serve|feed/.test(words)),
      );
      // Longer than a call that blocks the event loop would wait.
      await sleep(500);
      holder.kill('SIGKILL');
      expect([await ended, command.stderr, left(ring)]).toEqual([0, '', NOTHING]);
    },
  );

  test('output that nobody reads any more leaves nothing behind', async () => {
    const ring = newRing();
    const command = new RunningCommand(['start', '--port=0', `--ring=${ring}`]);
    command.process.stdout!.destroy();
    await command.ended;
    await until('nothing is left', () => left(ring).processes.length + left(ring).memory.length === 0);
  });
});

describe.skipIf(process.platform !== 'linux')('a signal while another command begins', () => {
  test.each(['serve', 'feed'])('%s ends, whenever it comes', async (name) => {
    const ring = newRing();
    const args = name === 'serve' ? ['serve', '--port=0', '--threads=2', '--log-level=warn'] : ['feed', 'simulated'];
    const failed: object[] = [];
    for (let delay = 0; delay <= 700; delay += 50) {
      const command = new RunningCommand([...args, `--ring=${ring}`]);
      await sleep(delay);
      const code = await endBy(command, SIGNALS[(delay / 50) % SIGNALS.length]!);
      if (code !== 0 && code !== null) failed.push({ delay, code, stderr: command.stderr });
    }
    expect([failed, processesWith(ring)]).toEqual([[], []]);
  });

  test.each(['bench-role echo', 'bench-role publish', 'bench-role receive'])(
    'bench ends with all that it has started, at the moment that there is %s',
    async (role) => {
      const command = new RunningCommand(['bench', '--seconds=0.2', '--clients=2']);
      const ring = `bench-${command.process.pid}`;
      rings.push(ring);
      const started = () => processesWith(role).filter(({ parent }) => parent === command.process.pid);
      await until(role, () => started().length > 0);
      const pids = started().map(({ pid }) => pid);
      expect([await endBy(command, 'SIGINT'), command.stderr]).toEqual([130, '']);
      expect([pids.filter(lives), left(ring)]).toEqual([[], NOTHING]);
    },
  );
});

describe.skipIf(process.platform !== 'linux')('openalgo', () => {
  const folder = mkdtempSync(join(tmpdir(), 'openalgo-shm-checkout-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  for (const file of [
    'websocket_proxy/broker_factory.py',
    'websocket_proxy/connection_manager.py',
    'database/auth_db.py',
  ]) {
    mkdirSync(join(folder, file, '..'), { recursive: true });
    writeFileSync(join(folder, file), '');
  }
  writeFileSync(join(folder, '.env'), "APP_MODE='standalone'\nZMQ_PORT='21790'\n");

  /** Something that answers as a Python does, and says that it is a host. */
  function python(name: string, asked: string): string {
    const file = join(folder, name);
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
    const answer = JSON.stringify({ version: [3, 12, 0], there: true, package: version, format: FORMAT_VERSION });
    writeFileSync(
      file,
      `#!/bin/sh
case "$1" in
  -c) ${asked}; echo '${answer}' ;;
  *) echo 'host: broker mock, user u -> shared memory x'; cat > /dev/null ;;
esac
`,
    );
    chmodSync(file, 0o755);
    return file;
  }

  const run = (ring: string, file: string, ...more: string[]) =>
    new RunningCommand(['openalgo', folder, '--port=0', '--no-keys', `--python=${file}`, `--ring=${ring}`, ...more]);

  test.each(SIGNALS)('%s ends it at once while its Python is asked what it is', async (signal) => {
    const ring = newRing();
    // A nap that nobody else on this machine takes.
    const nap = `sleep 50.${process.pid}${SIGNALS.indexOf(signal)}`;
    const command = run(ring, python(`slow-${signal}`, `exec ${nap}`));
    await until('it is asked', () => processesWith(nap).length > 0);
    expect(await endBy(command, signal)).toBe(0);
    await until('the Python has ended', () => processesWith(nap).length === 0);
    expect(left(ring)).toEqual(NOTHING);
  });

  test.each([
    ['its proxy is a process', (ring: string) => processesWith('serve --host').some(isOf(ring))],
    ['its ring exists', ringExists],
    ['its host is a process', (ring: string) => processesWith('--parent-pipe').some(isOf(ring))],
  ])('a signal at the moment that %s ends everything', async (_step, isThere) => {
    for (const signal of SIGNALS) {
      const ring = newRing();
      const command = run(ring, python('quick', 'true'));
      await until('the step', () => isThere(ring));
      expect(await endBy(command, signal)).toBe(0);
      expect(left(ring)).toEqual(NOTHING);
    }
  });

  test('a signal at the moment that a process is started again ends everything', async () => {
    for (const victim of ['serve --host', '--parent-pipe']) {
      const ring = newRing();
      const command = run(ring, python('quick', 'true'));
      await command.says(/Ctrl-C ends both/);
      const find = () => processesWith(victim).find(isOf(ring))?.pid;
      const before = find()!;
      process.kill(before, 'SIGKILL');
      await until('its successor', () => ![undefined, before].includes(find()));
      expect(await endBy(command, 'SIGTERM')).toBe(0);
      expect(left(ring)).toEqual(NOTHING);
    }
  });

  test('starts nothing again when it gives up because one of the two cannot be configured', async () => {
    const ring = newRing();
    const config = join(folder, 'settings.json');
    writeFileSync(config, '{}');
    const command = run(ring, python('quick', 'true'), `--config=${config}`);
    await command.says(/Ctrl-C ends both/);
    writeFileSync(config, '{ "no-such-setting": 1 }');
    process.kill(processesWith('serve --host').find(isOf(ring))!.pid, 'SIGKILL');
    const { code, stderr } = await command.ended;
    expect([code, stderr]).toEqual([2, expect.not.stringContaining('the host')]);
    await until('nothing is left', () => processesWith(ring).length === 0);
    expect(lives(command.process.pid!)).toBe(false);
  });
});
