import type { FrameShape } from './frame-scanner.ts';

/**
 * A recording is a row of blocks and nothing else. A block stands for itself: a damaged one takes none of the others
 * with it, recordings can be joined with `cat`, and a file that was cut in the middle of a block is read up to there.
 * All numbers are little-endian. docs/recording-format.md describes the same for other programs.
 *
 * ```text
 * block    0  magic "OATICKS1"
 *          8  u32  bytes of the payload
 *         12  u32  CRC-32 of the payload
 *         16  payload
 * payload  0  u32  number of ticks
 *          4  u32  messages that the recorder lost before these
 *          8  f64  ms since 1970 at ns 0 of the publishers' clock
 *         16  u16  number of names · u16 0 · u32 bytes of the names
 *         24  names: u8 length, UTF-8; then zeros up to a multiple of 8
 *             ticks
 * tick     0  u8   mode · u8 1 with a book · u8 buy levels · u8 sell levels
 *          4  u16  exchange · u16 symbol · u16 publisher, as numbers of names · u16 0
 *         12  u32  presence bits, bit i for the i-th field of the message
 *         16  f64  publish time in ns of the publishers' clock
 *         24  f64  each field that is present, in order
 *             3 f64 each level: price, quantity, orders; buy side first, best first
 * ```
 */
export const MAGIC = Buffer.from('OATICKS1', 'latin1');

/** Offsets in a block, bytes. */
export const BLOCK = { length: 8, crc: 12, payload: 16 } as const;

/** Offsets in a payload, bytes. */
export const PAYLOAD = { count: 0, lost: 4, clock: 8, nameCount: 16, nameBytes: 20, names: 24 } as const;

/** Offsets in a tick, bytes. */
export const TICK = {
  mode: 0,
  hasBook: 1,
  buys: 2,
  sells: 3,
  exchange: 4,
  symbol: 6,
  publisher: 8,
  present: 12,
  publishNs: 16,
  fields: 24,
} as const;

/** Longest payload: what claims to be longer is damaged. */
export const MAX_PAYLOAD = 1 << 24;

/** How blocks are told from anything else. */
export const BLOCK_SHAPE: FrameShape = {
  magic: MAGIC,
  lengthAt: BLOCK.length,
  crcAt: BLOCK.crc,
  ticksAt: BLOCK.payload + PAYLOAD.count,
  payloadAt: BLOCK.payload,
  trailer: 0,
  shortest: PAYLOAD.names,
  longest: MAX_PAYLOAD,
  mostTicks: (payloadBytes) => Math.floor((payloadBytes - PAYLOAD.names) / TICK.fields),
};

/** Bytes of one number. */
export const F64 = 8;
/** Numbers of one level. */
export const LEVEL_NUMBERS = 3;

/**
 * True for the first eight bytes, or fewer, of a file that a recording may be appended to: one that is empty, that
 * begins as a recording, or with the zeros that a machine leaves which failed while it was written.
 */
export function isContinuable(beginning: Buffer): boolean {
  return MAGIC.subarray(0, beginning.length).equals(beginning) || beginning[0] === 0;
}

/** Rounds up to a multiple of 8. */
export function padded(bytes: number): number {
  return (bytes + 7) & ~7;
}
