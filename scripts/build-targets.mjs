// Builds the addons of all platforms on this machine into npm/<platform>/, or only the targets that are named:
//
//   node scripts/build-targets.mjs [target | platform]…
//
// Zig links them. It and cargo-zigbuild come from PyPI, the targets' standard libraries from rustup. Nothing
// is linked for Windows: its code is checked, as addon and as the tests of the core.
import { copyFileSync, existsSync, mkdirSync, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { compareVersions, glibcVersions } from './glibc-version.mjs';
import { runOrExit } from './run.mjs';
import { MACOS, TARGETS, addonName } from './targets.mjs';

const ZIG = ['ziglang==0.17.1', 'cargo-zigbuild==0.24.0'];
const root = fileURLToPath(new URL('..', import.meta.url));
const venv = join(root, '.venv-zig');
const targetDirectory = process.env.CARGO_TARGET_DIR ?? join(root, 'target', 'cross');

const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !TARGETS.some(({ target, platform }) => name === target || name === platform));
if (unknown.length > 0) {
  console.error(`unknown: ${unknown.join(', ')}; expected ${TARGETS.map(({ target }) => target).join(', ')}`);
  process.exit(1);
}
const wanted = TARGETS.filter(
  ({ target, platform }) => asked.length === 0 || asked.includes(target) || asked.includes(platform),
);

await runOrExit('rustup', ['target', 'add', ...wanted.map(({ target }) => target)]);
if (wanted.some(({ linker }) => linker === 'zig') && !existsSync(join(venv, 'bin', 'cargo-zigbuild'))) {
  await runOrExit('python3', ['-m', 'venv', venv]);
  await runOrExit(join(venv, 'bin', 'pip'), ['install', '--quiet', '--disable-pip-version-check', ...ZIG]);
}

const built = [];
for (const entry of wanted) {
  console.log(`\n== ${entry.target}`);
  if (entry.linker === 'zig') built.push(await build(entry));
  else await check(entry);
}
console.log(built.map(({ path, bytes }) => `${path}  ${(bytes / 1024).toFixed(0)} KiB`).join('\n'));

async function build({ target, platform, glibc, rustflags }) {
  const variable = `CARGO_TARGET_${target.toUpperCase().replaceAll('-', '_')}_RUSTFLAGS`;
  const zigTarget = glibc === undefined ? target : `${target}.${glibc}`;
  await runOrExit(
    'cargo',
    ['zigbuild', '--release', '--locked', '--package', 'openalgo-shm-node', '--target', zigTarget],
    {
      env: {
        ...process.env,
        ...(rustflags === undefined ? {} : { [variable]: rustflags }),
        PATH: join(venv, 'bin') + delimiter + process.env.PATH,
        CARGO_TARGET_DIR: targetDirectory,
        MACOSX_DEPLOYMENT_TARGET: MACOS,
      },
    },
  );
  const library = target.includes('apple') ? 'libopenalgo_shm_node.dylib' : 'libopenalgo_shm_node.so';
  const path = join('npm', platform, addonName(platform));
  mkdirSync(join(root, 'npm', platform), { recursive: true });
  copyFileSync(join(targetDirectory, target, 'release', library), join(root, path));
  if (target.includes('linux')) refuseNewerGlibc(path, glibc);
  return { path, bytes: statSync(join(root, path)).size };
}

function refuseNewerGlibc(path, oldest) {
  const newer = glibcVersions(join(root, path)).filter(
    (version) => oldest === undefined || compareVersions(version, oldest) > 0,
  );
  if (newer.length === 0) return;
  console.error(`${path} asks for glibc ${newer.join(', ')}; expected ${oldest ?? 'none'}`);
  process.exit(1);
}

async function check({ target }) {
  const env = { ...process.env, CARGO_TARGET_DIR: targetDirectory };
  await runOrExit('cargo', ['check', '--locked', '--package', 'openalgo-shm-node', '--target', target], { env });
  const crates = ['ring', 'frames', 'delivery'].flatMap((name) => ['--package', `openalgo-shm-${name}`]);
  await runOrExit('cargo', ['check', '--locked', ...crates, '--tests', '--target', target], { env });
}
