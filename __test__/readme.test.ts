import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { SharedMemorySubscriber } from '../src/shm/subscriber.ts';
import { removeRings, ringExists, run, RunningCommand, until } from './cli/running-command.ts';

const readme = readFileSync('README.md', 'utf8');
const snippets = Array.from(readme.matchAll(/```js\n([^]*?)```/g), ([, code]) => code!);
const ring = `test-readme-${process.pid}`;

/** A directory of somebody who has installed the package. */
const directory = mkdtempSync(join(tmpdir(), 'openalgo-shm-readme-'));

beforeAll(() => {
  writeFileSync(join(directory, 'package.json'), '{ "name": "users-own", "private": true }');
  mkdirSync(join(directory, 'node_modules'));
  symlinkSync(resolve('.'), join(directory, 'node_modules/openalgo-shm'));
  for (const name of ['fastify', 'ws'])
    symlinkSync(resolve('node_modules', name), join(directory, 'node_modules', name));
});
afterAll(() => rmSync(directory, { recursive: true }));
afterEach(async () => {
  await RunningCommand.endAll();
  removeRings(ring);
});

/** The snippet that contains a text, as it is but for the ring and the port, which others may use on this machine. */
function snippet(containing: string, address = ''): string {
  const found = snippets.filter((code) => code.includes(containing));
  expect(found).toHaveLength(1);
  return found[0]!
    .replace('ws://localhost:8765', address)
    .replace('port: 3000', 'port: 0')
    .replace("prefix: '/market'", `prefix: '/market', ring: { name: '${ring}' }`)
    .replace(/new SharedMemory(Publisher|Subscriber)\(\)/, `new SharedMemory$1({ name: '${ring}' })`)
    .replace("('your_broker')", `('your_broker', { name: '${ring}' })`);
}

/** Runs a program as one would that has installed the package. */
function program(code: string): { output: () => string; ended: Promise<number | null>; kill: () => void } {
  const file = join(directory, `snippet-${Math.random().toString(36).slice(2)}.mjs`);
  writeFileSync(file, code);
  const child = spawn(process.execPath, [file], { cwd: directory, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (output += text));
  return {
    output: () => output,
    ended: once(child, 'close').then(([code]) => code),
    kill: () => child.kill('SIGKILL'),
  };
}

async function serve(): Promise<string> {
  const [, url] = await new RunningCommand(['serve', '--port=0', `--ring=${ring}`, '--log-level=warn']).says(
    /→ (ws:\S+);/,
  );
  return url!;
}

describe('the snippets of the README', () => {
  test('are all run here', () => {
    expect(snippets).toHaveLength(5);
  });

  test('the browser gets ticks with the short form', async () => {
    const url = await serve();
    await new RunningCommand(['feed', 'simulated', `--ring=${ring}`]).says(/simulated/);
    const browser = program(`import { WebSocket } from 'ws';\n${snippet("new WebSocket('ws:", url)}`);
    await until('ticks in the browser', () => browser.output().includes('"market_data"'));
    browser.kill();
    expect(browser.output()).toContain('"symbol":"RELIANCE"');
  });

  test('the publisher publishes, and says so', async () => {
    const subscriber = new SharedMemorySubscriber({ name: ring }).start();
    const publisher = program(snippet('SharedMemoryPublisher'));
    expect(await publisher.ended).toBe(0);
    expect(publisher.output()).toMatch(/messagesPublished: 1,/);
    expect(subscriber.poll().at(0)?.toTick()).toMatchObject({ symbol: 'RELIANCE', ltp: 150.25, seq: 1 });
    subscriber.close();
  });

  test('the publisher’s cleanup unlinks the shared memory', async () => {
    const code = snippet('SharedMemoryPublisher').replace('// publisher.cleanup();', 'publisher.cleanup();');
    expect(await program(code).ended).toBe(0);
    expect(ringExists(ring)).toBe(false);
  });

  test('the adapter hands over its tick', async () => {
    const subscriber = new SharedMemorySubscriber({ name: ring }).start();
    const adapter = program(snippet('SharedMemoryBrokerAdapter'));
    expect([await adapter.ended, adapter.output()]).toEqual([0, '']);
    expect(subscriber.poll().at(0)?.toTick()).toMatchObject({ ltp: 1402.5, volume: 5000, close: 1398.2 });
    subscriber.close();
  });

  test('the reader sees a tick', async () => {
    const reader = program(snippet('for await (const tick of subscriber)'));
    await new RunningCommand(['feed', 'simulated', `--ring=${ring}`]).says(/simulated/);
    expect(await reader.ended).toBe(0);
    expect(reader.output()).toMatch(/^[A-Z_]+ \S+ [\d.]+\n$/);
  });

  test('the Fastify application serves under its prefix', async () => {
    const listening = `${snippet('openalgo-shm/fastify')}\nconsole.log(app.server.address().port);`;
    const app = program(listening);
    await until('the application to listen', () => /^\d+\n/m.test(app.output()));
    const response = await fetch(`http://127.0.0.1:${Number.parseInt(app.output(), 10)}/market/stats`);
    expect(await response.json()).toMatchObject({ ring: { name: ring } });
    app.kill();
    await app.ended;
  });
});

describe('the commands of the README', () => {
  const commands = Array.from(readme.matchAll(/^\| `openalgo-shm ([^`]+)`/gm), ([, line]) => line!.split(' '));

  test('are more than a few', () => {
    expect(commands.length).toBeGreaterThan(8);
  });

  test.each(commands.map((words) => [words.join(' '), words] as const))(
    'openalgo-shm %s is understood',
    async (_, words) => {
      const { code, stderr } = await run([...words, '--print-config']);
      expect([code, stderr]).toEqual([0, '']);
    },
  );

  test('of npm are there', () => {
    const { scripts } = JSON.parse(readFileSync('package.json', 'utf8'));
    expect(Object.keys(scripts)).toEqual(expect.arrayContaining(['start', 'test']));
  });
});

test('every file that the README leads to is there', () => {
  const links = Array.from(readme.matchAll(/\]\((?!https?:)([^)]+)\)/g), ([, path]) => path!);
  expect(links.length).toBeGreaterThan(4);
  for (const path of links) expect(() => readFileSync(path), path).not.toThrow(/ENOENT/);
});
