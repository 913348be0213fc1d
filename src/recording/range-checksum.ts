import { crc32, shiftedCrc32 } from './crc32.ts';

/** Bytes from one kept checksum to the next. */
const STEP = 1024;

/**
 * CRC-32 of any range of some bytes, at a cost that does not grow with the range: each byte is summed up once, and a
 * range is the difference of two sums. So a file of headers that all claim millions of bytes is read in linear time.
 */
export class RangeChecksum {
  /** Checksums of the first 0, 1, 2, … steps. */
  readonly #sums: number[] = [0];

  /** To be called when the bytes have become others. */
  reset(): void {
    this.#sums.length = 1;
  }

  of(bytes: Buffer, from: number, to: number): number {
    return (this.#upTo(bytes, to) ^ shiftedCrc32(this.#upTo(bytes, from), to - from)) >>> 0;
  }

  #upTo(bytes: Buffer, end: number): number {
    const steps = Math.floor(end / STEP);
    for (let step = this.#sums.length; step <= steps; step++) {
      this.#sums.push(crc32(bytes.subarray((step - 1) * STEP, step * STEP), this.#sums[step - 1]));
    }
    return crc32(bytes.subarray(steps * STEP, end), this.#sums[steps]);
  }
}
