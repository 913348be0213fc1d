import { LockFreeRingBuffer } from '../../shm/ring-buffer.ts';
import { ChildCommand } from '../child-process.ts';
import { Children } from '../children.ts';
import { aborted } from '../ending.ts';
import { ROLE_COMMAND } from './role-command.ts';
import type { Role } from './roles.ts';

/** What one measurement starts and creates, so that nothing of it stays behind. */
export class Measurement {
  readonly #children = new Children();
  readonly #rings: readonly string[];
  readonly #ending: AbortSignal;

  /**
   * @param rings names of the rings that it creates, removed at its end
   * @param ending aborted when the measurement shall end early
   */
  constructor(rings: readonly string[], ending: AbortSignal) {
    this.#rings = rings;
    this.#ending = ending;
  }

  /** Starts another command of this program; resolves with the process and what it said when it was ready. */
  async start(name: string, args: readonly string[]): Promise<{ child: ChildCommand; said: Record<string, unknown> }> {
    this.throwIfEnding();
    const child = this.#children.start(() => new ChildCommand(name, args));
    const said = await Promise.race([child.ready, aborted(this.#ending)]);
    this.throwIfEnding();
    return { child, said: said ?? {} };
  }

  /** Starts a process with a role; resolves when it is ready. */
  async inRole(role: Role, ...args: readonly string[]): Promise<ChildCommand> {
    const { child } = await this.start(role, [ROLE_COMMAND, role, ...args]);
    return child;
  }

  /** @throws the reason of the signal when the measurement shall end */
  throwIfEnding(): void {
    this.#ending.throwIfAborted();
  }

  /** Ends the processes and removes the rings. */
  async end(): Promise<void> {
    await this.#children.end();
    for (const ring of this.#rings) LockFreeRingBuffer.unlink(ring);
  }
}
