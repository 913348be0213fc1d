// Builds Python wheels into target/wheels, for this machine's platform or for those that are named:
//
//   node scripts/wheels.mjs [target | platform | sdist]…
//
// maturin and Zig come from PyPI. Zig links for any Linux from any machine; wheels for macOS and Windows are
// built on their own systems. One wheel a platform is for every Python from 3.10 on.
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runOrExit } from './run.mjs';
import { GLIBC, MACOS, TARGETS } from './targets.mjs';

const TOOLS = ['maturin==1.16.0', 'ziglang==0.17.1'];
const MANIFEST = 'crates/python/Cargo.toml';
const OUT = 'target/wheels';
/** The oldest musl libc that a wheel may ask for, as a tag: Alpine 3.13 has it. */
const MUSL_TAG = 'musllinux_1_2';
const GLIBC_TAG = `manylinux_${GLIBC.replace('.', '_')}`;

const root = fileURLToPath(new URL('..', import.meta.url));
const venv = join(root, '.venv-wheels');
const isWindows = process.platform === 'win32';
const bin = join(venv, isWindows ? 'Scripts' : 'bin');

const here = { linux: `linux-${process.arch}-gnu`, darwin: `darwin-${process.arch}`, win32: 'win32-x64-msvc' }[
  process.platform
];
const asked = process.argv.length > 2 ? process.argv.slice(2) : [here];
const wanted = asked.map((name) => {
  const found = name === 'sdist' ? name : TARGETS.find(({ target, platform }) => name === target || name === platform);
  if (found !== undefined) return found;
  console.error(`unknown: ${name}; expected sdist or one of ${TARGETS.map(({ platform }) => platform).join(', ')}`);
  process.exit(1);
});

if (!existsSync(venv)) {
  await runOrExit(isWindows ? 'python' : 'python3', ['-m', 'venv', venv]);
  await runOrExit(join(bin, 'python'), ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', ...TOOLS]);
}
for (const entry of wanted) await (entry === 'sdist' ? sdist() : wheel(entry));

async function wheel({ target }) {
  console.log(`\n== ${target}`);
  const options = ['build', '--release', '--locked', '--manifest-path', MANIFEST, '--out', OUT, '--target', target];
  if (target.includes('linux')) {
    await runOrExit('rustup', ['target', 'add', target]);
    options.push('--zig', '--compatibility', target.includes('musl') ? MUSL_TAG : GLIBC_TAG);
  }
  await maturin(options);
}

/** What installers compile where there is no wheel. */
async function sdist() {
  console.log('\n== sdist');
  await maturin(['sdist', '--manifest-path', MANIFEST, '--out', OUT]);
}

async function maturin(options) {
  await runOrExit(join(bin, isWindows ? 'maturin.exe' : 'maturin'), options, {
    env: {
      ...process.env,
      // Zig is found as a module of the Python that comes first.
      PATH: bin + delimiter + process.env.PATH,
      CARGO_TARGET_DIR: process.env.CARGO_TARGET_DIR ?? join(root, 'target', 'cross'),
      MACOSX_DEPLOYMENT_TARGET: MACOS,
    },
  });
}
