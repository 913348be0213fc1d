#!/usr/bin/env node
// Takes away every memory ordering of the ring in turn, in a copy of its source, and demands that a loom
// model fails. `--only TEXT` tries the mutations whose place or line holds the text, `--list` names them.
import { spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

const root = join(import.meta.dirname, '..');
const work = join(root, 'target', 'loom-mutations');
const source = 'crates/ring/src';

const WORKERS = 2;

/**
 * The files with orderings, and the models that are tried first: those that failed before. The others are
 * run only if these hold.
 */
const FILES = {
  'segment/lines': ['lines'],
  'segment/tail': ['tail'],
  'segment/topics': ['topics'],
  'segment/record': ['record'],
  'segment/mod': ['header'],
  producer: ['gating'],
  consumer: ['gating'],
  'consumer/resync': ['lapping'],
  'wait/mod': ['waiting'],
  ownership: ['gating', 'hand_over'],
};

/** Files with orderings that loom cannot show to be needed, and why. */
const NOT_MODELLED = {
  'wait/barrier': 'compiles to no instruction and not under loom; what replaces it there is the fence in wait/mod.rs',
};

const { values: options } = parseArgs({ options: { only: { type: 'string' }, list: { type: 'boolean' } } });

/** Files outside of the models in which an ordering stronger than Relaxed is named. */
function filesWithOrderings() {
  return readdirSync(join(root, source), { recursive: true })
    .filter((path) => path.endsWith('.rs') && !path.startsWith('models/') && !path.endsWith('/tests.rs'))
    .filter((path) => /Ordering::(Acquire|Release|AcqRel|SeqCst)/.test(readFileSync(join(root, source, path), 'utf8')))
    .map((path) => path.slice(0, -'.rs'.length));
}

function mutationsOf([file, first]) {
  const path = `${source}/${file}.rs`;
  const lines = readFileSync(join(root, path), 'utf8').split('\n');
  const mutations = [];
  for (const [index, line] of lines.entries()) {
    if (line.startsWith('#[cfg(test)]')) break;
    const code = line.replace(/\/\/.*/, '');
    const place = `${file}.rs:${index + 1}`;
    const add = (what, mutated) => {
      const text = [...lines.slice(0, index), mutated, ...lines.slice(index + 1)].join('\n');
      mutations.push({ place, what, line: line.trim(), path, text, first });
    };
    const fence = code.match(/fence\(Ordering::(\w+)\);/);
    if (fence) {
      add(`${fence[1]} fence removed`, '');
      if (fence[1] === 'SeqCst') add('SeqCst fence → AcqRel', line.replace('SeqCst', 'AcqRel'));
      continue;
    }
    for (const { 0: found, 1: ordering, index: at } of code.matchAll(/Ordering::(Acquire|Release|AcqRel|SeqCst)/g)) {
      add(`${ordering} → Relaxed`, `${line.slice(0, at)}Ordering::Relaxed${line.slice(at + found.length)}`);
    }
  }
  return mutations;
}

/** A workspace of the ring alone, which a worker mutates. Every worker has its own, and its own target. */
function prepareCopy(name) {
  const copy = join(work, name);
  rmSync(join(copy, 'crates'), { recursive: true, force: true });
  mkdirSync(join(copy, 'crates'), { recursive: true });
  cpSync(join(root, 'crates/ring'), join(copy, 'crates/ring'), {
    recursive: true,
    filter: (path) => !path.includes('/fuzz') && !path.endsWith('/tests'),
  });
  cpSync(join(root, 'Cargo.lock'), join(copy, 'Cargo.lock'));
  const manifest = readFileSync(join(root, 'Cargo.toml'), 'utf8');
  writeFileSync(
    join(copy, 'Cargo.toml'),
    `${manifest
      .replace(/^members = .*$/m, 'members = ["crates/ring"]')
      .replace(/^openalgo-shm-frames = .*$/m, '')}\n[profile.test.package."*"]\nopt-level = 3\n`,
  );
  // Models need nothing of what tests need.
  const ring = join(copy, 'crates/ring/Cargo.toml');
  writeFileSync(ring, readFileSync(ring, 'utf8').replace(/^\[dev-dependencies\]\n(?:(?!\[).*\n)*/m, ''));
  return copy;
}

function output(command, args, options) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
    let text = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (part) => {
        text += part;
      });
    }
    child.once('error', reject);
    child.once('close', (status) => resolve({ status, text }));
  });
}

