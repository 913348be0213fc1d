// Generates the binding's loader and types anew and fails if they differ from what is committed.
import { run, runOrExit } from './run.mjs';

await runOrExit('npm', ['run', '--silent', 'build:native']);
const generated = ['src/native/binding.cjs', 'src/native/binding.d.ts'];
if ((await run('git', ['diff', '--exit-code', '--', ...generated])) !== 0) {
  console.error('the generated binding differs from what is committed: commit the files above');
  process.exitCode = 1;
}
