import { canWriteVectored, writeVectored } from './native-binding.ts';

export { canWriteVectored };

/** Sends slices of an arena to many sockets in one call; see {@link VectoredWrite.group}. */
export class VectoredWrite {
  #plan = new Int32Array(4096);
  #length = 0;
  #clients = 0;
  #results = new Int32Array(1024);

  /**
   * Adds slices (pairs of offset and length in the arena, the first `count` pairs) that go to all these
   * descriptors. Touching slices are joined into one vector.
   */
  group(slices: ArrayLike<number>, count: number, descriptors: readonly number[]): void {
    this.#reserve(2 + 2 * count + descriptors.length);
    const plan = this.#plan;
    let at = this.#length;
    plan[at++] = descriptors.length;
    plan[at++] = count;
    for (let i = 0; i < 2 * count; i++) plan[at++] = slices[i]!;
    for (const descriptor of descriptors) plan[at++] = descriptor;
    this.#length = at;
    this.#clients += descriptors.length;
  }

  /**
   * Sends what was added and forgets it. Returns one number for each descriptor in the order of adding:
   * the bytes sent (fewer than asked if the socket is full), or a negative error number. Valid until the
   * next call.
   */
  send(arena: Uint8Array): Int32Array {
    if (this.#results.length < this.#clients) this.#results = new Int32Array(2 * this.#clients);
    const length = this.#length;
    this.#length = 0;
    this.#clients = 0;
    const count = writeVectored(arena, this.#plan, length, this.#results);
    return this.#results.subarray(0, count);
  }

  #reserve(numbers: number): void {
    if (this.#length + numbers <= this.#plan.length) return;
    const larger = new Int32Array(2 * (this.#length + numbers));
    larger.set(this.#plan.subarray(0, this.#length));
    this.#plan = larger;
  }
}
