/** A worker that lived this long was no failure from the start, ms. */
const LONG_LIFE_MS = 10_000;
const FIRST_DELAY_MS = 100;
const LONGEST_DELAY_MS = 10_000;

/** How long to wait before a worker is replaced: not at all, unless it and those before it died young. */
export class RestartDelay {
  #next = 0;

  /** @param livedMs how long the worker that died has lived. */
  after(livedMs: number): number {
    const delay = livedMs >= LONG_LIFE_MS ? 0 : this.#next;
    this.#next = Math.min(LONGEST_DELAY_MS, Math.max(FIRST_DELAY_MS, delay * 2));
    return delay;
  }
}
