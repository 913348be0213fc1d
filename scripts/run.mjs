import { spawn } from 'node:child_process';

/**
 * Runs a command in the repository with its output shown; resolves with its exit code, 128 if a signal ended it.
 * `onOutput(text, name)` gets what it prints as well, `name` being 'stdout' or 'stderr'.
 */
export function run(command, args, { onOutput, env } = {}) {
  return new Promise((resolve, reject) => {
    const stdio = onOutput === undefined ? 'inherit' : ['inherit', 'pipe', 'pipe'];
    const child = spawn(command, args, { cwd: new URL('..', import.meta.url), stdio, env });
    for (const name of ['stdout', 'stderr']) {
      child[name]?.setEncoding('utf8').on('data', (text) => {
        process[name].write(text);
        onOutput(text, name);
      });
    }
    child.once('error', reject);
    child.once('close', (code) => resolve(code ?? 128));
  });
}

/** As {@link run}, and ends this process with the command's exit code if it failed. */
export async function runOrExit(command, args, options) {
  const code = await run(command, args, options);
  if (code !== 0) process.exit(code);
}
