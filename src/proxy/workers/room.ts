import { type ErrorCode, OpenAlgoShmError, hasCode } from '../../errors.ts';
import { DEFAULT_RING_NAME } from '../../shm/options.ts';
import { LockFreeRingBuffer, type RingStats } from '../../shm/ring-buffer.ts';

/** Places of a ring that nobody has made yet: those of its defaults. */
const DEFAULT_PLACES = 64;

/**
 * Checks that the rings have room for so many proxies: each reads the ring of ticks, and has a lane of the ring that
 * tells feeds what its clients want.
 *
 * @throws {OpenAlgoShmError} `ERR_NO_FREE_CONSUMER`, `ERR_NO_FREE_LANE`, and those of opening a ring.
 */
export function checkRoom(ring: string = DEFAULT_RING_NAME, proxies: number): void {
  requireRoom(proxies, ring, 'readers', 'ERR_NO_FREE_CONSUMER', ({ consumers, subscribers }) => [
    consumers,
    subscribers.length,
  ]);
  requireRoom(proxies, `${ring}.interest`, 'proxies', 'ERR_NO_FREE_LANE', ({ lanes, publishers }) => [
    lanes,
    publishers.filter(({ alive }) => alive).length,
  ]);
}

function requireRoom(
  wanted: number,
  ring: string,
  whose: string,
  code: ErrorCode,
  placesOf: (stats: RingStats) => [all: number, taken: number],
): void {
  const stats = statsOf(ring);
  const [all, taken] = stats === undefined ? [DEFAULT_PLACES, 0] : placesOf(stats);
  if (all - taken >= wanted) return;
  throw new OpenAlgoShmError(
    code,
    `the ring ${ring} has room for ${all} ${whose}, and ${taken} are there: ${wanted} workers do not fit; start at most ${all - taken}`,
  );
}

function statsOf(name: string): RingStats | undefined {
  let ring: LockFreeRingBuffer | undefined;
  try {
    ring = LockFreeRingBuffer.open(name);
    return ring.stats();
  } catch (error) {
    if (hasCode(error, 'ERR_SHM_NOT_FOUND')) return undefined;
    throw error;
  } finally {
    ring?.close();
  }
}
