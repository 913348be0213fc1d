// Installs the Autobahn test suite into a virtual environment of its own, .venv-autobahn. The suite is written for
// Python 2.7: this finds one that runs, and works with and without pip for it.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from './run.mjs';

const VERSION = '25.10.1';
/** What pip installs. */
export const SUITE = `autobahntestsuite==${VERSION}`;

const VENV = fileURLToPath(new URL('../.venv-autobahn', import.meta.url));
const VENV_PYTHON = join(VENV, 'bin', 'python');
/** The last versions of virtualenv that make environments of Python 2.7. */
const VIRTUALENV = 'virtualenv<20.22';
const PIP = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check'];

/**
 * Installs the suite unless it is there already.
 *
 * @returns the paths of its command and of the Python that runs it
 */
export async function installSuite() {
  const wstest = join(VENV, 'bin', 'wstest');
  if (installedVersion() === VERSION) return { wstest, python: VENV_PYTHON };
  const python = findPython27();
  console.log(`installing ${SUITE} for ${python}`);
  await createEnvironment(python);
  if ((await run(VENV_PYTHON, [...PIP, SUITE], { env: quietEnvironment() })) !== 0) {
    throw new Error(
      `pip could not install ${SUITE}: see its output above. Parts of it are compiled, which needs a C compiler and ` +
        "Python 2.7's headers (apt install gcc python2.7-dev; pyenv's Python has them)",
    );
  }
  return { wstest, python: VENV_PYTHON };
}

function installedVersion() {
  if (!existsSync(VENV_PYTHON)) return undefined;
  return outputOf(VENV_PYTHON, ['-c', 'from autobahntestsuite import _version; print(_version.__version__)']);
}

/**
 * The first Python 2.7 that runs. One that is on the path need not: a version manager's shim is there for every version,
 * and ends with an error where that version is not the chosen one.
 */
function findPython27() {
  const tried = [];
  for (const candidate of python27Candidates()) {
    const python = outputOf(candidate, [
      '-c',
      'import sys; assert sys.version_info[:2] == (2, 7); print(sys.executable)',
    ]);
    if (python) return python;
    tried.push(candidate);
  }
  const list = tried.length > 0 ? tried.join(', ') : 'nothing of that name was found';
  throw new Error(
    `no Python 2.7 runs here, and the Autobahn test suite needs one. Tried: ${list}. Install one with ` +
      '`apt install python2.7 python2.7-dev` (Ubuntu 22.04, Debian 11 and older) or `pyenv install 2.7.18`, or give its ' +
      'path in PYTHON27',
  );
}

function python27Candidates() {
  const pyenv = join(process.env.PYENV_ROOT ?? join(homedir(), '.pyenv'), 'versions');
  const versions = existsSync(pyenv) ? readdirSync(pyenv).filter((name) => name.startsWith('2.7')) : [];
  const folders = [
    ...(process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== ''),
    '/usr/bin',
    '/usr/local/bin',
    ...versions.map((version) => join(pyenv, version, 'bin')),
  ];
  const found = folders
    .flatMap((folder) => [join(folder, 'python2.7'), join(folder, 'python2')])
    .filter((path) => existsSync(path));
  const chosen = process.env.PYTHON27;
  return new Set(chosen ? [chosen, ...found] : found);
}

/** Creates the virtual environment with Python 2.7's own pip, or with that of Python 3 where 2.7 has none. */
async function createEnvironment(python) {
  const folder = mkdtempSync(join(tmpdir(), 'autobahn-virtualenv-'));
  const env = { ...quietEnvironment(), PYTHONPATH: folder };
  const hosts = [python, 'python3', '/usr/bin/python3'].filter((host) => outputOf(host, ['-m', 'pip', '--version']));
  try {
    for (const host of hosts) {
      rmSync(folder, { recursive: true, force: true });
      if ((await run(host, [...PIP, '--target', folder, VIRTUALENV], { env: quietEnvironment() })) !== 0) continue;
      if ((await run(host, ['-m', 'virtualenv', '--quiet', '--clear', '--python', python, VENV], { env })) === 0)
        return;
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  throw new Error(
    hosts.length === 0
      ? `neither ${python} nor python3 has pip, which installs virtualenv: apt install python3-pip`
      : `${VIRTUALENV} could not create ${VENV} with the pip of ${hosts.join(', ')}: see the output above`,
  );
}

function quietEnvironment() {
  return { ...process.env, PIP_NO_PYTHON_VERSION_WARNING: '1', PIP_ROOT_USER_ACTION: 'ignore' };
}

/** What a command prints, trimmed; undefined if it fails. */
function outputOf(command, args) {
  const { status, stdout } = spawnSync(command, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
    timeout: 30_000,
  });
  return status === 0 ? stdout.trim() : undefined;
}
