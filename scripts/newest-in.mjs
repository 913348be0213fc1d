import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
/** Folders of what programs make beside their sources. */
const MADE = new Set(['__pycache__', 'target']);

/** When the newest file under a path of the repository was changed, ms since 1970. */
export function newestIn(path) {
  const entry = statSync(join(root, path));
  if (!entry.isDirectory()) return entry.mtimeMs;
  const sources = readdirSync(join(root, path)).filter((name) => !MADE.has(name));
  return Math.max(0, ...sources.map((name) => newestIn(join(path, name))));
}
