// Builds what is missing or older than its sources, so that `npm ci && npm start` is all that a fresh clone needs.
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runOrExit } from './run.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));

const newest = (path) => {
  const entry = statSync(join(root, path));
  if (!entry.isDirectory()) return entry.mtimeMs;
  return Math.max(0, ...readdirSync(join(root, path)).map((name) => newest(join(path, name))));
};
const built = (path) => (existsSync(join(root, path)) ? statSync(join(root, path)).mtimeMs : 0);

const addons = readdirSync(join(root, 'src/native')).filter((name) => name.endsWith('.node'));
const addonBuilt = Math.max(0, ...addons.map((name) => built(join('src/native', name))));
const rustSources = ['Cargo.toml', 'Cargo.lock', '.cargo', 'crates'].filter((path) => existsSync(join(root, path)));
if (addonBuilt < Math.max(...rustSources.map(newest))) {
  await runOrExit('npm', ['run', '--silent', 'build:native']);
}

const typescriptSources = ['src', 'tsconfig.json', 'tsconfig.build.json', 'package.json'];
if (built('dist/cli/main.js') < Math.max(...typescriptSources.map(newest))) {
  await runOrExit('npm', ['run', '--silent', 'build:ts']);
}
