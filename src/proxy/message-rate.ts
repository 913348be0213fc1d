/** What is to become of a message. */
export type RateVerdict = 'pass' | 'refuse' | 'drop' | 'close';

/** How many times the limit a client may exceed it by before it is closed. */
const PATIENCE = 10;

/** Counts a client's messages in the running second. */
export class MessageRate {
  readonly #perSecond: number;
  #windowStart = -Infinity;
  #count = 0;

  constructor(perSecond: number) {
    this.#perSecond = perSecond;
  }

  /** Judges one more message: the first too many of a second is refused with an answer, the others in silence. */
  next(now: number): RateVerdict {
    if (now - this.#windowStart >= 1000) {
      this.#windowStart = now;
      this.#count = 0;
    }
    this.#count += 1;
    if (this.#count <= this.#perSecond) return 'pass';
    if (this.#count === this.#perSecond + 1) return 'refuse';
    return this.#count > this.#perSecond * PATIENCE ? 'close' : 'drop';
  }
}
