import { basename, relative } from 'node:path';

/** How the user can call this program again: as it was called now. */
export function invocation(): string {
  const script = process.argv[1] ?? 'openalgo-shm';
  if (basename(script) === 'openalgo-shm') return script.includes('node_modules') ? 'npx openalgo-shm' : 'openalgo-shm';
  return `node ${relative(process.cwd(), script)}`;
}
