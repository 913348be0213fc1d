/**
 * A set whose oldest member is found at once. A set of JavaScript alone would walk over the places of all members that
 * were taken out before.
 */
export class OldestFirst<T> {
  readonly #members = new Set<T>();
  /** Everything before it has been taken out. */
  #next = this.#members.values();

  get size(): number {
    return this.#members.size;
  }

  /** Adds a member as the newest, also if it was there before. */
  add(member: T): void {
    this.#members.delete(member);
    this.#members.add(member);
  }

  delete(member: T): void {
    this.#members.delete(member);
  }

  /** Takes the oldest member out; undefined if there is none. */
  takeOldest(): T | undefined {
    let oldest = this.#next.next();
    if (oldest.done) {
      this.#next = this.#members.values();
      oldest = this.#next.next();
    }
    if (oldest.done) return undefined;
    this.#members.delete(oldest.value);
    return oldest.value;
  }

  clear(): void {
    this.#members.clear();
  }
}
