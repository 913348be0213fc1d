/** Opcodes of RFC 6455. */
export const OPCODE = { CONTINUATION: 0, TEXT: 1, BINARY: 2, CLOSE: 8, PING: 9, PONG: 10 } as const;

/** Bytes of a frame's payload that are looked at; the rest is skipped. */
const SHOWN_BYTES = 1024;

/** Takes a frame: the beginning of its payload is `bytes` from `start` to `end`, valid during the call only. */
export type OnFrame = (opcode: number, bytes: Buffer, start: number, end: number) => void;

/** Finds the frames of a server in what comes from its socket. Copies nothing unless a frame is cut in two. */
export class FrameReader {
  readonly #onFrame: OnFrame;
  #rest: Buffer | undefined;
  #skip = 0;

  constructor(onFrame: OnFrame) {
    this.#onFrame = onFrame;
  }

  /** Takes the next bytes, which may be overwritten afterwards. */
  read(chunk: Buffer): void {
    const bytes = this.#rest === undefined ? chunk : Buffer.concat([this.#rest, chunk]);
    this.#rest = undefined;
    let at = Math.min(this.#skip, bytes.length);
    this.#skip -= at;
    while (bytes.length - at >= 2) {
      const frame = header(bytes, at);
      if (frame === undefined || bytes.length - frame.start < Math.min(frame.length, SHOWN_BYTES)) break;
      const { start, length } = frame;
      this.#onFrame(bytes[at]! & 15, bytes, start, start + Math.min(length, SHOWN_BYTES));
      at = Math.min(start + length, bytes.length);
      this.#skip = start + length - at;
    }
    if (at < bytes.length) this.#rest = Buffer.from(bytes.subarray(at));
  }
}

function header(bytes: Buffer, at: number): { start: number; length: number } | undefined {
  const length = bytes[at + 1]! & 127;
  if (length < 126) return { start: at + 2, length };
  if (length === 126) return bytes.length < at + 4 ? undefined : { start: at + 4, length: bytes.readUInt16BE(at + 2) };
  return bytes.length < at + 10 ? undefined : { start: at + 10, length: Number(bytes.readBigUInt64BE(at + 2)) };
}

/** How a client's frame differs from a complete one. */
export interface FrameShape {
  opcode?: number;
  /** Whether the message ends with this frame. Default true. */
  final?: boolean;
}

/** A client's frame. Its mask is zero: a valid mask, and one that costs the attacker nothing. */
export function clientFrame(payload: string | Buffer, shape: FrameShape = {}): Buffer {
  const bytes = typeof payload === 'string' ? Buffer.from(payload) : payload;
  return Buffer.concat([frameHeader(bytes.length, shape), bytes]);
}

/** The header of a client's frame that says it has so many bytes. */
export function frameHeader(length: number, { opcode = OPCODE.TEXT, final = true }: FrameShape = {}): Buffer {
  const first = (final ? 0x80 : 0) | opcode;
  const mask = [0, 0, 0, 0];
  if (length < 126) return Buffer.from([first, 0x80 | length, ...mask]);
  if (length < 65_536) return Buffer.from([first, 0x80 | 126, length >> 8, length & 255, ...mask]);
  const bytes = Buffer.alloc(14);
  bytes[0] = first;
  bytes[1] = 0x80 | 127;
  bytes.writeBigUInt64BE(BigInt(length), 2);
  return bytes;
}
