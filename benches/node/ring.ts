import { readFileSync, rmSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import type { Figure } from './figures.ts';
import { PROGRAMS, ROOT } from './processes.ts';

/** Runs the Rust bench of the ring and its peers. */
export function measureRing(quick: boolean): Figure[] {
  const file = `${ROOT}.bench/ring-${process.pid}.jsonl`;
  const ran = spawnSync(
    `${PROGRAMS}openalgo-shm-ring-bench`,
    ['--json', file, ...(quick ? ['--quick'] : ['--runs', '5'])],
    {
      cwd: ROOT,
      stdio: ['ignore', 'ignore', 'inherit'],
    },
  );
  if (ran.status !== 0) throw new Error(`the bench of the ring ended with ${ran.status ?? ran.signal}`);
  const lines = readFileSync(file, 'utf8').trim().split('\n');
  rmSync(file);
  return lines.map((line) => JSON.parse(line) as Figure);
}
