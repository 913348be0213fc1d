import type { Mode } from '../message.ts';

/** What can be subscribed to. */
export interface Instrument {
  readonly exchange: string;
  readonly symbol: string;
}

/** What became of one instrument of a request. */
export type Outcome =
  /** Taken, or left. `depth` is what the upstream says will come, levels a side. */
  | { status: 'success'; depth?: number }
  /** Refused: that is the upstream's word on this instrument. */
  | { status: 'refused'; reason: string }
  /**
   * It could not be done now: that says nothing of the instrument. `isOfAll`: the request has failed as a whole, and one
   * of its instruments may be why.
   */
  | { status: 'failed'; reason: string; isOfAll?: boolean };

/** The outcomes of a request; an instrument without one has succeeded. */
export type Outcomes = Map<Instrument, Outcome>;

/** Something upstream that ticks can be asked of. Both reject when it is gone. */
export interface Upstream {
  subscribe(mode: Mode, depth: number, instruments: readonly Instrument[]): Promise<Outcomes>;
  /** Asks once more for what is subscribed, in case that the upstream has lost it. */
  refresh(mode: Mode, depth: number, instruments: readonly Instrument[]): Promise<Outcomes>;
  unsubscribe(mode: Mode, instruments: readonly Instrument[]): Promise<Outcomes>;
}
