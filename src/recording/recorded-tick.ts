import type { Tick } from '../message.ts';

/** A tick as it was recorded. */
export interface RecordedTick extends Tick {
  /** When it was published, ms since 1970, with fractions. */
  recordedMs: number;
  /** When it was published, ns of the clock of the machine that recorded it. */
  publishNs: number;
  /** Name of its publisher. */
  publisher: string;
}
