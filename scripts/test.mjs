// Builds, runs the tests of both languages, and ends in one line: `N passed, N failed`.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run, runOrExit } from './run.mjs';

await runOrExit('node', ['scripts/build-when-needed.mjs']);

const failures = [];
const rust = await rustTests();
const typescript = await typescriptTests();
if (rust.passed === 0) failures.push('no Rust test ran');
if (typescript.passed === 0) failures.push('no TypeScript test ran');
for (const failure of failures) console.log(failure);
const failed = rust.failed + typescript.failed;
console.log(`${rust.passed + typescript.passed} passed, ${failed} failed`);
process.exitCode = failed > 0 || failures.length > 0 ? 1 : 0;

async function rustTests() {
  let output = '';
  const code = await run('cargo', ['test', '--workspace', '--no-fail-fast'], {
    onOutput: (text, name) => {
      if (name === 'stdout') output += text;
    },
  });
  let passed = 0;
  let failed = 0;
  for (const [, ok, broken] of output.matchAll(/^test result: .* (\d+) passed; (\d+) failed;/gm)) {
    passed += Number(ok);
    failed += Number(broken);
  }
  for (const [, name] of output.matchAll(/^test (.*) \.\.\. FAILED$/gm)) failures.push(`failed: ${name}`);
  if (code !== 0 && failed === 0) failures.push(`cargo test ended with exit code ${code}`);
  return { passed, failed };
}

async function typescriptTests() {
  const directory = mkdtempSync(join(tmpdir(), 'openalgo-shm-tests-'));
  const report = join(directory, 'report.json');
  try {
    const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
    const code = await run('npx', ['vitest', 'run', ...reporters]);
    const { numPassedTests: passed, testResults } = JSON.parse(readFileSync(report, 'utf8'));
    const failed = testResults.flatMap(failuresOf);
    failures.push(...failed);
    if (code !== 0 && failed.length === 0) failures.push(`vitest ended with exit code ${code}`);
    return { passed, failed: failed.length };
  } catch (error) {
    failures.push(`vitest left no report: ${error.message}`);
    return { passed: 0, failed: 0 };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** The failed tests of a file, or the file itself if it failed before any test of it ran, each with its message. */
function failuresOf({ name: file, status, message, assertionResults }) {
  const tests = assertionResults.filter((test) => test.status === 'failed');
  if (status === 'failed' && tests.length === 0) return [`failed: ${file}\n${message}`];
  return tests.map(({ fullName, failureMessages }) => `failed: ${file}: ${fullName}\n${failureMessages.join('\n')}`);
}
