/** Seconds' worth of work that a client may ask for at once. */
const BURST_S = 10;

/**
 * What a client may ask for in work, not in messages: a bucket that fills by so much a second. One request may take more
 * than there is, and whatever comes next waits until that has been made up for.
 */
export class WorkBudget {
  readonly #perSecond: number;
  #left: number;
  #at = 0;

  /** @param perSecond how much the bucket fills by in a second; it holds ten times that. */
  constructor(perSecond: number) {
    this.#perSecond = perSecond;
    this.#left = perSecond * BURST_S;
  }

  /** Time in ms until the next request may be served: 0 for now. */
  waitMs(now: number): number {
    this.#fill(now);
    return this.#left > 0 ? 0 : Math.max(1, Math.ceil((-this.#left / this.#perSecond) * 1000));
  }

  /** Takes what a request has cost. */
  take(amount: number): void {
    this.#left -= amount;
  }

  #fill(now: number): void {
    const seconds = Math.max(0, now - this.#at) / 1000;
    this.#at = now;
    this.#left = Math.min(this.#perSecond * BURST_S, this.#left + seconds * this.#perSecond);
  }
}
