import { spawn } from 'node:child_process';
import { expect, onTestFinished, test } from 'vitest';

/**
 * Holds 60 MB over a collection, lets go of them and makes nothing new: by itself the engine has no reason to collect
 * once more. Prints the heap once it is small again.
 */
const SCRIPT = `
  import { keepMemorySmall } from './dist/cli/memory-keeper.js';
  keepMemorySmall();
  const heap = () => process.memoryUsage().heapUsed / 1e6;
  const before = heap();
  let held = Array.from({ length: 600 }, () => Array.from({ length: 12_500 }, Math.random));
  let full = heap();
  setTimeout(() => { held = undefined; }, 1_500);
  setInterval(() => {
    full = Math.max(full, heap());
    if (held !== undefined || heap() > before + 20) return;
    console.log(JSON.stringify({ before, full, after: heap() }));
    process.exit();
  }, 50);
`;

test('what was in use when garbage was collected is collected once nobody uses it, without anything new', async () => {
  const flags = ['--no-memory-reducer', '--input-type=module', '--eval', SCRIPT];
  const child = spawn(process.execPath, flags, { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill());
  let text = '';
  child.stdout.on('data', (bytes: Buffer) => (text += bytes.toString()));
  await new Promise((resolve) => child.once('close', resolve));
  const { before, full, after } = JSON.parse(text) as { before: number; full: number; after: number };
  expect(full).toBeGreaterThan(before + 50);
  expect(after).toBeLessThanOrEqual(before + 20);
});
