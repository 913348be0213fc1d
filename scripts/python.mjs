// Makes the virtual environments of the tests: `.venv` with the newest Python (OpenAlgo's own needs 3.12), and
// `.venv-oldest` with `python3` where that is an older one. Each has the package built from this tree and what its tests
// need; the first has OpenAlgo's client, too. Does again only what is missing or older than its sources.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { newestIn } from './newest-in.mjs';
import { run } from './run.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const LEAST = 10;
const REQUIREMENTS = 'crates/python/tests/requirements.txt';
/** What `pip install ./crates/python` is made of. */
const SOURCES = [
  'Cargo.lock',
  'Cargo.toml',
  'crates/dialect',
  'crates/ring',
  'crates/python/Cargo.toml',
  'crates/python/pyproject.toml',
  'crates/python/python',
  'crates/python/src',
];

/** The Pythons of the tests' environments that are there, each with its folder. */
export function environments() {
  return ['.venv', '.venv-oldest']
    .map((folder) => ({ folder, python: join(root, folder, 'bin/python') }))
    .filter(({ python }) => existsSync(python));
}

/** Makes the environments; false if there is no Python that can. */
export async function makeEnvironments() {
  const [newest, ...others] = interpreters();
  if (newest === undefined) {
    console.log(`no Python 3.${LEAST} or newer is here: the tests of the Python package are left out`);
    return false;
  }
  const oldest = others.at(-1);
  if (!(await makeEnvironment(newest, '.venv', ['openalgo']))) return false;
  return oldest === undefined || makeEnvironment(oldest, '.venv-oldest', []);
}

async function makeEnvironment({ command, minor }, folder, clients) {
  const python = join(folder, 'bin/python');
  const stamps = { requirements: join(root, folder, 'requirements'), package: join(root, folder, 'package') };
  const requirements = readFileSync(join(root, REQUIREMENTS), 'utf8');
  if (!existsSync(join(root, python)) && (await run(command, ['-m', 'venv', folder])) !== 0) return false;
  if (!existsSync(stamps.requirements) || readFileSync(stamps.requirements, 'utf8') !== requirements) {
    console.log(`== Python 3.${minor}: what the tests need`);
    if ((await run(python, ['-m', 'pip', 'install', '--quiet', '-r', REQUIREMENTS, ...clients])) !== 0) return false;
    writeFileSync(stamps.requirements, requirements);
  }
  const changed = Math.max(...SOURCES.map(newestIn));
  if (!existsSync(stamps.package) || statSync(stamps.package).mtimeMs < changed) {
    console.log(`== Python 3.${minor}: pip install ./crates/python`);
    const install = ['-m', 'pip', 'install', '--quiet', '--force-reinstall', '--no-deps', './crates/python'];
    if ((await run(python, install)) !== 0) return false;
    writeFileSync(stamps.package, '');
  }
  return true;
}

/** The newest Python, and `python3` if it is another one. */
function interpreters() {
  const pyenv = join(process.env.PYENV_ROOT ?? join(homedir(), '.pyenv'), 'versions');
  const installed = existsSync(pyenv) ? readdirSync(pyenv).map((version) => join(pyenv, version, 'bin/python3')) : [];
  const named = ['python3.14', 'python3.13', 'python3.12', ...installed].map(versionOf).filter(Boolean);
  const newest = named.toSorted((one, other) => other.minor - one.minor)[0];
  const own = versionOf('python3');
  if (newest === undefined) return own === undefined ? [] : [own];
  return own === undefined || own.minor >= newest.minor ? [newest] : [newest, own];
}

/** The command with its minor version, if it runs and is new enough. */
function versionOf(command) {
  const asked = spawnSync(command, ['-c', 'import sys; print(*sys.version_info[:2])'], { encoding: 'utf8' });
  const [major, minor] = (asked.stdout ?? '').split(' ').map(Number);
  return asked.status === 0 && major === 3 && minor >= LEAST ? { command, minor } : undefined;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exitCode = (await makeEnvironments()) ? 0 : 1;
