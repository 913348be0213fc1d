// Writes the tables that TypeScript has from Rust's.
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { runOrExit } from './run.mjs';

const TABLE = 'src/feeds/dialect-table.ts';
const command = ['run', '--quiet', '--package', 'openalgo-shm-dialect', '--example', 'typescript-table'];
writeFileSync(TABLE, execFileSync('cargo', command, { encoding: 'utf8' }));
await runOrExit('npx', ['oxfmt', TABLE]);
