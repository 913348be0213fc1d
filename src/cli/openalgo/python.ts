import { execFile, type ExecFileException } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { FORMAT_VERSION } from '../../shm/ring-buffer.ts';
import { SetupError } from '../setup-error.ts';
import type { Checkout } from './checkout.ts';

const IS_WINDOWS = process.platform === 'win32';
/** Where installations of OpenAlgo have their environment, seen from the checkout. */
const ENVIRONMENTS = ['.venv', 'venv', 'env', '../venv'];
const IN_ENVIRONMENT = IS_WINDOWS ? 'Scripts/python.exe' : 'bin/python';
/** How long a Python may take to import the package, ms. */
const PATIENCE_MS = 60_000;

const root = fileURLToPath(new URL('../../../', import.meta.url));

/** Prints what a Python is and has, as JSON. */
const PROBE = `
import json, sys
found = {"version": list(sys.version_info[:3])}
try:
    from importlib.util import find_spec
    found["pip"] = find_spec("pip") is not None
    found["there"] = find_spec("openalgo_shm") is not None
    if found["there"]:
        from importlib.metadata import version
        import openalgo_shm, openalgo_shm.host
        found["package"] = version("openalgo-shm")
        found["format"] = openalgo_shm.FORMAT_VERSION
except Exception as error:
    found["error"] = type(error).__name__ + ": " + " ".join(str(error).split())
print("\\n" + json.dumps(found))
`;

interface Probe {
  version: [number, number, number];
  pip?: boolean;
  there?: boolean;
  package?: string;
  format?: number;
  error?: string;
}

/**
 * The Python that runs the adapter host of a checkout: the one that was named, else that of the checkout's environment,
 * else the system's.
 *
 * @param ending ends the search
 * @returns the file or command to run; undefined if the search was ended
 * @throws SetupError `ERR_NOT_INSTALLED` where there is none, it is too old for the checkout, or has no openalgo_shm;
 *   `ERR_SHM_VERSION` where its openalgo_shm does not fit this package
 */
export async function findPython(
  checkout: Checkout,
  named: string | undefined,
  ending: AbortSignal,
): Promise<string | undefined> {
  const python = named ?? environmentOf(checkout) ?? (IS_WINDOWS ? 'python' : 'python3');
  const answer = await askPython(python, checkout, ending);
  if (ending.aborted) return undefined;
  const probe = probeIn(python, answer);
  requireVersion(python, probe, checkout);
  requirePackage(python, probe);
  return python;
}

function environmentOf({ path }: Checkout): string | undefined {
  return ENVIRONMENTS.map((name) => join(path, name, IN_ENVIRONMENT)).find((file) => existsSync(file));
}

interface Answer {
  error: ExecFileException | null;
  stdout: string;
  stderr: string;
}

function askPython(python: string, { path }: Checkout, signal: AbortSignal): Promise<Answer> {
  const options = { cwd: path, timeout: PATIENCE_MS, killSignal: 'SIGKILL', windowsHide: true, signal } as const;
  return new Promise((resolve) => {
    execFile(python, ['-c', PROBE], options, (error, stdout, stderr) => resolve({ error, stdout, stderr }));
  });
}

/** @throws SetupError `ERR_NOT_INSTALLED` */
function probeIn(python: string, { error, stdout, stderr }: Answer): Probe {
  try {
    return JSON.parse(stdout.trimEnd().split('\n').at(-1)!) as Probe;
  } catch (cause) {
    throw new SetupError(
      'ERR_NOT_INSTALLED',
      `${python} cannot be run as a Python: ${whyNot(error, stderr)}; give that of OpenAlgo's environment with --python FILE`,
      { cause: error ?? cause },
    );
  }
}

function whyNot(error: ExecFileException | null, stderr: string): string {
  if (error?.killed === true) return `it gave no answer within ${PATIENCE_MS / 1000} s`;
  // The system's own word: it could not be started.
  if (typeof error?.code === 'string') return error.message;
  return stderr.trim().split('\n').at(-1) || `exit code ${error?.code ?? 0}`;
}

function requireVersion(python: string, { version }: Probe, checkout: Checkout): void {
  const required = checkout.requiresPython;
  if (required === undefined || fits(version, required)) return;
  throw new SetupError(
    'ERR_NOT_INSTALLED',
    `${python} is Python ${version.join('.')}, and ${checkout.path} needs ${required}; give that of OpenAlgo's environment with --python FILE`,
  );
}

/** Whether a version keeps to all bounds such as `>=3.12,<4`; conditions of other kinds are left to installers. */
export function fits(version: readonly number[], required: string): boolean {
  return required.split(',').every((condition) => {
    const [, operator, bound] = /^\s*(>=|<=|>|<)\s*([\d.]+)/.exec(condition) ?? [];
    if (operator === undefined) return true;
    const parts = bound!.split('.').map(Number);
    const order = parts.map((part, i) => Math.sign((version[i] ?? 0) - part)).find((sign) => sign !== 0) ?? 0;
    return { '>=': order >= 0, '<=': order <= 0, '>': order > 0, '<': order < 0 }[operator]!;
  });
}

function requirePackage(python: string, probe: Probe): void {
  if (probe.there === false) {
    throw new SetupError(
      'ERR_NOT_INSTALLED',
      `${python} has no package openalgo-shm; install it: ${installCommand(python, probe)}`,
    );
  }
  if (probe.error !== undefined) {
    throw new SetupError(
      'ERR_NOT_INSTALLED',
      `openalgo_shm cannot be imported by ${python}: ${probe.error}; install it again: ${installCommand(python, probe)}`,
    );
  }
  const own = ownVersion();
  if (probe.package === own && probe.format === FORMAT_VERSION) return;
  throw new SetupError(
    'ERR_SHM_VERSION',
    `${python} has openalgo-shm ${probe.package} with ring format ${probe.format}, and this is ${own} with ring format ${FORMAT_VERSION}; install the same: ${installCommand(python, probe)}`,
  );
}

/** The command that installs the package of this version. Environments that uv made have no pip. */
function installCommand(python: string, { pip }: Probe): string {
  const clone = join(root, 'crates/python');
  const what = existsSync(join(clone, 'pyproject.toml')) ? clone : `openalgo-shm==${ownVersion()}`;
  return pip === false ? `uv pip install --python ${python} ${what}` : `${python} -m pip install ${what}`;
}

function ownVersion(): string {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  return version;
}
