import { ByteWindow } from './byte-window.ts';
import { RangeChecksum } from './range-checksum.ts';

/** How the frames of a stream are known: a magic, the length of a payload and its CRC-32, then the payload. */
export interface FrameShape {
  readonly magic: Buffer;
  /** Offsets from the frame's beginning, in bytes. */
  readonly lengthAt: number;
  readonly crcAt: number;
  readonly ticksAt: number;
  readonly payloadAt: number;
  /** Bytes that follow a frame and are none of it, so that one without them does not take those of the next. */
  readonly trailer: number;
  /** Bytes of the shortest and of the longest payload. */
  readonly shortest: number;
  readonly longest: number;
  /** The most ticks that a payload of so many bytes can hold. */
  readonly mostTicks: (payloadBytes: number) => number;
}

/** What a header says that is followed by no sound payload. */
export interface SpoiltHeader {
  /** Where its frame, and what follows that, would end in the stream. */
  readonly end: number;
  /** Ticks that it speaks of; undefined where it was cut off, or speaks of more than there can be. */
  readonly ticks: number | undefined;
}

/** A part of a stream; its bytes are good until more are pushed. */
export type Part =
  | { readonly kind: 'frame'; readonly at: number; readonly bytes: Buffer }
  | { readonly kind: 'other'; readonly at: number; readonly bytes: Buffer; readonly header?: SpoiltHeader };

/**
 * Parts a stream into its sound frames and all else. A frame stands for itself: behind anything else the next one is
 * found by its magic, and whether it is one is said by its length and checksum. The work grows with the bytes alone,
 * whatever they claim, and so does the memory, up to a few times the longest frame.
 */
export class FrameScanner {
  readonly #shape: FrameShape;
  readonly #window = new ByteWindow();
  readonly #checksum = new RangeChecksum();
  /** Bytes of the stream before the window. */
  #before = 0;

  constructor(shape: FrameShape) {
    this.#shape = shape;
  }

  /** The parts that are known with these bytes. */
  *push(bytes: Buffer): Generator<Part> {
    if (this.#window.add(bytes)) this.#checksum.reset();
    while (this.#window.length >= this.#shape.payloadAt) {
      const found = this.#frameBytes();
      if (found === 'more') return;
      yield found === undefined ? this.#other(false) : this.#frame(found);
    }
  }

  /** The parts of what is left: the stream has ended, or goes on elsewhere. */
  *end(): Generator<Part> {
    while (this.#window.length > 0) {
      const found = this.#frameBytes();
      yield typeof found === 'number' ? this.#frame(found) : this.#other(true);
    }
  }

  /** Bytes of the frame at the beginning; `more` if it goes on behind the window, undefined if there is none. */
  #frameBytes(): number | 'more' | undefined {
    const { payloadAt, crcAt } = this.#shape;
    const { room, from, to } = this.#window;
    const length = this.#payloadLength();
    if (length === undefined) return undefined;
    const payload = from + payloadAt;
    if (payload + length > to) return 'more';
    const isSound = this.#checksum.of(room, payload, payload + length) === room.readUInt32LE(from + crcAt);
    return isSound ? payloadAt + length : undefined;
  }

  /** What a header at the beginning says; undefined if there is none that could be. */
  #payloadLength(): number | undefined {
    const { magic, lengthAt, payloadAt, shortest, longest } = this.#shape;
    const { room, from, to } = this.#window;
    if (to - from < payloadAt || room.compare(magic, 0, magic.length, from, from + magic.length) !== 0)
      return undefined;
    const length = room.readUInt32LE(from + lengthAt);
    return length < shortest || length > longest ? undefined : length;
  }

  #frame(bytes: number): Part {
    return { kind: 'frame', at: this.#passed(bytes), bytes: this.#window.take(bytes) };
  }

  #other(isEnd: boolean): Part {
    const header = this.#spoiltHeader();
    const bytes = this.#toNextMagic(isEnd);
    const part = { kind: 'other', at: this.#passed(bytes), bytes: this.#window.take(bytes) } as const;
    return header === undefined ? part : { ...part, header };
  }

  #spoiltHeader(): SpoiltHeader | undefined {
    const length = this.#payloadLength();
    if (length === undefined) return undefined;
    const { payloadAt, trailer, ticksAt, mostTicks } = this.#shape;
    const { room, from, to } = this.#window;
    const ticks = from + ticksAt + 4 <= to ? room.readUInt32LE(from + ticksAt) : Infinity;
    const end = this.#before + payloadAt + length + trailer;
    return { end, ticks: ticks <= mostTicks(length) ? ticks : undefined };
  }

  /** Bytes to the next place where a frame may begin; all of them if there is none. */
  #toNextMagic(isEnd: boolean): number {
    const { magic } = this.#shape;
    const { room, from, to } = this.#window;
    const bytes = room.subarray(from, to);
    const whole = bytes.indexOf(magic, 1);
    if (whole >= 0) return whole;
    if (isEnd) return bytes.length;
    for (let at = Math.max(1, bytes.length - magic.length + 1); at < bytes.length; at++) {
      if (bytes.subarray(at).equals(magic.subarray(0, bytes.length - at))) return at;
    }
    return bytes.length;
  }

  #passed(bytes: number): number {
    this.#before += bytes;
    return this.#before - bytes;
  }
}
