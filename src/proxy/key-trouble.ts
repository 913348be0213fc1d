import type { FastifyBaseLogger } from 'fastify';

/** Shortest time between two lines of the log, ms. */
const APART_MS = 5_000;

/** Says in the log that keys could not be checked, and how many: whoever connects can bring many in a second. */
export class KeyTrouble {
  readonly #log: FastifyBaseLogger;
  #keys = 0;
  #saidAt = -Infinity;

  constructor(log: FastifyBaseLogger) {
    this.#log = log;
  }

  /** A key could not be checked. */
  note(error: unknown): void {
    this.#keys += 1;
    const now = performance.now();
    if (now - this.#saidAt < APART_MS) return;
    this.#log.warn({ err: error, keys: this.#keys }, 'keys could not be checked');
    this.#keys = 0;
    this.#saidAt = now;
  }
}
