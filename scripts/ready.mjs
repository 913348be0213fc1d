// Everything that CI runs, after `npm ci`. The last line is that of the tests, whatever else failed.
import { run } from './run.mjs';

const CHECKS = ['test', 'typecheck', 'lint', 'format:check', 'drift', 'examples'];
/** Of the ring, in their short forms: see `crates/ring/PROOFS.md`. */
const PROOFS = ['loom', 'loom:mutations', 'miri:short', 'fuzz:short', 'kills:short'];
const TESTS_LINE = /^\d+ passed, \d+ failed$/gm;
const failed = [];
let tests = '0 passed, 0 failed';

for (const step of [...CHECKS, ...PROOFS]) {
  console.log(`\n== npm run ${step}`);
  let end = '';
  const keepEnd = (text) => {
    end = (end + text).slice(-1000);
  };
  const options = step === 'test' ? { onOutput: keepEnd } : {};
  const begun = performance.now();
  if ((await run('npm', ['run', '--silent', step], options)) !== 0) failed.push(step);
  console.log(`-- ${step}: ${Math.round((performance.now() - begun) / 1000)} s`);
  if (step === 'test') tests = end.match(TESTS_LINE)?.at(-1) ?? tests;
}
console.log(failed.length === 0 ? '\nall steps passed' : `\nfailed: ${failed.join(', ')}`);
console.log(tests);
process.exitCode = failed.length === 0 ? 0 : 1;
