/** Changes after which the place of the oldest member is looked for anew. */
const MOST_CHANGES = 1_000;

/**
 * A set whose oldest member is found at once. A set of JavaScript alone would walk over the places of all members that
 * were taken out before.
 */
export class OldestFirst<T> {
  readonly #members = new Set<T>();
  /** Everything before it has been taken out. */
  #next = this.#members.values();
  /** Changes since then: an iterator keeps whatever the set has outgrown in memory. */
  #changes = 0;

  get size(): number {
    return this.#members.size;
  }

  /** Adds a member as the newest, also if it was there before. */
  add(member: T): void {
    this.delete(member);
    this.#members.add(member);
  }

  delete(member: T): void {
    this.#members.delete(member);
    this.#changes += 1;
    if (this.#changes >= MOST_CHANGES) this.#restart();
  }

  /** Takes the oldest member out; undefined if there is none. */
  takeOldest(): T | undefined {
    let oldest = this.#next.next();
    if (oldest.done) {
      this.#restart();
      oldest = this.#next.next();
    }
    if (oldest.done) return undefined;
    this.#members.delete(oldest.value);
    return oldest.value;
  }

  clear(): void {
    this.#members.clear();
    this.#restart();
  }

  #restart(): void {
    this.#next = this.#members.values();
    this.#changes = 0;
  }
}
