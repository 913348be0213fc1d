import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** The repository. The compiled benches lie in `.bench/benches/node`. */
export const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
/** Where cargo puts the benches' programs. */
export const PROGRAMS = `${ROOT}target/benches/release/`;

const canPin = spawnSync('taskset', ['-c', '0', 'true']).status === 0;

/** A child on one core, or on a list of cores like `0,1`, where the system can do that. */
export function start(core: number | string, command: string, args: readonly (string | number)[]): ChildProcess {
  const words = [command, ...args.map(String)];
  const [program = '', ...rest] = canPin ? ['taskset', '-c', String(core), ...words] : words;
  return spawn(program, rest, { stdio: ['pipe', 'pipe', 'inherit'], cwd: ROOT });
}

/** A child that runs another of the compiled benches. */
export function startBench(core: number, file: string, args: readonly (string | number)[] = []): ChildProcess {
  return start(core, process.execPath, [fileURLToPath(new URL(file, import.meta.url)), ...args]);
}

/** The first line that a child prints and that matches; the child goes on. */
export async function firstLine(child: ChildProcess, pattern = /./): Promise<string> {
  const lines = createInterface({ input: child.stdout! });
  for await (const line of lines) {
    if (pattern.test(line)) {
      // What follows is read and forgotten, so that the child never waits for us.
      child.stdout!.resume();
      return line;
    }
  }
  throw new Error(`${child.spawnargs.join(' ')} ended without a line that matches ${pattern}`);
}

/** All that a child prints, once it has ended well. */
export async function output(child: ChildProcess, timeoutMs = 120_000): Promise<string> {
  const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs);
  let text = '';
  child.stdout!.on('data', (bytes: Buffer) => (text += bytes.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  clearTimeout(timer);
  if (code !== 0) throw new Error(`${child.spawnargs.join(' ')} ended with ${code}`);
  return text;
}

/** Ends a child and waits for it. */
export async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const closed = once(child, 'close');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), 3000);
  await closed;
  clearTimeout(timer);
}

/** Processor time that a process has used, seconds; 0 where there is no /proc. */
export function cpuSeconds(pid: number): number {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)!.split(' ');
    return (Number(fields[11]) + Number(fields[12])) / 100;
  } catch {
    return 0;
  }
}

/** Waits. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
