import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { ChildFailure, endOf } from '../child-process.ts';
import type { Endable } from '../children.ts';

/** How long the host may take to end, ms; it gives itself 12 seconds. */
const ENDING_MS = 15_000;
/** How long what it has printed is read after its end, ms: a process of its own may hold its output open. */
const LAST_WORDS_MS = 1_000;
/** What the host says when it is ready. */
const GREETING = /^host: (.*) -> shared memory /;

/** What the host says about itself when it is ready. */
export interface Greeting extends Record<string, unknown> {
  /** Broker and user, in words. */
  session: string;
}

/** How a host is started. */
export interface HostOptions {
  python: string;
  /** The checkout's folder. */
  folder: string;
  /** Arguments of `openalgo_shm.host`. */
  args: readonly string[];
}

/** OpenAlgo's adapter host in a process of its own. It ends when this process does: it sees its stdin close. */
export class HostProcess implements Endable {
  readonly name = 'host';
  /** Resolves when it is ready; rejects if it ends before that. */
  readonly ready: Promise<Greeting>;
  /** Resolves with the exit code, undefined if a signal ended it. */
  readonly ended: Promise<number | undefined>;
  readonly #process: ChildProcess;

  constructor({ python, folder, args }: HostOptions) {
    // A process group of its own: Ctrl-C comes to this process alone, which says in which order to end.
    this.#process = spawn(python, ['-m', 'openalgo_shm.host', '--parent-pipe', ...args], {
      cwd: folder,
      stdio: ['pipe', 'pipe', 'inherit'],
      detached: true,
      windowsHide: true,
    });
    this.#process.stdin!.on('error', () => {});
    this.ended = endOf(this.#process);
    void this.ended.then(() => setTimeout(() => this.#process.stdout!.destroy(), LAST_WORDS_MS).unref());
    this.ready = Promise.race([this.#greeting(), this.#failure()]);
    this.ready.catch(() => {});
  }

  get pid(): number | undefined {
    return this.#process.pid;
  }

  /** Asks it to end, and ends it if it does not within 15 seconds. */
  async end(): Promise<void> {
    this.#process.stdin!.end();
    const kill = setTimeout(() => this.#process.kill('SIGKILL'), ENDING_MS);
    await this.ended;
    clearTimeout(kill);
  }

  kill(): void {
    this.#process.kill('SIGKILL');
  }

  /** Reads what it prints to its end: the greeting is for this process, everything else for the user. */
  #greeting(): Promise<Greeting> {
    return new Promise((resolve) => {
      createInterface({ input: this.#process.stdout! }).on('line', (line) => {
        const [, session] = GREETING.exec(line) ?? [];
        if (session === undefined) process.stdout.write(`${line}\n`);
        else resolve({ session });
      });
    });
  }

  async #failure(): Promise<never> {
    throw new ChildFailure(this.name, await this.ended);
  }
}
