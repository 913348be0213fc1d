/** First byte of a whole binary message. */
const BINARY_FRAME = 0x82;

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
