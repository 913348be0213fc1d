// Builds what is missing or older than its sources, so that `npm ci && npm start` is all that a fresh clone needs.
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { newestIn } from './newest-in.mjs';
import { runOrExit } from './run.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const built = (path) => (existsSync(join(root, path)) ? statSync(join(root, path)).mtimeMs : 0);

const addons = readdirSync(join(root, 'src/native')).filter((name) => name.endsWith('.node'));
const addonBuilt = Math.max(0, ...addons.map((name) => built(join('src/native', name))));
const rustSources = ['Cargo.toml', 'Cargo.lock', '.cargo', 'crates'].filter((path) => existsSync(join(root, path)));
if (addonBuilt < Math.max(...rustSources.map(newestIn))) {
  await runOrExit('npm', ['run', '--silent', 'build:native']);
}

const typescriptSources = ['src', 'tsconfig.json', 'tsconfig.build.json', 'package.json'];
if (built('dist/cli/main.js') < Math.max(...typescriptSources.map(newestIn))) {
  await runOrExit('npm', ['run', '--silent', 'build:ts']);
}
