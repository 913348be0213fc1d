import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** How often the memory is looked at, ms. */
const ROUND_MS = 250;
/** Growth since the last collection from which the next one is due, bytes. */
const GROWTH = 12 * 1024 * 1024;

/**
 * Collects garbage as soon as there is much of it. The engine by itself waits until its heap has doubled and more: what
 * clients' lists leave behind would take some hundred MB. A collection takes some 20 ms of JavaScript, through which no
 * tick passes, and nothing is collected while little is asked.
 *
 * @returns a function that ends it.
 */
export function keepMemorySmall(): () => void {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const used = (): number => {
    const { used_heap_size: heap, external_memory: external } = getHeapStatistics();
    return heap + external;
  };
  let least = used();
  const timer = setInterval(() => {
    const now = used();
    least = Math.min(least, now);
    if (now - least < GROWTH) return;
    collect();
    least = used();
  }, ROUND_MS);
  timer.unref();
  return () => clearInterval(timer);
}
