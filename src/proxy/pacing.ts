import type { KeyedFrame } from './frames.ts';

/**
 * Ticks that are held back because the subscribers asked for at most one in an interval. Of what is held
 * back only the newest of each topic and mode is kept.
 */
export class Pacing {
  readonly #lastSent = new Map<number, number>();
  readonly #held = new Map<number, Map<number, string>>();
  readonly #due = new Map<number, number>();

  /** Whether a tick of the topic may go now. Times in ms on one clock. */
  mayPass(topic: number, intervalMs: number, now: number): boolean {
    const last = this.#lastSent.get(topic);
    if (last !== undefined && now - last < intervalMs) return false;
    this.#lastSent.set(topic, now);
    this.#held.delete(topic);
    this.#due.delete(topic);
    return true;
  }

  /** Keeps a tick until its topic may send again, and says when that is. */
  hold(topic: number, key: number, frame: string, intervalMs: number): number {
    const due = (this.#lastSent.get(topic) ?? 0) + intervalMs;
    let frames = this.#held.get(topic);
    if (frames === undefined) {
      frames = new Map();
      this.#held.set(topic, frames);
    }
    this.#due.set(topic, due);
    frames.delete(key);
    frames.set(key, frame);
    return due;
  }

  /** When the next held tick may go, or undefined when nothing is held. */
  nextDue(): number | undefined {
    let next: number | undefined;
    for (const due of this.#due.values()) {
      if (next === undefined || due < next) next = due;
    }
    return next;
  }

  /** Takes out what may go by now. */
  take(now: number): KeyedFrame[] {
    const taken: KeyedFrame[] = [];
    for (const [topic, due] of this.#due) {
      if (due > now) continue;
      taken.push(...(this.#held.get(topic) ?? []));
      this.#held.delete(topic);
      this.#due.delete(topic);
      this.#lastSent.set(topic, now);
    }
    return taken;
  }

  /** All that is held, which stays held. */
  held(): KeyedFrame[] {
    return [...this.#held.values()].flatMap((frames) => [...frames]);
  }

  /** Goes on where another was, for clients that come from there. */
  follow(other: Pacing): void {
    for (const [topic, last] of other.#lastSent) this.#lastSent.set(topic, last);
    for (const [topic, due] of other.#due) this.#due.set(topic, due);
    for (const [topic, frames] of other.#held) this.#held.set(topic, new Map(frames));
  }

  /** Drops what belongs to topics that are no longer wanted. */
  keep(isWanted: (topic: number) => boolean): void {
    for (const topics of [this.#held, this.#due, this.#lastSent]) {
      for (const topic of topics.keys()) {
        if (!isWanted(topic)) topics.delete(topic);
      }
    }
  }
}
