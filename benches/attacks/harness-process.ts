import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

interface Request {
  id: number;
  name: string;
  argument: unknown;
}

interface Pending {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

interface Reply {
  id: number;
  value?: unknown;
  error?: string;
}

/** Another process of the harness, whose functions can be called. */
export class HarnessProcess {
  readonly #child: ChildProcess;
  readonly #pending = new Map<number, Pending>();
  #calls = 0;

  /** @param file the compiled program beside this one; it calls {@link answerCalls}. */
  constructor(file: string) {
    const path = fileURLToPath(new URL(file, import.meta.url));
    this.#child = fork(path, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    this.#child.on('message', ({ id, value, error }: Reply) => {
      const pending = this.#pending.get(id);
      this.#pending.delete(id);
      if (error === undefined) pending?.resolve(value);
      else pending?.reject(new Error(`${file}: ${error}`));
    });
    this.#child.on('exit', (code, signal) => {
      for (const { reject } of this.#pending.values()) reject(new Error(`${file} ended with ${code ?? signal}`));
      this.#pending.clear();
    });
  }

  get pid(): number {
    return this.#child.pid!;
  }

  call<T>(name: string, argument?: unknown): Promise<T> {
    this.#calls += 1;
    const id = this.#calls;
    return new Promise<T>((resolve, reject) => {
      this.#pending.set(id, { resolve: resolve as Pending['resolve'], reject });
      this.#child.send({ id, name, argument } satisfies Request);
    });
  }

  /** Ends the process, which may tidy up, and waits for it. */
  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = once(this.#child, 'exit');
    if (this.#child.connected) this.#child.disconnect();
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 5_000);
    await gone;
    clearTimeout(timer);
  }
}

/** The side of the process that is called. It ends when its parent goes, or lets go of it. */
export function answerCalls(calls: Record<string, (argument: never) => unknown>, tidyUp?: () => void): void {
  process.on('message', ({ id, name, argument }: Request) => {
    Promise.resolve()
      .then(() => calls[name]!(argument as never))
      .then(
        (value) => process.send?.({ id, value } satisfies Reply),
        (error: unknown) => process.send?.({ id, error: String(error) } satisfies Reply),
      );
  });
  process.on('disconnect', () => {
    tidyUp?.();
    process.exit();
  });
  // Ctrl-C goes to the whole group; this process ends with its parent.
  process.on('SIGINT', () => undefined);
}
