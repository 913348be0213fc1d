/** First byte of a whole binary message. */
const BINARY_FRAME = 0x82;

/** A frame kept for later, as a string of latin1, with what it is the newest of. */
export type KeyedFrame = readonly [key: number, frame: string];

/**
 * WebSocket frames that go to a client together: slices of one buffer, without a gap where they follow
 * one another. The bytes are joined at most once, however many clients get them.
 */
export class Frames {
  /** For each frame what it is the newest of: topic and variant in one number. */
  readonly keys: number[] = [];
  readonly offsets: number[] = [];
  readonly lengths: number[] = [];
  /** Offset and length of each run of adjacent frames in the buffer. */
  readonly runs: number[] = [];
  byteLength = 0;
  #buffer: Buffer;
  #joined: Buffer | undefined;
  readonly #borrowed: boolean;

  /**
   * @param buffer what the frames are slices of.
   * @param borrowed true when the buffer is overwritten later, so that what is kept must be copied.
   */
  constructor(buffer: Buffer, borrowed: boolean) {
    this.#buffer = buffer;
    this.#borrowed = borrowed;
  }

  /** The buffer that the runs are slices of. */
  get buffer(): Buffer {
    return this.#buffer;
  }

  /** Number of frames. */
  get count(): number {
    return this.keys.length;
  }

  add(key: number, offset: number, length: number): void {
    this.keys.push(key);
    this.offsets.push(offset);
    this.lengths.push(length);
    this.byteLength += length;
    const { runs } = this;
    const last = runs.length - 2;
    if (last >= 0 && (runs[last] as number) + (runs[last + 1] as number) === offset) {
      runs[last + 1] = (runs[last + 1] as number) + length;
    } else {
      runs.push(offset, length);
    }
  }

  /** All frames as one buffer that nobody writes to any more. */
  join(): Buffer {
    this.#joined ??= this.#copy();
    return this.#joined;
  }

  /** One frame, byte for byte, as a string of latin1: it takes the least memory to keep. */
  text(index: number): string {
    const offset = this.offsets[index] as number;
    return this.#buffer.toString('latin1', offset, offset + (this.lengths[index] as number));
  }

  #copy(): Buffer {
    if (!this.#borrowed && this.runs.length === 2 && this.byteLength === this.#buffer.length) return this.#buffer;
    const joined = Buffer.allocUnsafe(this.byteLength);
    let at = 0;
    for (let run = 0; run < this.runs.length; run += 2) {
      const start = this.runs[run] as number;
      at += this.#buffer.copy(joined, at, start, start + (this.runs[run + 1] as number));
    }
    return joined;
  }

  /** Frames that are in buffers of their own, in this order. */
  static ofBuffers(keys: readonly number[], buffers: readonly Buffer[]): Frames {
    const frames = new Frames(Buffer.concat(buffers), false);
    let offset = 0;
    keys.forEach((key, index) => {
      const length = buffers[index]?.length ?? 0;
      frames.add(key, offset, length);
      offset += length;
    });
    return frames;
  }

  /** Frames that were kept as strings, in this order. */
  static ofTexts(texts: Iterable<KeyedFrame>): Frames {
    const all = [...texts];
    const frames = new Frames(Buffer.from(all.map(([, text]) => text).join(''), 'latin1'), false);
    let offset = 0;
    for (const [key, text] of all) {
      frames.add(key, offset, text.length);
      offset += text.length;
    }
    return frames;
  }
}

/** What a kept frame is the newest of. */
export function frameKey(topic: number, variant: number): number {
  return topic * 8 + variant;
}

/** The topic of a frame's key. */
export function topicOfKey(key: number): number {
  return Math.floor(key / 8);
}

/** The variant of a frame's key. */
export function variantOfKey(key: number): number {
  return key % 8;
}

/** What a frame carries. */
export interface Payload {
  bytes: Buffer;
  binary: boolean;
}

/** The payload of each frame of a buffer that holds complete, unmasked frames. */
export function* payloads(frames: Buffer): Generator<Payload> {
  let at = 0;
  while (at < frames.length) {
    const short = (frames[at + 1] as number) & 0x7f;
    const header = short < 126 ? 2 : short === 126 ? 4 : 10;
    const length =
      short < 126 ? short : short === 126 ? frames.readUInt16BE(at + 2) : Number(frames.readBigUInt64BE(at + 2));
    yield { bytes: frames.subarray(at + header, at + header + length), binary: frames[at] === BINARY_FRAME };
    at += header + length;
  }
}
