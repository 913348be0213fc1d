import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The Python of the tests' own virtual environment, `.venv` in the project's folder. */
const VENV_PYTHON = fileURLToPath(new URL('../.venv/bin/python', import.meta.url));

/** The Python to run a script with, if it has a module; else says how to get it, and the tests are skipped. */
export function pythonWith(module: string): string | undefined {
  if (existsSync(VENV_PYTHON) && spawnSync(VENV_PYTHON, ['-c', `import ${module}`]).status === 0) return VENV_PYTHON;
  console.warn(`skipped, for there is no Python with ${module}: npm run python`);
  return undefined;
}
