import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** Waits, generously, until a condition holds. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  timeoutMs = 30_000,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`after ${timeoutMs / 1000} s still not: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** A process of its own, and what it says. */
export class LivingProcess {
  readonly child: ChildProcess;
  readonly #command: string;
  #output = '';

  constructor(command: string, args: readonly string[], env: NodeJS.ProcessEnv = {}) {
    this.#command = [command, ...args].join(' ');
    this.child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, ...env } });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => (this.#output += text));
    }
  }

  /** A script beside the tests, run by this Node. */
  static script(url: URL, args: readonly string[] = []): LivingProcess {
    return new LivingProcess(process.execPath, [fileURLToPath(url), ...args]);
  }

  /** Everything it has written to either output. */
  get output(): string {
    return this.#output;
  }

  get ended(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  /** Waits until it has written this; fails as soon as it has ended without. */
  async says(text: string | RegExp): Promise<void> {
    await until(`${this.#command} says ${String(text)}; it said ${this.#output}`, () => {
      const found = typeof text === 'string' ? this.#output.includes(text) : text.test(this.#output);
      if (!found && this.ended)
        throw new Error(`${this.#command} ended without saying ${String(text)}:\n${this.#output}`);
      return found;
    });
  }

  /** A line to its input. */
  tell(line: string): void {
    this.child.stdin?.write(`${line}\n`);
  }

  /** Ends it and waits until it is gone. */
  async end(signal: NodeJS.Signals = 'SIGKILL'): Promise<number | null> {
    if (!this.ended) {
      const gone = once(this.child, 'exit');
      this.child.kill(signal);
      await gone;
    }
    return this.child.exitCode;
  }
}