/** Builds the models of a copy; the path of the program. */
async function build(copy) {
  const env = {
    ...process.env,
    RUSTFLAGS: '--cfg loom',
    CARGO_TARGET_DIR: join(copy, 'target'),
    // The ring is compiled for every mutation, loom once.
    CARGO_PROFILE_TEST_OPT_LEVEL: '1',
    CARGO_PROFILE_TEST_DEBUG: '0',
  };
  const args = ['test', '--package', 'openalgo-shm-ring', '--lib', '--no-run', '--message-format=json'];
  const { status, text } = await output('cargo', args, { cwd: copy, env });
  const program = text.match(/"executable":"([^"]+)"/)?.[1];
  if (status !== 0 || program === undefined) throw new Error(`the models cannot be built:\n${text}`);
  return program;
}

/** The name of the first model that fails, or undefined. Models of the groups in `first` are run before the others. */
async function failingModel(program, first = []) {
  const env = { ...process.env, RUST_BACKTRACE: '0' };
  const { text: list } = await output(program, ['models::', '--list'], { env });
  const models = [...list.matchAll(/^models::(\S+): test$/gm)].map((match) => match[1]);
  if (models.length === 0) throw new Error(`there are no models:\n${list}`);
  const isLikely = (model) => first.includes(model.split('::')[0]);
  for (const model of [...models.filter(isLikely), ...models.filter((model) => !isLikely(model))]) {
    const { status, text } = await output(program, ['--exact', `models::${model}`], { env });
    if (!/^running 1 test$/m.test(text)) throw new Error(`the model ${model} did not run:\n${text}`);
    if (status !== 0) return model;
  }
  return undefined;
}

/** Tries mutations one after the other until none is left. */
async function workOff(copy) {
  for (let mutation = left.shift(); mutation !== undefined; mutation = left.shift()) {
    const { place, what, line, path, text } = mutation;
    const target = join(copy, path);
    const original = readFileSync(target, 'utf8');
    writeFileSync(target, text);
    const failed = await failingModel(await build(copy), mutation.first);
    writeFileSync(target, original);
    console.log(`| ${place} | ${what} | \`${line}\` | ${failed ?? '**none**'} |`);
    if (failed === undefined) survivors.push(`${place}: ${what}`);
  }
}

const unlisted = filesWithOrderings().filter((file) => !(file in FILES) && !(file in NOT_MODELLED));
if (unlisted.length > 0) throw new Error(`orderings in files that this script does not know: ${unlisted.join(', ')}`);
const mutations = Object.entries(FILES)
  .flatMap(mutationsOf)
  .filter(({ place, line }) => options.only === undefined || `${place} ${line}`.includes(options.only));
if (options.list) {
  for (const { place, what, line } of mutations) console.log(`${place}\t${what}\t${line}`);
  process.exit(0);
}
const left = [...mutations];
const survivors = [];

const first = prepareCopy('0');
const unchanged = await build(first);
const others = Array.from({ length: Math.min(WORKERS, availableParallelism()) - 1 }, (_, index) => {
  const copy = prepareCopy(`${index + 1}`);
  // With the crates that it stands on compiled already.
  const target = join(copy, 'target');
  if (!existsSync(target)) cpSync(join(first, 'target'), target, { recursive: true, preserveTimestamps: true });
  return copy;
});
const checkUnchanged = async () => {
  const failed = await failingModel(unchanged);
  if (failed !== undefined) throw new Error(`the models fail without any mutation: ${failed}`);
  await workOff(first);
};
await Promise.all([checkUnchanged(), ...others.map(workOff)]);

for (const [file, reason] of Object.entries(NOT_MODELLED)) console.log(`not tried: ${file}.rs: ${reason}`);
console.log(`${mutations.length} mutations, ${survivors.length} not found`);
if (survivors.length > 0) {
  console.error(`not needed by any model:\n  ${survivors.join('\n  ')}`);
  process.exit(1);
}
