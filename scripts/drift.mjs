// Generates the binding's loader and types and the tables anew, and fails if they differ from what is committed.
import { run, runOrExit } from './run.mjs';

await runOrExit('npm', ['run', '--silent', 'build:native']);
await runOrExit('npm', ['run', '--silent', 'tables']);
const generated = ['src/native/binding.cjs', 'src/native/binding.d.ts', 'src/feeds/dialect-table.ts'];
if ((await run('git', ['diff', '--exit-code', '--', ...generated])) !== 0) {
  console.error('what is generated differs from what is committed: commit the files above');
  process.exitCode = 1;
}
