import { setTimeout as sleep } from 'node:timers/promises';
import { Backoff } from '../feeds/backoff.ts';
import { ChildFailure } from './child-process.ts';
import type { Endable } from './children.ts';
import { aborted } from './ending.ts';
import { EXIT } from './failure.ts';

/** A child that has lived for so long, ms, was well: if it dies, it is started again at once. */
const WELL_AFTER_MS = 60_000;

/** A child process that can be kept alive. */
export interface Child extends Endable {
  readonly pid: number | undefined;
  /** Resolves when it has begun its work; rejects if it ends before that. */
  readonly ready: Promise<Record<string, unknown>>;
  /** Resolves with the exit code, undefined if a signal ended it. */
  readonly ended: Promise<number | undefined>;
}

/**
 * Starts a child process again whenever it dies: at once, then after a second, then after twice as long each time, up to
 * 30 seconds. Once it has lived for a minute, at once again.
 */
export class KeptAlive<C extends Child> implements Endable {
  readonly name: string;
  readonly #launch: () => C;
  /** Aborted when it is not to be started again. */
  readonly #over = new AbortController();
  readonly #backoff = new Backoff({ firstMs: 1_000, longestMs: 30_000, random: () => 1 });
  #child: C;
  #startedAt = performance.now();
  #failures = 0;

  /**
   * Starts the child.
   *
   * @param name what it is called in messages
   * @param ending aborted when it is not to be started again
   */
  constructor(name: string, launch: () => C, ending: AbortSignal) {
    this.name = name;
    this.#launch = launch;
    void aborted(ending).then(() => this.#over.abort());
    this.#child = launch();
  }

  /** The process of now. */
  get child(): C {
    return this.#child;
  }

  /**
   * Keeps it alive until it shall end.
   *
   * @throws ChildFailure when it ends because the configuration is wrong: starting it again would change nothing
   */
  async keep(): Promise<void> {
    while (!this.#over.signal.aborted) {
      const { code } = await Promise.race([
        this.#child.ended.then((exitCode) => ({ code: exitCode })),
        aborted(this.#over.signal).then(() => ({ code: undefined })),
      ]);
      if (this.#over.signal.aborted) return;
      if (code === EXIT.usage) throw new ChildFailure(this.name, code);
      await this.#startAgain(code);
    }
  }

  /** Ends it for good. */
  end(): Promise<void> {
    this.#over.abort();
    return this.#child.end();
  }

  kill(): void {
    this.#over.abort();
    this.#child.kill();
  }

  async #startAgain(code: number | undefined): Promise<void> {
    if (performance.now() - this.#startedAt >= WELL_AFTER_MS) this.#failures = 0;
    this.#failures++;
    const wait = this.#failures === 1 ? 0 : this.#backoff.waitAfter(this.#failures - 1);
    const how = code === undefined ? 'was ended by a signal' : `ended with exit code ${code}`;
    say(`the ${this.name} ${how}; it is started again ${wait === 0 ? 'at once' : `in ${wait / 1000} s`}`);
    await sleep(wait, undefined, { signal: this.#over.signal }).catch(() => {});
    if (this.#over.signal.aborted) return;
    this.#startedAt = performance.now();
    const child = this.#launch();
    this.#child = child;
    child.ready.then(
      () => say(`the ${this.name} runs again (process ${child.pid})`),
      () => {},
    );
  }
}

function say(text: string): void {
  process.stderr.write(`openalgo-shm: ${text}\n`);
}
