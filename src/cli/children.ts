import { OpenAlgoShmError } from '../errors.ts';
import { whenHurried } from './ending.ts';

/** What a command starts and has to end again: a process, or one that is kept alive. */
export interface Endable {
  /** Asks it to end, and resolves when it has. */
  end(): Promise<void>;
  /** Ends it without asking. */
  kill(): void;
}

/** The processes that a command has started. Once they are being ended, no further one can be started. */
export class Children {
  readonly #started: Endable[] = [];
  #isEnding = false;

  constructor() {
    whenHurried(() => this.kill());
  }

  /**
   * Starts a process, which {@link end} will end.
   *
   * @throws {OpenAlgoShmError} `ERR_CLOSED` once the processes are being ended
   */
  start<C extends Endable>(launch: () => C): C {
    if (this.#isEnding) throw new OpenAlgoShmError('ERR_CLOSED', 'the command is ending and starts nothing any more');
    const child = launch();
    this.#started.push(child);
    return child;
  }

  /** Ends all, one after the other, the newest first; resolves when none is left. */
  async end(): Promise<void> {
    this.#isEnding = true;
    for (const child of this.#started.toReversed()) await child.end();
  }

  /** Ends all without asking. */
  kill(): void {
    this.#isEnding = true;
    for (const child of this.#started) child.kill();
  }
}
