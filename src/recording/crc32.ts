import * as zlib from 'node:zlib';

/** The reflected polynomial of zlib, gzip and PNG. */
const POLYNOMIAL = 0xedb88320;

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ POLYNOMIAL : value >>> 1;
  return value;
});

/** CRC-32 in plain JavaScript, for a Node.js whose zlib offers none (before 20.15). */
export function portableCrc32(bytes: Uint8Array, before = 0): number {
  let crc = before ^ 0xffffffff;
  for (const byte of bytes) crc = (crc >>> 8) ^ TABLE[(crc ^ byte) & 0xff]!;
  return (crc ^ 0xffffffff) >>> 0;
}

/** CRC-32 as zlib computes it; `before` is that of the bytes that stand before these. */
export const crc32: (bytes: Uint8Array, before?: number) => number =
  (zlib as { crc32?: (bytes: Uint8Array, before?: number) => number }).crc32 ?? portableCrc32;

/** Powers of x modulo the polynomial: x to the power of 1, 2, 4, 8 and so on. */
const POWERS: readonly number[] = (() => {
  const powers = [1 << 30];
  while (powers.length < 32) powers.push(multiplied(powers.at(-1)!, powers.at(-1)!));
  return powers;
})();

/**
 * What the CRC-32 of some bytes adds to that of more bytes that begin with them, as zlib's `crc32_combine` has it:
 * `crc32(a + b) === shiftedCrc32(crc32(a), b.length) ^ crc32(b)`. Takes a step for each binary digit of the length.
 */
export function shiftedCrc32(crc: number, bytes: number): number {
  let power = 1 << 31;
  // A byte is eight bits: the third power of two.
  for (let left = bytes, index = 3; left > 0; left >>>= 1, index++) {
    if (left & 1) power = multiplied(POWERS[index % 32]!, power);
  }
  return multiplied(power, crc) >>> 0;
}

/** The product of two polynomials modulo that of the checksum. */
function multiplied(one: number, other: number): number {
  let product = 0;
  for (let rest = one, factor = other; rest !== 0; rest <<= 1) {
    if (rest < 0) product ^= factor;
    factor = factor & 1 ? (factor >>> 1) ^ POLYNOMIAL : factor >>> 1;
  }
  return product;
}
