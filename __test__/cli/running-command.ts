import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { LockFreeRingBuffer } from '../../src/shm/ring-buffer.ts';

/** The package itself, built. */
export const root = fileURLToPath(new URL('../..', import.meta.url));
const bin = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const PATIENCE_MS = 30_000;

const build = spawnSync(process.execPath, ['scripts/build-when-needed.mjs'], { cwd: root, encoding: 'utf8' });
if (build.status !== 0) throw new Error(`the command line cannot be built: ${build.stdout}${build.stderr}`);

/** What the system under test finds around it, and nothing of the machine's own settings. */
const CLEAN = Object.fromEntries(
  Object.entries(process.env).filter(
    ([name]) => !/^(OPENALGO_SHM_|SHM_BUFFER_|WEBSOCKET_|(DEBUG|NO_COLOR|FORCE_COLOR)$)/.test(name),
  ),
);

export interface Surroundings {
  env?: Record<string, string>;
  cwd?: string;
}

/** A command that ended. */
export interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** A command of the built program in a process of its own. */
export class RunningCommand {
  static readonly #all = new Set<RunningCommand>();
  readonly process: ChildProcess;
  stdout = '';
  stderr = '';
  readonly ended: Promise<Ended>;

  constructor(args: readonly string[], { env = {}, cwd = root }: Surroundings = {}) {
    const surroundings = { ...CLEAN, XDG_CONFIG_HOME: '/nonexistent', ...env };
    this.process = spawn(process.execPath, [bin, ...args], {
      cwd,
      env: surroundings,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.process.stdout!.setEncoding('utf8').on('data', (text: string) => (this.stdout += text));
    this.process.stderr!.setEncoding('utf8').on('data', (text: string) => (this.stderr += text));
    RunningCommand.#all.add(this);
    this.ended = once(this.process, 'close').then(([code]) => {
      RunningCommand.#all.delete(this);
      return { code: code as number | null, stdout: this.stdout, stderr: this.stderr };
    });
  }

  /** Ends whatever a test has left running. */
  static async endAll(): Promise<void> {
    for (const command of RunningCommand.#all) {
      command.process.kill('SIGKILL');
      await command.ended;
    }
  }

  /** Waits until its output matches, and returns the match. */
  async says(pattern: RegExp): Promise<RegExpExecArray> {
    let found: RegExpExecArray | null = null;
    await until(`${pattern} in ${bin}'s output`, () => {
      found = pattern.exec(this.stdout);
      if (found === null && this.process.exitCode !== null) {
        throw new Error(
          `it ended with ${this.process.exitCode} before it said ${pattern}: ${this.stdout}${this.stderr}`,
        );
      }
      return found !== null;
    });
    return found!;
  }

  async signal(signal: NodeJS.Signals): Promise<Ended> {
    this.process.kill(signal);
    return this.ended;
  }
}

/** Runs a command to its end. */
export function run(args: readonly string[], surroundings?: Surroundings): Promise<Ended> {
  return new RunningCommand(args, surroundings).ended;
}

/** Waits until a condition holds; fails loudly when it never does. */
export async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** True while there is a process of this id. */
export function lives(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** True while there is a ring of this name. */
export function ringExists(name: string): boolean {
  return LockFreeRingBuffer.list().some((ring) => ring.name === name);
}

/** Removes a ring and those beside it. */
export function removeRings(name: string): void {
  for (const ring of LockFreeRingBuffer.list()) {
    if (ring.name === name || ring.name.startsWith(`${name}.`)) LockFreeRingBuffer.unlink(ring.name);
  }
}
