/** Wait after the first question in a silence, ms; twice as long after each, up to the ordinary one. */
const FIRST_IN_SILENCE_MS = 3_000;

/**
 * When to ask once more for what is subscribed: from time to time, at once when ticks cease to come, and ever less often
 * while there are none, for it may be night, or while there are few, for the market may be quiet. Times are in ms on any
 * one clock.
 */
export class RefreshPace {
  readonly #everyMs: number;
  #lastAt: number;
  #isSilent = false;
  /** Whether ticks were missing at any time since the last question. */
  #wasSilent = false;
  /** Wait of a silence. */
  #silentMs = 0;

  /** @param everyMs the ordinary wait; 0 for never. */
  constructor(everyMs: number, now: number) {
    this.#everyMs = everyMs;
    this.#lastAt = now;
  }

  /** Ticks come. */
  noteTicks(): void {
    this.#isSilent = false;
  }

  /** Ticks are missing. */
  noteSilence(): void {
    this.#isSilent = this.#wasSilent = true;
  }

  /** Whether it is time; that counts as done. */
  isDue(now: number): boolean {
    const waitMs = this.#isSilent ? Math.min(this.#silentMs, this.#everyMs) : this.#everyMs;
    if (this.#everyMs === 0 || now - this.#lastAt < waitMs) return false;
    this.#lastAt = now;
    // A few ticks between two silences are no reason to ask at once in each.
    this.#silentMs = this.#wasSilent ? Math.max(FIRST_IN_SILENCE_MS, 2 * this.#silentMs) : 0;
    this.#wasSilent = this.#isSilent;
    return true;
  }
}
