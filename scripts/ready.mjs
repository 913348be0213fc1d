// Everything that CI runs, after `npm ci`. The last line is that of the tests, whatever else failed. Before it, the end of
// what each failed step printed is shown again: a record of CI often keeps no more than the last lines.
import { run } from './run.mjs';

const CHECKS = ['test', 'typecheck', 'lint', 'format:check', 'drift', 'examples'];
/** Of the ring and of delivery, in their short forms: see `crates/ring/PROOFS.md`; and attacks on the proxy. */
const PROOFS = ['loom', 'loom:mutations', 'miri:short', 'tsan:short', 'fuzz:short', 'kills:short', 'attacks:short'];
const TESTS_LINE = /^\d+ passed, \d+ failed$/gm;
const KEPT_CHARACTERS = 4000;
const failed = [];
let tests = '0 passed, 0 failed';

for (const step of [...CHECKS, ...PROOFS]) {
  console.log(`\n== npm run ${step}`);
  let end = '';
  const onOutput = (text) => {
    end = (end + text).slice(-KEPT_CHARACTERS);
  };
  const begun = performance.now();
  if ((await run('npm', ['run', '--silent', step], { onOutput })) !== 0) failed.push({ step, end });
  console.log(`-- ${step}: ${Math.round((performance.now() - begun) / 1000)} s`);
  if (step === 'test') tests = end.match(TESTS_LINE)?.at(-1) ?? tests;
}
for (const { step, end } of failed) console.log(`\n== the end of what ${step} printed\n${end.trimEnd()}`);
const names = failed.map(({ step }) => step).join(', ');
console.log(failed.length === 0 ? '\nall steps passed' : `\nfailed: ${names}`);
console.log(tests);
process.exitCode = failed.length === 0 ? 0 : 1;
