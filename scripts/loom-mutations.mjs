#!/usr/bin/env node
// Takes away every memory ordering of the core in turn, in a copy of its source, and demands that a loom
// model fails. `--only TEXT` tries the mutations whose place or line holds the text, `--list` names them.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

const root = join(import.meta.dirname, '..');
const copy = join(root, 'target', 'loom-mutations');
const source = 'crates/core/src';
const files = ['slot', 'record', 'ring', 'producer', 'consumer', 'wait', 'ownership'];

const { values: options } = parseArgs({ options: { only: { type: 'string' }, list: { type: 'boolean' } } });

function mutationsOf(file) {
  const path = `${source}/${file}.rs`;
  const lines = readFileSync(join(root, path), 'utf8').split('\n');
  const mutations = [];
  for (const [index, line] of lines.entries()) {
    if (line.startsWith('#[cfg(test)]')) break;
    const code = line.replace(/\/\/.*/, '');
    const place = `${file}.rs:${index + 1}`;
    const add = (what, mutated) => {
      const text = [...lines.slice(0, index), mutated, ...lines.slice(index + 1)].join('\n');
      mutations.push({ place, what, line: line.trim(), path, text });
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

function prepareCopy() {
  rmSync(copy, { recursive: true, force: true });
  mkdirSync(join(copy, 'crates'), { recursive: true });
  cpSync(join(root, 'crates/core'), join(copy, 'crates/core'), {
    recursive: true,
    filter: (path) => !path.includes('/fuzz') && !path.endsWith('/tests'),
  });
  cpSync(join(root, 'Cargo.lock'), join(copy, 'Cargo.lock'));
  const manifest = readFileSync(join(root, 'Cargo.toml'), 'utf8');
  writeFileSync(
    join(copy, 'Cargo.toml'),
    manifest.replace(/^members = .*$/m, 'members = ["crates/core"]').replace(/^exclude = .*$/m, ''),
  );
}

/** Runs the models in the copy; the name of the first that failed, or undefined. */
function failingModel() {
  const run = spawnSync('cargo', ['test', '--offline', '--package', 'openalgo-shm-core', '--lib', 'models'], {
    cwd: copy,
    encoding: 'utf8',
    env: {
      ...process.env,
      RUSTFLAGS: '--cfg loom',
      CARGO_TARGET_DIR: join(root, 'target/loom'),
      CARGO_PROFILE_TEST_OPT_LEVEL: '3',
      RUST_BACKTRACE: '0',
    },
  });
  const output = run.stdout + run.stderr;
  if (!/^running [1-9]\d* tests?$/m.test(output)) throw new Error(`the models did not run:\n${output}`);
  const failed = [...output.matchAll(/^test models::(\S+) \.\.\. FAILED$/gm)].map((match) => match[1]);
  if (run.status !== 0 && failed.length === 0) return 'the process';
  return failed.length > 0 ? failed.join(', ') : undefined;
}

const mutations = files
  .flatMap(mutationsOf)
  .filter(({ place, line }) => options.only === undefined || `${place} ${line}`.includes(options.only));
if (options.list) {
  for (const { place, what, line } of mutations) console.log(`${place}\t${what}\t${line}`);
  process.exit(0);
}
prepareCopy();
if (failingModel() !== undefined) throw new Error('the models fail without any mutation');
const survivors = [];
for (const { place, what, line, path, text } of mutations) {
  const target = join(copy, path);
  const original = readFileSync(target, 'utf8');
  writeFileSync(target, text);
  const failed = failingModel();
  writeFileSync(target, original);
  console.log(`| ${place} | ${what} | \`${line}\` | ${failed ?? '**none**'} |`);
  if (failed === undefined) survivors.push(`${place}: ${what}`);
}
console.log(`${mutations.length} mutations, ${survivors.length} not found`);
if (survivors.length > 0) {
  console.error(`not needed by any model:\n  ${survivors.join('\n  ')}`);
  process.exit(1);
}
