// Runs the tests of the installed package under every Node that is supported, each fetched with npm.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run, runOrExit } from './run.mjs';

const VERSIONS = process.argv.length > 2 ? process.argv.slice(2) : ['20', '22', '24'];

await runOrExit('node', ['scripts/build-when-needed.mjs']);
const folder = mkdtempSync(join(tmpdir(), 'openalgo-shm-nodes-'));
const failed = [];
try {
  for (const version of VERSIONS) {
    const prefix = join(folder, version);
    await runOrExit('npm', ['install', '--silent', '--no-audit', '--no-fund', `--prefix=${prefix}`, `node@${version}`]);
    const node = join(prefix, 'node_modules', 'node', 'bin', process.platform === 'win32' ? 'node.exe' : 'node');
    console.log(`\n== Node ${version}`);
    const env = { ...process.env, OPENALGO_SHM_NODE: node };
    if ((await run('npx', ['vitest', 'run', '__test__/package.test.ts'], { env })) !== 0) failed.push(version);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
if (failed.length > 0) console.error(`failed under Node ${failed.join(', ')}`);
process.exitCode = failed.length === 0 ? 0 : 1;
