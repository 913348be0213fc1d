// Everything that CI runs, after `npm ci`. The last line is that of the tests, whatever else failed.
import { run } from './run.mjs';

const STEPS = ['test', 'typecheck', 'lint', 'format:check', 'drift', 'examples'];
const failed = [];
let tests = '0 passed, 0 failed';

for (const step of STEPS) {
  console.log(`\n== npm run ${step}`);
  const onOutput =
    step !== 'test' ? undefined : (text) => (tests = text.match(/^\d+ passed, \d+ failed$/m)?.[0] ?? tests);
  if ((await run('npm', ['run', '--silent', step], { onOutput })) !== 0) failed.push(step);
}
console.log(failed.length === 0 ? '\nall steps passed' : `\nfailed: ${failed.join(', ')}`);
console.log(tests);
process.exitCode = failed.length === 0 ? 0 : 1;
