import { availableParallelism } from 'node:os';
import { InvalidArgumentError } from 'commander';

/** Reads a whole number within bounds. */
export function wholeNumber(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() !== '' && Number.isInteger(value) && value >= least && value <= most) return value;
    throw new InvalidArgumentError(`It must be a whole number from ${least} to ${most}.`);
  };
}

/** Most delivery threads of a proxy: each needs a place among the ring's readers. */
const MOST_THREADS = 64;
/** Threads that `auto` stands for at most: each reads the whole ring, and feeds need cores, too. */
const MOST_AUTO = 8;

/** Reads a number of threads; `auto` leaves one core to feeds and JavaScript. */
export function threadCount(text: string): number {
  if (text === 'auto') return Math.max(1, Math.min(MOST_AUTO, availableParallelism() - 1));
  const value = Number(text);
  if (text.trim() !== '' && Number.isInteger(value) && value >= 1 && value <= MOST_THREADS) return value;
  throw new InvalidArgumentError(`It must be a whole number from 1 to ${MOST_THREADS}, or auto.`);
}

/** Reads a number above 0. */
export function positive(text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && Number.isFinite(value) && value > 0) return value;
  throw new InvalidArgumentError('It must be a number above 0.');
}

/** Reads a number above 0, or `max`. */
export function positiveOrMax(text: string): number | 'max' {
  if (text === 'max') return text;
  const value = Number(text);
  if (text.trim() !== '' && Number.isFinite(value) && value > 0) return value;
  throw new InvalidArgumentError('It must be a number above 0, or max.');
}

const UNITS = new Map([
  ['', 1],
  ['b', 1],
  ['k', 1024],
  ['kb', 1000],
  ['kib', 1024],
  ['m', 1024 ** 2],
  ['mb', 1000 ** 2],
  ['mib', 1024 ** 2],
  ['g', 1024 ** 3],
  ['gb', 1000 ** 3],
  ['gib', 1024 ** 3],
]);

/** Reads a size in bytes: `1048576`, `1MiB`, `512k`. */
export function byteSize(text: string): number {
  const [, digits, unit] = /^\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*$/i.exec(text) ?? [];
  const bytes = Number(digits) * (UNITS.get((unit ?? '').toLowerCase()) ?? Number.NaN);
  if (Number.isInteger(bytes) && bytes > 0) return bytes;
  throw new InvalidArgumentError('It must be a size above 0, such as 1048576, 512KiB or 4MiB.');
}

/** Reads the address of a proxy: `http://127.0.0.1:8765`, or its WebSocket form. */
export function httpUrl(text: string): string {
  const address = text.replace(/^ws/, 'http');
  if (!/^https?:/.test(address) || !URL.canParse(address)) {
    throw new InvalidArgumentError('It must be an address such as http://127.0.0.1:8765.');
  }
  return new URL(address).href.replace(/\/$/, '');
}
