/** Shortest time between two attempts that somebody waits for, ms. */
const SHORTEST_MS = 1_000;

/** The wait between two attempts, which may be cut short: somebody wants the outcome now. */
export class RetryWait {
  #hurry: (() => void) | undefined;

  /**
   * Waits for `ms` milliseconds, or less if it is hurried or the signal is aborted; never rejects.
   *
   * @param shortestMs time that is waited however it is hurried; a shorter wait stays as it is. Default 1,000.
   */
  wait(ms: number, signal: AbortSignal, shortestMs: number = SHORTEST_MS): Promise<void> {
    return new Promise((resolve) => {
      const began = performance.now();
      const end = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', end);
        this.#hurry = undefined;
        resolve();
      };
      let timer = setTimeout(end, ms);
      this.#hurry = () => {
        this.#hurry = undefined;
        clearTimeout(timer);
        timer = setTimeout(end, Math.max(0, Math.min(ms, shortestMs) - (performance.now() - began)));
      };
      if (signal.aborted) end();
      else signal.addEventListener('abort', end, { once: true });
    });
  }

  /** Cuts the wait of now short, if there is one. */
  hurry(): void {
    this.#hurry?.();
  }
}
