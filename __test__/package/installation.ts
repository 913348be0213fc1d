import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, readdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

export const root = fileURLToPath(new URL('../..', import.meta.url));
/** The Node that the package is installed for; `scripts/package-matrix.mjs` sets others. */
export const node = process.env['OPENALGO_SHM_NODE'] ?? process.execPath;
const run = promisify(execFile);
const NPM = process.platform === 'win32' ? 'npm.cmd' : 'npm';

/** What a user has: no Rust on the path, nothing of the npm that runs the tests, no settings of this program. */
const environment = {
  ...Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(npm_|NODE_|NAPI_|CARGO|RUST|VITEST|OPENALGO_SHM_)/i.test(name)),
  ),
  PATH: [
    dirname(node),
    ...(process.env['PATH'] ?? '').split(delimiter).filter((path) => !/cargo|rust/i.test(path)),
  ].join(delimiter),
  NO_COLOR: '1',
};

export interface Tarball {
  path: string;
  bytes: number;
  files: string[];
}

/** Packs a folder as npm would publish it. */
export async function pack(folder: string, into: string): Promise<Tarball> {
  const args = ['pack', '--json', '--ignore-scripts', '--pack-destination', into];
  const { stdout } = await run(NPM, args, { cwd: folder, shell: process.platform === 'win32' });
  const [packed] = JSON.parse(stdout) as [{ filename: string; size: number; files: { path: string }[] }];
  return {
    path: join(into, packed.filename),
    bytes: packed.size,
    files: packed.files.map(({ path }) => path).sort(),
  };
}

/** Packs the package of this platform around the addon that was built here. */
export async function packPlatform(into: string): Promise<Tarball> {
  const [addon] = readdirSync(join(root, 'src', 'native')).filter((name) => name.endsWith('.node'));
  if (addon === undefined) throw new Error('there is no addon in src/native: npm run build');
  const platform = addon.split('.')[1]!;
  const folder = join(into, platform);
  cpSync(join(root, 'npm', platform), folder, { recursive: true });
  copyFileSync(join(root, 'src', 'native', addon), join(folder, addon));
  return pack(folder, into);
}

/** A folder of somebody who installed tarballs, and programs that run there. */
export class Installation {
  readonly folder = mkdtempSync(join(tmpdir(), 'openalgo-shm-package-'));

  /** ZeroMQ is optional and large: its feed has tests of its own. */
  async install(...tarballs: Tarball[]): Promise<void> {
    writeFileSync(join(this.folder, 'package.json'), JSON.stringify({ private: true }));
    const args = ['install', '--omit=optional', '--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error'];
    await run(NPM, [...args, ...tarballs.map(({ path }) => path)], {
      cwd: this.folder,
      env: environment,
      shell: process.platform === 'win32',
    });
  }

  write(name: string, text: string): string {
    const path = join(this.folder, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    return path;
  }

  /** Runs a program there and gives what it printed. */
  async run(name: string, text: string, options: readonly string[] = []): Promise<string> {
    const args = [...options, this.write(name, text)];
    const { stdout } = await run(node, args, { cwd: this.folder, env: environment });
    return stdout.trim();
  }

  /** Starts the command that npm linked. */
  start(args: readonly string[]): ChildProcess {
    const bin = join(this.folder, 'node_modules', 'openalgo-shm', 'dist', 'cli', 'main.js');
    return spawn(node, [bin, ...args], { cwd: this.folder, env: environment, stdio: ['ignore', 'pipe', 'inherit'] });
  }

  /** True if a program of this name can be started there. */
  async finds(program: string): Promise<boolean> {
    const probe = `process.exitCode = require('node:child_process').spawnSync(${JSON.stringify(program)}, ['--version']).error ? 3 : 0;`;
    const { code } = await run(node, ['-e', probe], { env: environment }).then(
      () => ({ code: 0 }),
      (error: { code: number }) => error,
    );
    return code === 0;
  }
}
