import { spawn, type ChildProcess as NodeChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { OpenAlgoShmError } from '../errors.ts';
import type { Endable } from './children.ts';

/** How long a process that was asked to end may take, ms. */
const ENDING_MS = 10_000;

/** Another command of this program, in a process of its own. It ends when this process does. */
export class ChildCommand implements Endable {
  readonly name: string;
  /** Resolves with what the command said when it was ready; rejects if it ends before that. */
  readonly ready: Promise<Record<string, unknown>>;
  /** Resolves with the exit code, undefined if a signal ended it. */
  readonly ended: Promise<number | undefined>;
  readonly #process: NodeChildProcess;

  /** @param name what it is called in messages */
  constructor(name: string, args: readonly string[]) {
    this.name = name;
    // A process group of its own: Ctrl-C comes here alone, and this process says in which order to end.
    this.#process = spawn(process.execPath, [...process.execArgv, process.argv[1] as string, ...args], {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      detached: true,
    });
    this.ended = endOf(this.#process);
    this.ready = this.#readiness();
    this.ready.catch(() => {});
  }

  get pid(): number | undefined {
    return this.#process.pid;
  }

  /** Sends it a message and resolves with what it says next; rejects if it ends instead. */
  async ask(question: object): Promise<Record<string, unknown>> {
    const answer = once(this.#process, 'message').then(([said]) => said as Record<string, unknown>);
    this.#process.send(question, undefined, undefined, () => {});
    return Promise.race([answer, this.#failure()]);
  }

  /** Asks it to end, and ends it if it does not within ten seconds. */
  async end(): Promise<void> {
    this.#process.kill('SIGTERM');
    const kill = setTimeout(() => this.#process.kill('SIGKILL'), ENDING_MS);
    await this.ended;
    clearTimeout(kill);
  }

  kill(): void {
    this.#process.kill('SIGKILL');
  }

  async #readiness(): Promise<Record<string, unknown>> {
    const message = new Promise<Record<string, unknown>>((resolve) => {
      this.#process.on('message', (said: { ready?: Record<string, unknown> }) => {
        if (said.ready !== undefined) resolve(said.ready);
      });
    });
    return Promise.race([message, this.#failure()]);
  }

  async #failure(): Promise<never> {
    throw new ChildFailure(this.name, await this.ended);
  }
}

/** Resolves with the exit code of a process, undefined if a signal ended it or the system could not start it. */
export function endOf(child: NodeChildProcess): Promise<number | undefined> {
  return new Promise((resolve) => {
    // `close` would also wait for processes of its own that have inherited its output.
    child.once('exit', (code) => resolve(code ?? undefined));
    child.on('error', () => {
      if (child.pid === undefined) resolve(undefined);
    });
  });
}

/** A child process that ended by itself. If it ended with an exit code, it has printed why. */
export class ChildFailure extends OpenAlgoShmError {
  readonly exitCode: number | undefined;

  constructor(name: string, exitCode: number | undefined) {
    const how = exitCode === undefined ? 'was ended by a signal' : `ended with exit code ${exitCode}`;
    super('ERR_UPSTREAM', `the process of the ${name} ${how}; start it again`);
    this.exitCode = exitCode;
  }
}
