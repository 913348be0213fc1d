const FIRST_ROOM = 1 << 19;

/** The bytes of a stream that are still looked at. Bytes are copied a bounded number of times, however many stay. */
export class ByteWindow {
  #room: Buffer = Buffer.allocUnsafe(FIRST_ROOM);
  #from = 0;
  #to = 0;

  /** The room itself; its contents change with {@link add}. */
  get room(): Buffer {
    return this.#room;
  }

  /** Where the bytes begin in the room. */
  get from(): number {
    return this.#from;
  }

  /** Where they end. */
  get to(): number {
    return this.#to;
  }

  get length(): number {
    return this.#to - this.#from;
  }

  /** Appends bytes. True if those that were there have moved in the room. */
  add(bytes: Buffer): boolean {
    const isMoved = this.#makeRoom(bytes.length);
    this.#to += bytes.copy(this.#room, this.#to);
    return isMoved;
  }

  /** Takes bytes off the beginning; they stay as they are until bytes are added. */
  take(bytes: number): Buffer {
    this.#from += bytes;
    return this.#room.subarray(this.#from - bytes, this.#from);
  }

  #makeRoom(bytes: number): boolean {
    if (this.#to + bytes <= this.#room.length) return false;
    const { length } = this;
    const fits = length + bytes <= this.#room.length;
    // Moved only by as many as were taken off, or into twice the room: so a byte is moved twice on average at most.
    const to = fits && length <= this.#from ? this.#room : this.#larger(length + bytes);
    this.#room.copy(to, 0, this.#from, this.#to);
    this.#room = to;
    this.#from = 0;
    this.#to = length;
    return true;
  }

  #larger(least: number): Buffer {
    return Buffer.allocUnsafe(Math.max(this.#room.length * 2, least));
  }
}
