import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { FIELDS } from '../../src/message.ts';
import { removeRings, RunningCommand, until } from '../cli/running-command.ts';
import { pythonWith } from '../python.ts';
import { type Snippet, snippetsOf } from './snippets.ts';
import { surround, type Surroundings } from './surroundings.ts';

/** All but the reference, which is made from the declarations and holds no programs. */
const GUIDES = readdirSync('docs')
  .filter((name) => name.endsWith('.md') && name !== 'api.md')
  .map((name) => join('docs', name));
/** Run by `cargo test`, which reads them from the same file. */
const RUST_GUIDE = 'docs/rust-user.md';
const ring = `test-guides-${process.pid}`;
/** The Pythons for snippets that use the package, and for the others. */
const withPackage = pythonWith('openalgo_shm, openalgo, zmq, sqlalchemy, dotenv');
const withClient = withPackage ?? pythonWith('openalgo');

/** Somebody's folder who has installed the package. */
const folder = mkdtempSync(join(tmpdir(), 'openalgo-shm-guides-'));

beforeAll(() => {
  writeFileSync(join(folder, 'package.json'), '{ "private": true }');
  const modules = join(folder, 'node_modules');
  mkdirSync(join(modules, '.bin'), { recursive: true });
  symlinkSync(resolve('.'), join(modules, 'openalgo-shm'));
  for (const name of ['fastify', 'ws', 'msgpackr']) symlinkSync(resolve('node_modules', name), join(modules, name));
  const command = join(modules, '.bin', 'openalgo-shm');
  writeFileSync(command, `#!/bin/sh\nexec "${process.execPath}" "${resolve('dist/cli/main.js')}" "$@"\n`);
  chmodSync(command, 0o755);
});
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(async () => {
  await RunningCommand.endAll();
  for (const name of [ring, `${ring}-mcx`]) removeRings(name);
});

const all = GUIDES.flatMap((guide) => snippetsOf(guide));
const named = (snippets: readonly Snippet[]) =>
  snippets.map((snippet) => [`${snippet.guide}:${snippet.line} (${snippet.language})`, snippet] as const);

test('every snippet that can be run is run', () => {
  const left = all.filter(({ isRun, language, guide }) => !isRun && !(language === 'rust' && guide === RUST_GUIDE));
  expect(left.map(({ guide, line, language }) => [guide, line, language])).toEqual([[RUST_GUIDE, 5, 'toml']]);
  expect(readFileSync('crates/ring/src/lib.rs', 'utf8')).toContain('include_str!("../../../docs/rust-user.md")');
  expect(all.filter(({ isRun }) => isRun).length).toBeGreaterThan(20);
});

describe.each(named(all.filter(({ isRun }) => isRun)))('%s', (_name, snippet) => {
  const needsPackage = snippet.needs.includes('openalgo') || snippet.code.includes('openalgo_shm');
  const python = needsPackage ? withPackage : withClient;
  const needsPython = needsPackage || snippet.language === 'python';
  test.skipIf(needsPython && python === undefined)('does what it says', async () => {
    const surroundings = await surround(snippet, ring, python);
    try {
      await runSnippet(snippet, surroundings, python);
    } finally {
      surroundings.end();
    }
  });
});

async function runSnippet(snippet: Snippet, surroundings: Surroundings, python: string | undefined): Promise<void> {
  const { port, env, openalgo } = surroundings;
  const code = snippet.code
    .replaceAll(/\b(demo|ws_proxy_buffer)\b/g, ring)
    .replaceAll(/\b(SharedMemorySubscriber|install)\(\)/g, `$1("${ring}")`)
    .replaceAll('8765', port)
    .replaceAll('port: 3000', 'port: 0')
    .replaceAll('0.0.0.0', '127.0.0.1');
  const cwd = openalgo ?? folder;
  const [program, ...args] = commandOf(snippet, code, cwd, python);
  // In a group of its own: a shell's children end with it.
  const child = spawn(program!, args, {
    cwd,
    detached: true,
    env: { ...process.env, ...env, PATH: `${join(folder, 'node_modules/.bin')}:${process.env['PATH']}` },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (output += text));
  const ended = once(child, 'close').then(([exitCode]) => exitCode as number | null);
  let isOver = false;
  void ended.then(() => (isOver = true));
  try {
    const text = snippet.until;
    if (text === undefined) {
      const exitCode = await ended;
      if (!snippet.anyExitCode) expect(exitCode, output).toBe(0);
      return;
    }
    await until(`"${text}" in the output`, () => output.includes(text) || isOver);
    expect(output).toContain(text);
  } finally {
    await endGroup(child.pid!, ended);
  }
}

function commandOf({ language }: Snippet, code: string, cwd: string, python: string | undefined): string[] {
  if (language === 'sh') return ['sh', '-ec', code];
  const [program, extension] = language === 'python' ? [python!, 'py'] : [process.execPath, 'mjs'];
  const file = join(cwd, `snippet.${extension}`);
  writeFileSync(file, code);
  return [program, file];
}

async function endGroup(group: number, ended: Promise<unknown>): Promise<void> {
  for (const signal of ['SIGINT', 'SIGKILL'] as const) {
    try {
      process.kill(-group, signal);
    } catch {
      return;
    }
    await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 5000))]);
  }
}

test('every file and place that the guides lead to is there', () => {
  const links = GUIDES.flatMap((guide) =>
    Array.from(
      readFileSync(guide, 'utf8').matchAll(/\]\((?!https?:)([^)#]+)(#[^)]*)?\)/g),
      ([, path]) => [guide, path!] as const,
    ),
  );
  expect(links.length).toBeGreaterThan(10);
  expect(links.filter(([guide, path]) => !existsSync(join(dirname(guide), path)))).toEqual([]);
});

test('the guide for operators explains every reason of bad health, and codes that there are', () => {
  const guide = readFileSync('docs/operator.md', 'utf8');
  const reasons = readFileSync('src/proxy/health.ts', 'utf8').match(/HealthReason =([^;]+);/)![1]!;
  for (const [, reason] of reasons.matchAll(/'(\w+)'/g)) expect(guide).toContain(`503 \`${reason}\``);
  const host = 'crates/python/python/openalgo_shm/host';
  const sources = ['src/errors.ts', ...readdirSync(host).map((name) => join(host, name))].filter((name) =>
    /\.(ts|py)$/.test(name),
  );
  const errors = new Set(sources.flatMap((name) => readFileSync(name, 'utf8').match(/(?<=['"])ERR_[A-Z_]+(?=['"])/g)));
  for (const name of GUIDES) {
    for (const [code] of readFileSync(name, 'utf8').matchAll(/\bERR_[A-Z_]+\b/g)) expect(errors).toContain(code);
  }
});

test('the description of the recording format names the fields in their order', () => {
  const [, list] =
    /<!-- fields -->([^]*)<!-- \/fields -->/.exec(readFileSync('docs/recording-format.md', 'utf8')) ?? [];
  expect(Array.from(list!.matchAll(/`(\w+)`/g), ([, name]) => name)).toEqual(FIELDS.map(([, onWire]) => onWire));
});
