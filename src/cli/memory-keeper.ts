import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { trimMemory } from '../shm/memory.ts';

/** How often the memory is looked at, ms. */
const ROUND_MS = 250;
/** What may be there beyond the least that there ever was, bytes. */
const ALLOWANCE = 16 * 1024 * 1024;
/** Growth since the last collection that makes another one worth while, bytes. */
const GROWTH = 6 * 1024 * 1024;

/**
 * Collects garbage as soon as there is much of it, and gives the memory back. The engine by itself waits until its heap
 * has doubled and more, and the allocator keeps what was freed: what clients' lists leave behind would take some hundred
 * MB. A collection takes some 20 ms of JavaScript, through which no tick passes, and nothing is collected while little is
 * asked.
 */
export function keepMemorySmall(): void {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  let least = used();
  let after = least;
  setInterval(() => {
    const now = used();
    least = Math.min(least, now);
    if (now - least < ALLOWANCE || now - after < GROWTH) return;
    collect();
    trimMemory();
    after = used();
  }, ROUND_MS).unref();
}

/** Bytes of JavaScript's heap, and of what its objects hold outside of it. */
function used(): number {
  const { used_heap_size: heap, external_memory: external } = getHeapStatistics();
  return heap + external;
}
