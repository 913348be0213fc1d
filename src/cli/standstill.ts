import { setTimeout as sleep } from 'node:timers/promises';
import { LockFreeRingBuffer } from '../shm/ring-buffer.ts';
import { duration, short } from './figures.ts';

/** A reader that stands still for less than this must lose nothing: a garbage collection or a busy host can take as long, s. */
export const ENOUGH_SECONDS = 0.5;
/** How long a ring's rate is watched, ms. */
const WATCHED_MS = 500;

/** How long a reader of a ring may stand still before it loses ticks, at the rate that the ring has now. */
export interface Standstill {
  ring: string;
  /** The publisher that fills its lane first. */
  publisher: string;
  /** Lines that it publishes a second; an LTP tick is one. */
  linesPerSecond: number;
  seconds: number;
}

/** Watches a ring for half a second. Undefined while nothing is published to it. */
export async function standstillOf(ring: LockFreeRingBuffer): Promise<Standstill | undefined> {
  const began = performance.now();
  const before = new Map(ring.stats().publishers.map(({ lane, linesPublished }) => [lane, linesPublished]));
  await sleep(WATCHED_MS);
  const { name, capacity, publishers } = ring.stats();
  const elapsed = (performance.now() - began) / 1000;
  const rates = publishers.map((lane) => ({
    publisher: lane.publisher,
    linesPerSecond: (lane.linesPublished - (before.get(lane.lane) ?? 0)) / elapsed,
  }));
  const busiest = rates.toSorted((one, other) => other.linesPerSecond - one.linesPerSecond)[0];
  if (busiest === undefined || busiest.linesPerSecond <= 0) return undefined;
  return { ring: name, ...busiest, seconds: capacity / busiest.linesPerSecond };
}

/** The same in words. */
export function standstillText({ publisher, linesPerSecond, seconds }: Standstill): string {
  return `at ${short(linesPerSecond)} lines/s of ${publisher} a reader may stand still for ${duration(seconds * 1e9)}`;
}
