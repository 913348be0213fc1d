/** Seconds' worth of messages that a client may send at once. */
const BURST_S = 5;
/** Messages that are served before others have their turn. */
const AT_A_TIME = 32;
/** Shortest wait of a client that has sent too many, ms: then some can be served together. */
const SHORTEST_WAIT_MS = 20;

/**
 * When a client's next message may be served: at most so many a second on the average, a burst at once, and others have
 * their turn in between. Messages that must wait are not lost; the client is not read meanwhile.
 */
export class MessageRate {
  readonly #perSecond: number;
  #left: number;
  #at = 0;
  #untilTurn = AT_A_TIME;

  /** @param perSecond messages on the average; five times as many may come at once. */
  constructor(perSecond: number) {
    this.#perSecond = perSecond;
    this.#left = perSecond * BURST_S;
  }

  /**
   * Takes one message.
   *
   * @param now on the clock of `performance.now`, ms.
   * @returns undefined if it may be served now, else the time in ms until it should be tried again: 0 in the next turn of
   *   the event loop.
   */
  waitMs(now: number): number | undefined {
    this.#fill(now);
    if (this.#left < 1) return Math.max(SHORTEST_WAIT_MS, Math.ceil(((1 - this.#left) / this.#perSecond) * 1000));
    if (this.#untilTurn === 0) {
      this.#untilTurn = AT_A_TIME;
      return 0;
    }
    this.#untilTurn -= 1;
    this.#left -= 1;
    return undefined;
  }

  #fill(now: number): void {
    const seconds = Math.max(0, now - this.#at) / 1000;
    this.#at = now;
    this.#left = Math.min(this.#perSecond * BURST_S, this.#left + seconds * this.#perSecond);
  }
}
