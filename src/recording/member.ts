import { promisify } from 'node:util';
import { deflateRaw, inflateRaw } from 'node:zlib';
import { crc32 } from './crc32.ts';
import { BLOCK, BLOCK_SHAPE, MAX_PAYLOAD } from './format.ts';
import type { FrameShape } from './frame-scanner.ts';

/**
 * A finished recording is a row of gzip members (RFC 1952), one for each block, and so is readable with zcat. An extra
 * field in a member's header, which others pass over, makes members as easy to find and to check as blocks are:
 *
 * ```text
 *  0  1f 8b 08 04, 4 zeros (no time), 0, ff · u16 16 bytes of extra field
 * 12  "OT" · u16 12
 * 16  u32  bytes of the deflated block
 * 20  u32  CRC-32 of the deflated block
 * 24  u32  number of ticks of the block
 * 28  the deflated block
 *     u32  CRC-32 of the block · u32 bytes of the block
 * ```
 */
const HEADER = Buffer.from('1f8b08040000000000ff10004f540c00', 'hex');
const MEMBER = { length: 16, crc: 20, ticks: 24, payload: 28, trailer: 8 } as const;

/** Longest content of a member: a block. */
const MAX_CONTENT = BLOCK.payload + MAX_PAYLOAD;
/** What deflate adds at most, with room to spare. */
const MAX_DEFLATED = MAX_CONTENT + MAX_CONTENT / 1000 + 1024;

/** Bytes that deflate can make one of, at most. */
const MAX_INFLATION = 1032;

/** How members are told from anything else. */
export const MEMBER_SHAPE: FrameShape = {
  magic: HEADER,
  lengthAt: MEMBER.length,
  crcAt: MEMBER.crc,
  ticksAt: MEMBER.ticks,
  payloadAt: MEMBER.payload,
  trailer: MEMBER.trailer,
  shortest: 1,
  longest: MAX_DEFLATED,
  mostTicks: (deflatedBytes) => BLOCK_SHAPE.mostTicks(Math.min(MAX_PAYLOAD, deflatedBytes * MAX_INFLATION)),
};

const deflate = promisify(deflateRaw);
const inflate = promisify<Buffer, { maxOutputLength: number }, Buffer>(inflateRaw);

/** Makes a member of a block. */
export async function memberOf(content: Buffer, ticks: number): Promise<Buffer> {
  const deflated = await deflate(content);
  const member = Buffer.alloc(MEMBER.payload + deflated.length + MEMBER.trailer);
  HEADER.copy(member);
  member.writeUInt32LE(deflated.length, MEMBER.length);
  member.writeUInt32LE(crc32(deflated), MEMBER.crc);
  member.writeUInt32LE(ticks, MEMBER.ticks);
  deflated.copy(member, MEMBER.payload);
  member.writeUInt32LE(crc32(content), member.length - 8);
  member.writeUInt32LE(content.length, member.length - 4);
  return member;
}

/** The content of a member without its trailer; undefined where it cannot be inflated to a block's length at most. */
export async function contentOf(member: Buffer): Promise<Buffer | undefined> {
  const deflated = member.subarray(MEMBER.payload);
  return inflate(deflated, { maxOutputLength: MAX_CONTENT }).catch(() => undefined);
}
