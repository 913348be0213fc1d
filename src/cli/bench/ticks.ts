import type { Tick } from '../../message.ts';

const SYMBOLS = 64;

/** One LTP tick of each of some instruments. */
export function tradedTicks(): Tick[] {
  return Array.from({ length: SYMBOLS }, (_, index) => ({
    symbol: `SYMBOL${index}`,
    type: 1,
    ltp: 1000 + index * 0.05,
    volume: 1000 + index,
    timestamp: 1_700_000_000_000 + index,
  }));
}
