import { setImmediate as nextTurn, setTimeout as wait } from 'node:timers/promises';
import { OpenAlgoShmError } from '../errors.ts';

/** Lets everything else on the event loop have its turn. */
export async function giveTurn(): Promise<void> {
  await nextTurn();
}

/** The longest that a timer of Node.js can wait. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** Waits for `ms` milliseconds, or less if the signal is aborted; never rejects for that. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  let left = ms;
  try {
    do {
      await wait(Math.min(left, LONGEST_TIMER_MS), undefined, { signal });
      left -= LONGEST_TIMER_MS;
    } while (left > 0);
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

/**
 * Checks a rate or a speed.
 * @throws OpenAlgoShmError `ERR_INVALID_OPTION`
 */
export function checkPace(option: string, value: number | 'max'): number | 'max' {
  if (value === 'max' || (typeof value === 'number' && Number.isFinite(value) && value > 0)) return value;
  throw new OpenAlgoShmError('ERR_INVALID_OPTION', `${option} must be a number above 0 or "max", got ${String(value)}`);
}

/** An even rate: says how many ticks are due. Times are in ms on any one clock that never goes back. */
export class RatePace {
  readonly #perMs: number;
  #start: number;
  #given = 0;

  constructor(perSecond: number, now: number) {
    this.#perMs = perSecond / 1000;
    this.#start = now;
  }

  /** How many ticks are due now, the first at once. After a second without a call the delay is forgotten, not made up. */
  take(now: number): number {
    const behind = this.#perMs * (now - this.#start) + 1 - this.#given;
    const due = Math.floor(behind);
    if (due > Math.max(1, this.#perMs * 1000)) {
      this.#start = now;
      this.#given = 1;
      return 1;
    }
    this.#given += Math.max(0, due);
    return Math.max(0, due);
  }

  /** Milliseconds until the next tick is due. */
  untilNext(now: number): number {
    return Math.max(0, this.#start + this.#given / this.#perMs - now);
  }
}
