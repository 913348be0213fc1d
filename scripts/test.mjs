// Builds, runs the tests of all three languages, and ends in one line: `N passed, N failed`.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { environments, makeEnvironments } from './python.mjs';
import { run, runOrExit } from './run.mjs';

await runOrExit('node', ['scripts/build-when-needed.mjs']);
const hasPython = await makeEnvironments();

const failures = [];
const totals = [await rustTests(), await typescriptTests(), ...(hasPython ? await pythonTests() : [])];
if (!hasPython && process.env.OPENALGO_SHM_REQUIRE_PYTHON) failures.push('the Python package was not built');
for (const { language, passed } of totals) if (passed === 0) failures.push(`no ${language} test ran`);
for (const failure of failures) console.log(failure);
const sum = (what) => totals.reduce((total, own) => total + own[what], 0);
console.log(`${sum('passed')} passed, ${sum('failed')} failed`);
process.exitCode = sum('failed') > 0 || failures.length > 0 ? 1 : 0;

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
  return { language: 'Rust', passed, failed };
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
    return { language: 'TypeScript', passed, failed: failed.length };
  } catch (error) {
    failures.push(`vitest left no report: ${error.message}`);
    return { language: 'TypeScript', passed: 0, failed: 0 };
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

/** All tests with the newest Python; with the oldest those of the package, for those of the host take long. */
async function pythonTests() {
  const results = [];
  for (const [index, { folder, python }] of environments().entries()) {
    let output = '';
    const tests = index === 0 ? 'crates/python/tests' : 'crates/python/tests/package';
    const command = ['-m', 'pytest', '--config-file=crates/python/pyproject.toml', '-q', '-rfE', tests];
    const code = await run(python, command, {
      onOutput: (text, name) => {
        if (name === 'stdout') output += text;
      },
    });
    const count = (word) =>
      Number(
        output
          .match(new RegExp(`(\\d+) ${word}`, 'g'))
          ?.at(-1)
          ?.split(' ')[0] ?? 0,
      );
    const failed = count('failed') + count('error');
    for (const [line] of output.matchAll(/^(?:FAILED|ERROR) .*$/gm)) failures.push(`${folder}: ${line}`);
    if (code !== 0 && failed === 0) failures.push(`pytest in ${folder} ended with exit code ${code}`);
    results.push({ language: 'Python', passed: count('passed'), failed });
  }
  return results;
}
