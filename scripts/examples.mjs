// Runs every example that ends by itself.
import { readdirSync } from 'node:fs';
import { runOrExit } from './run.mjs';

await runOrExit('node', ['scripts/build-when-needed.mjs']);
const examples = readdirSync(new URL('../examples', import.meta.url)).filter((name) => name.endsWith('.mjs'));
for (const example of examples.sort()) {
  console.log(`— examples/${example}`);
  await runOrExit('node', [`examples/${example}`]);
}
if (examples.length === 0) throw new Error('there is no example to run');
