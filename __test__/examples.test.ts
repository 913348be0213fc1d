import { readdirSync } from 'node:fs';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { LockFreeRingBuffer } from '../src/shm/ring-buffer.ts';
import { root } from './cli/running-command.ts';

const examples = readdirSync('examples').filter((name) => name.endsWith('.mjs'));

async function runExample(name: string): Promise<{ code: number | null; stdout: string; stderr: string; pid: number }> {
  const child = spawn(process.execPath, [`examples/${name}`], { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text) => (stderr += text));
  const [code] = await once(child, 'close');
  return { code, stdout, stderr, pid: child.pid! };
}

test('there are examples', () => {
  expect(examples).toEqual(expect.arrayContaining(['specification.mjs', 'fastify-plugin.mjs']));
});

test.each(examples)('examples/%s runs, and leaves no shared memory behind', async (name) => {
  const { code, stderr, pid } = await runExample(name);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(LockFreeRingBuffer.list().filter((ring) => ring.name.includes(String(pid)))).toEqual([]);
});

test('the specification’s example gets every value from publisher and adapter', async () => {
  const { stdout } = await runExample('specification.mjs');
  expect(stdout).toMatch(/ltp: 150\.25,\s+volume: 1000,\s+bid: 150,\s+ask: 150\.5,\s+seq: 1/);
  expect(stdout).toMatch(/messagesPublished: 1/);
  expect(stdout).toMatch(/ltp: 1402\.5,\s+volume: 5000/);
});
