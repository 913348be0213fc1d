import { getHeapSpaceStatistics, getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { trimMemory } from '../shm/memory.ts';

/** How often the memory is looked at, ms. */
const ROUND_MS = 500;
/** What may be there beyond the least that there ever was, bytes. */
const ALLOWANCE = 16 * 1024 * 1024;
/** Growth since the last collection that makes another one worth while, bytes. */
const GROWTH = 6 * 1024 * 1024;
/** Share of the time that collections may take. */
const SHARE = 0.2;
/** Time after which what is still there is looked through once more, ms; twice as long each time. */
const AGAIN_MS = 1_000;

/**
 * Collects garbage as soon as there is much of it, and gives the memory back. The engine by itself waits until its heap
 * has doubled and more, and the allocator keeps what was freed: what clients' lists leave behind would take some hundred
 * MB. A collection takes some 30 ms of JavaScript; ticks to clients on plain TCP do not pass through it.
 */
export function keepMemorySmall(): void {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  let least = used();
  let after = least;
  let notBefore = 0;
  let againMs = AGAIN_MS;
  let againAt = Infinity;
  setInterval(() => {
    const [bytes, now] = [used(), performance.now()];
    least = Math.min(least, bytes);
    const hasGrown = bytes - least >= ALLOWANCE && bytes - after >= GROWTH;
    // What was in use at the last collection may be garbage by now.
    if (hasGrown ? now < notBefore : now < againAt) return;
    againMs = hasGrown ? AGAIN_MS : againMs * 2;
    collect();
    trimMemory();
    after = used();
    const endedAt = performance.now();
    notBefore = endedAt + (endedAt - now) * (1 / SHARE - 1);
    againAt = after - least >= ALLOWANCE || hasGrown ? endedAt + againMs : Infinity;
  }, ROUND_MS).unref();
}

/**
 * Bytes of JavaScript's heap, and of what its objects hold outside of it. Without the space of new objects: that fills up
 * and is emptied by itself all the time.
 */
function used(): number {
  const spaces = getHeapSpaceStatistics().filter(({ space_name: name }) => name !== 'new_space');
  const heap = spaces.reduce((sum, { space_used_size: bytes }) => sum + bytes, 0);
  return heap + getHeapStatistics().external_memory;
}
