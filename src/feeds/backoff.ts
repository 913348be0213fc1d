export interface BackoffOptions {
  /** Wait before the first new attempt, ms. Default 1,000. */
  firstMs?: number;
  /** Longest wait, ms. Default 30,000. */
  longestMs?: number;
  /** Makes numbers from 0 to 1. */
  random?: () => number;
}

/**
 * How long to wait before trying again: twice as long each time, with a random half, so that many who lost the same
 * server do not come back in the same moment.
 */
export class Backoff {
  /** Longest wait, ms. */
  readonly longestMs: number;
  readonly #firstMs: number;
  readonly #random: () => number;

  constructor({ firstMs = 1_000, longestMs = 30_000, random = Math.random }: BackoffOptions = {}) {
    this.#firstMs = firstMs;
    this.longestMs = longestMs;
    this.#random = random;
  }

  /** The wait after this many failures in a row, from 1; ms. */
  waitAfter(failures: number): number {
    const full = Math.min(this.longestMs, this.#firstMs * 2 ** Math.min(failures - 1, 30));
    return full / 2 + (full / 2) * this.#random();
  }
}
