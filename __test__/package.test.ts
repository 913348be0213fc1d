import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { compareVersions, glibcVersions } from '../scripts/glibc-version.mjs';
import { GLIBC, TARGETS, addonName } from '../scripts/targets.mjs';
import { LockFreeRingBuffer } from '../src/shm/ring-buffer.ts';
import { Installation, node, pack, packPlatform, root, type Tarball } from './package/installation.ts';

const KIB = 1024;
/** What a package may weigh packed, in bytes: about half as much again as it did when this was written. */
const BUDGET = { main: 450 * KIB, platform: 600 * KIB };
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const name = `test-package-${process.pid}`;
const tarballs = mkdtempSync(join(tmpdir(), 'openalgo-shm-tarballs-'));
const user = new Installation();
let main: Tarball;
let platform: Tarball;

beforeAll(async () => {
  main = await pack(root, tarballs);
  platform = await packPlatform(tarballs);
  await user.install(main, platform);
}, 300_000);

afterAll(() => {
  for (const { name: found } of LockFreeRingBuffer.list()) {
    if (found.startsWith(name)) LockFreeRingBuffer.unlink(found);
  }
  rmSync(tarballs, { recursive: true, force: true });
  rmSync(user.folder, { recursive: true, force: true });
});

describe('the tarball of the main package', () => {
  test('holds what a user needs and nothing else', () => {
    const strangers = main.files.filter(
      (path) =>
        !/^dist\/.+\.(js|d\.ts)$/.test(path) &&
        !/^src\/dashboard\/.+\.(js|html|css|svg|woff2)$/.test(path) &&
        !/^src\/native\/binding\.(cjs|d\.ts)$/.test(path) &&
        !/^(package\.json|README\.md|LICENSE|CHANGELOG\.md)$/.test(path),
    );
    expect(strangers).toEqual([]);
    expect(main.files).toEqual(expect.arrayContaining(['README.md', 'LICENSE', 'package.json']));
  });

  test('holds every file that package.json names', () => {
    const named = [
      manifest.main,
      manifest.types,
      ...Object.values(manifest.bin),
      ...Object.values(manifest.imports['#native']),
      ...Object.values<string | Record<string, string>>(manifest.exports).flatMap((target) =>
        typeof target === 'string' ? target : Object.values(target),
      ),
    ].map((path) => path.replace(/^\.\//, ''));
    expect(main.files).toEqual(expect.arrayContaining(named));
  });

  test('brings no addon and runs nothing when it is installed', () => {
    expect(main.files.filter((path) => path.endsWith('.node'))).toEqual([]);
    expect(Object.keys(manifest.scripts).filter((script) => /install|prepare/.test(script))).toEqual([]);
  });

  test('stays within its budget', () => {
    expect(main.bytes).toBeLessThan(BUDGET.main);
    expect(platform.bytes).toBeLessThan(BUDGET.platform);
  });
});

describe('the packages of the platforms', () => {
  test.each(TARGETS)('$platform holds its addon alone and says where it runs', ({ target, platform }) => {
    const found = JSON.parse(readFileSync(join(root, 'npm', platform, 'package.json'), 'utf8'));
    expect(found).toMatchObject({
      name: `${manifest.napi.packageName}-${platform}`,
      version: manifest.version,
      main: addonName(platform),
      files: [addonName(platform)],
      os: [platform.split('-')[0]],
      cpu: [platform.split('-')[1]],
      license: manifest.license,
      engines: manifest.engines,
    });
    if (target.includes('linux')) expect(found.libc).toEqual([target.endsWith('musl') ? 'musl' : 'glibc']);
  });

  test('are those that the loader knows of', () => {
    expect(TARGETS.map(({ target }) => target).sort()).toEqual([...manifest.napi.targets].sort());
  });

  test('become dependencies only when they are released', () => {
    expect(
      Object.keys(manifest.optionalDependencies ?? {}).filter((dependency) => dependency.includes('binding')),
    ).toEqual([]);
  });

  const built = TARGETS.filter(({ target }) => target.includes('linux'))
    .map((target) => ({ ...target, path: join(root, 'npm', target.platform, addonName(target.platform)) }))
    .filter(({ path }) => existsSync(path));

  test.skipIf(built.length === 0).each(built)(
    '$platform asks for no newer glibc than it promises',
    ({ path, glibc }) => {
      const versions = glibcVersions(path);
      if (glibc === undefined) expect(versions).toEqual([]);
      else expect(compareVersions(versions.at(-1)!, GLIBC)).toBeLessThanOrEqual(0);
    },
  );

  test.skipIf(process.platform !== 'linux')('are measured by what is found in a program of this system', () => {
    const { glibcVersionRuntime } = (process.report.getReport() as { header: { glibcVersionRuntime?: string } }).header;
    const versions = glibcVersions(process.execPath);
    if (glibcVersionRuntime === undefined) return expect(versions).toEqual([]);
    expect(versions).toContain(process.arch === 'x64' ? '2.2.5' : '2.17');
    return expect(compareVersions(versions.at(-1)!, glibcVersionRuntime)).toBeLessThanOrEqual(0);
  });
});

const READ_BACK = `
const publisher = new SharedMemoryPublisher({ name: '${name}' }).start();
const subscriber = new SharedMemorySubscriber({ name: '${name}', from: 'oldest' }).start();
publisher.publishMarketData('TCS', { ltp: 3500.5 });
console.log(JSON.stringify(subscriber.poll().at(0).toTick()));
subscriber.close();
publisher.cleanup();`;
const TICK = { symbol: 'TCS', exchange: 'NSE', type: 1, ltp: 3500.5 };

describe('installed from the tarballs, with no Rust at hand', () => {
  test('there is no Rust at hand', async () => {
    expect(await user.finds('node')).toBe(true);
    expect(await user.finds('cargo')).toBe(false);
    expect(await user.finds('rustc')).toBe(false);
  });

  test('import publishes and reads', async () => {
    const program = `import { SharedMemoryPublisher, SharedMemorySubscriber } from 'openalgo-shm';${READ_BACK}`;
    expect(JSON.parse(await user.run('import.mjs', program))).toEqual(TICK);
  });

  test('require gives the very same module as import', async () => {
    const program = `
const required = require('openalgo-shm');
const { SharedMemoryPublisher, SharedMemorySubscriber } = required;${READ_BACK}
import('openalgo-shm').then((imported) => console.log(imported.SharedMemoryPublisher === SharedMemoryPublisher));`;
    const [tick, same] = (await user.run('require.cjs', program)).split('\n');
    expect(JSON.parse(tick!)).toEqual(TICK);
    expect(same).toBe('true');
  });

  test('the Fastify plugin registers, by import and by require', async () => {
    const register = `
const app = fastify();
app.register(openalgoShm, { ring: { name: '${name}' } }).ready()
  .then(() => app.inject('/health'))
  .then(async ({ statusCode, body }) => {
    console.log(statusCode, typeof JSON.parse(body).status);
    await app.close();
  });`;
    const imported = `import fastify from 'fastify';\nimport openalgoShm from 'openalgo-shm/fastify';${register}`;
    const required = `const fastify = require('fastify');\nconst { openalgoShm } = require('openalgo-shm/fastify');${register}`;
    expect(await user.run('plugin.mjs', imported)).toMatch(/^(200|503) string$/);
    expect(await user.run('plugin.cjs', required)).toMatch(/^(200|503) string$/);
  });

  test('the command tells its version', async () => {
    const command = user.start(['--version']);
    command.stdout!.setEncoding('utf8');
    let printed = '';
    command.stdout!.on('data', (text: string) => (printed += text));
    const [code] = await once(command, 'close');
    expect({ printed: printed.trim(), code }).toEqual({ printed: manifest.version, code: 0 });
  });

  test.each([
    ['start', ['start', '--port=0', `--ring=${name}-start`], 'running'],
    ['serve', ['serve', '--port=0', `--ring=${name}-serve`, '--log-level=warn'], 'Ctrl-C'],
  ])('the command runs %s until it is told to end', async (what, args) => {
    const command = user.start(args);
    try {
      const url = await addressIn(command.stdout!);
      const client = new WebSocket(url);
      await once(client, 'open');
      if (what === 'start') {
        const page = await fetch(`${url.replace(/^ws/, 'http')}/dashboard/theme.css`);
        expect(page.headers.get('content-type')).toMatch('text/css');
        client.send('{"action":"subscribe","symbol":"RELIANCE","exchange":"NSE","mode":1}');
        expect(await firstTick(client)).toMatchObject({ symbol: 'RELIANCE', exchange: 'NSE' });
      }
      client.terminate();
    } finally {
      command.kill('SIGINT');
    }
    const [code, signal] = await once(command, 'exit');
    if (process.platform !== 'win32') expect({ code, signal }).toEqual({ code: 0, signal: null });
  });
});

describe('types of the installed package', () => {
  const program = `
import { SharedMemoryPublisher, WebSocketProxy, type Tick } from 'openalgo-shm';
import openalgoShm, { type OpenAlgoShmPluginOptions, type Proxy, type StatsReport } from 'openalgo-shm/fastify';
import fastify from 'fastify';

const options: OpenAlgoShmPluginOptions = { ring: { name: 'types' }, name: 'first', prefix: '/market' };
const app = fastify();
await app.register(openalgoShm, options);
const clients: Proxy = app.openalgoShm;
const named: Proxy | undefined = app.openalgoShmProxies.get('first');
const stats: StatsReport = app.openalgoShm.stats();
app.get('/price', async () => (await app.openalgoShm.lastTick('NSE', 'TCS'))?.data);
const injected = await app.injectWS('/market');
injected.send('{"action":"ping"}');
const alone: WebSocketProxy = new WebSocketProxy({ port: 0 });
// @ts-expect-error: names are text
app.openalgoShmProxies.get(5);
const tick: Tick = { symbol: 'TCS', exchange: 'NSE', type: 1, ltp: 3500.5 };
const published: boolean = new SharedMemoryPublisher().publishMarketData(tick.symbol, tick);
// @ts-expect-error: a name is a text
new SharedMemoryPublisher({ name: 5 });
export { alone, clients, named, published, stats };
`;

  test.each([
    ['node16', 'node16'],
    ['nodenext', 'nodenext'],
    ['bundler', 'esnext'],
  ])(
    'are complete under %s, with what is installed, those of libraries checked as well',
    async (moduleResolution, module) => {
      user.write('types.mts', program);
      user.write(
        'tsconfig.json',
        JSON.stringify({
          compilerOptions: {
            module,
            moduleResolution,
            target: 'es2022',
            strict: true,
            noEmit: true,
            skipLibCheck: false,
            exactOptionalPropertyTypes: true,
            types: [],
          },
          files: ['types.mts'],
        }),
      );
      const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
      const run = promisify(execFile)(process.execPath, [compiler, '-p', user.folder]);
      expect(await run.catch((error: { stdout: string }) => error)).toMatchObject({ stdout: '' });
    },
  );
});

describe('where there is no addon', () => {
  const program = `import('openalgo-shm').then(() => console.log('loaded'), ({ code, message }) => console.log(code, message));`;
  const elsewhere = (platform: string, arch: string): string =>
    `for (const [name, value] of Object.entries({ platform: '${platform}', arch: '${arch}' })) Object.defineProperty(process, name, { value });\n${program}`;

  test.each([
    ['sunos', 'x64'],
    ['linux', 'riscv64'],
    ['win32', 'ia32'],
  ])('on %s-%s the error names it, what there is, and how to build one', async (system, arch) => {
    const printed = await user.run('elsewhere.cjs', elsewhere(system, arch));
    expect(printed).toMatch(`ERR_NATIVE there is no native addon for ${system}-${arch}, only for linux-x64, `);
    expect(printed).toMatch('to build it from source, install Rust (https://rustup.rs)');
  });

  test('where it was left out the error names the package and the remedy', async () => {
    const bare = new Installation();
    try {
      await bare.install(main);
      const printed = await bare.run('bare.cjs', program);
      expect(printed).toMatch(`ERR_NATIVE the native addon for ${process.platform}-${process.arch} is not installed`);
      expect(printed).toMatch(`@openalgo-shm/binding-${process.platform}-${process.arch}`);
    } finally {
      rmSync(bare.folder, { recursive: true, force: true });
    }
  });
});

test(`all of this was for ${node}`, async () => {
  const version = await user.run('version.cjs', 'console.log(process.version)');
  expect(Number(version.slice(1).split('.')[0])).toBeGreaterThanOrEqual(20);
});

async function addressIn(output: NodeJS.ReadableStream): Promise<string> {
  output.setEncoding('utf8');
  let printed = '';
  for await (const text of output) {
    printed += text;
    const url = /ws:\/\/[\w.[\]:]+:\d+/.exec(printed)?.[0];
    if (url !== undefined && /Ctrl-C/.test(printed)) return url;
  }
  throw new Error(`no address in: ${printed}`);
}

async function firstTick(client: WebSocket): Promise<unknown> {
  for (;;) {
    const [data] = (await once(client, 'message')) as [Buffer];
    const message = JSON.parse(data.toString()) as { type?: string };
    if (message.type === 'market_data') return message;
  }
}
