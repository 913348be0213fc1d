import type { Connection } from './connection.ts';

interface Observation {
  progress: string;
  since: number;
}

/** Finds clients that have bytes to take and take none. */
export class SlowClientWatch {
  readonly #timeoutMs: number;
  readonly #observations = new WeakMap<Connection, Observation>();

  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
  }

  /** Looks at a client again; true once nothing has moved for the timeout. */
  isStuck(connection: Connection, now: number): boolean {
    const progress = connection.isOpen ? connection.progress : undefined;
    if (progress === undefined) {
      this.#observations.delete(connection);
      return false;
    }
    const before = this.#observations.get(connection);
    if (before?.progress === progress) return now - before.since >= this.#timeoutMs;
    this.#observations.set(connection, { progress, since: now });
    return false;
  }
}
