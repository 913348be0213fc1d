/** Wait after the first question in a silence, ms; twice as long after each, up to the ordinary one. */
const FIRST_IN_SILENCE_MS = 3_000;

/**
 * When to ask once more for what is subscribed: from time to time, at once when ticks cease to come, and ever less often
 * while there are none, for it may be night. Times are in ms on any one clock.
 */
export class RefreshPace {
  readonly #everyMs: number;
  #lastAt: number;
  /** Wait of now; undefined while ticks come. */
  #silentMs: number | undefined;

  /** @param everyMs the ordinary wait; 0 for never. */
  constructor(everyMs: number, now: number) {
    this.#everyMs = everyMs;
    this.#lastAt = now;
  }

  /** Ticks come. */
  noteTicks(): void {
    this.#silentMs = undefined;
  }

  /** Ticks are missing. */
  noteSilence(): void {
    this.#silentMs ??= 0;
  }

  /** Whether it is time; that counts as done. */
  isDue(now: number): boolean {
    const waitMs = Math.min(this.#silentMs ?? this.#everyMs, this.#everyMs);
    if (this.#everyMs === 0 || now - this.#lastAt < waitMs) return false;
    this.#lastAt = now;
    if (this.#silentMs !== undefined) this.#silentMs = Math.max(FIRST_IN_SILENCE_MS, 2 * this.#silentMs);
    return true;
  }
}
