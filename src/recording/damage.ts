import type { RecordingContents } from './contents.ts';
import type { SpoiltHeader } from './frame-scanner.ts';

/** Counts what is lost in a damaged place: all that stands between two sound frames. */
export class Damage {
  readonly #contents: RecordingContents;
  #isOpen = false;
  #bytes = 0;
  #headers = 0;
  #ticks = 0;
  #last: SpoiltHeader | undefined;
  #lastAt = 0;

  constructor(contents: RecordingContents) {
    this.#contents = contents;
  }

  /** A header was found in it. One that stands where another's payload should be may be a part of that. */
  header(at: number, header: SpoiltHeader): void {
    if (this.#last !== undefined && at < this.#last.end) return;
    this.#addTicks(at);
    this.#headers++;
    this.#last = header;
    this.#lastAt = at;
  }

  /** Bytes of it were passed over. */
  passOver(bytes: number): void {
    this.#isOpen = true;
    this.#bytes += bytes;
  }

  /** Here it ends, at something sound. A header that begins there is none of it: what it announces was read after all. */
  end(at: number): void {
    if (this.#last === undefined || this.#lastAt < at) this.#addTicks(at);
    else this.#headers--;
    if (this.#isOpen) {
      this.#contents.damages++;
      this.#contents.damagedBytes += this.#bytes;
      this.#contents.blocksLost += Math.max(1, this.#headers);
      this.#contents.ticksLost += this.#ticks;
    }
    this.drop();
  }

  /** Forgets it: it is counted elsewhere. */
  drop(): void {
    this.#isOpen = false;
    this.#bytes = 0;
    this.#headers = 0;
    this.#ticks = 0;
    this.#last = undefined;
  }

  /** It ends with the stream: the last block may have been cut. */
  endOfStream(at: number): void {
    this.end(Math.max(at, this.#last?.end ?? 0));
  }

  /** A header's number of ticks is believed if what it announces ends where the next thing begins. */
  #addTicks(at: number): void {
    if (this.#last?.end === at) this.#ticks += this.#last.ticks ?? 0;
  }
}
