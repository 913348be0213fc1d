/** Says how long to wait for each tick of a recording. Times are in ms. */
export interface ReplayPace {
  /**
   * Milliseconds from `now` until the tick that was recorded at `recorded` is due.
   *
   * @param next the recorded time of the tick after it
   */
  untilDue(recorded: number | undefined, now: number, next?: number): number;
  /** The next tick is the first of the recording again. */
  beginAgain(): void;
}

/** A step of a recording's time that is not waited for. */
export interface SkippedStep {
  /** Recorded time before it, ms since 1970. */
  readonly from: number;
  /** Recorded time behind it. */
  readonly to: number;
}

/** The longest step of a recording that is waited for, ms. */
export const DEFAULT_MAX_GAP_MS = 3_600_000;

/** Ticks of which no time is known have this distance, ms of the recording. */
const UNTIMED_STEP_MS = 10;
/** A time that has gone back is followed when ticks have gone on from it for so long, ms. Before, it is disorder. */
const SETTLED_MS = 1000;

/** So many times that go back one after another are no disorder either: a table with the newest first. */
const MOST_STRAYS = 100;
/** The longest step from the end of the recording to its beginning, ms. */
const LONGEST_STEP_BETWEEN_PASSES_MS = 1000;

/**
 * The recording's own pace, by the steps between its ticks. No single time rules it: a step that goes back, or further
 * than the longest gap, is followed only when the ticks after it go on from there, and is never waited for.
 */
export class RecordingPace implements ReplayPace {
  readonly #speed: number;
  readonly #maxGap: number;
  readonly #onSkip: (step: SkippedStep) => void;
  /** Recorded time that the pace has reached. */
  #position: number | undefined;
  /** When the tick there is due. */
  #dueAt: number | undefined;
  /** Times elsewhere that may be where the recording goes on. */
  #elsewhere: { readonly first: number; last: number; ticks: number } | undefined;
  #lastStep = UNTIMED_STEP_MS;
  #beginsAgain = false;
  #hasBegun = false;

  /**
   * @param speed 1 is the recording's own pace, 2 twice as fast
   * @param maxGap the longest step that is waited for, ms of the recording
   */
  constructor(speed: number, maxGap = DEFAULT_MAX_GAP_MS, onSkip: (step: SkippedStep) => void = () => {}) {
    this.#speed = speed;
    this.#maxGap = maxGap;
    this.#onSkip = onSkip;
  }

  /** A tick without a time, or with one that is not followed, is due with the latest before it. */
  untilDue(recorded: number | undefined, now: number, next?: number): number {
    const step = this.#isTakenBack(recorded, next) ? this.#passOver(recorded!) : this.#stepTo(recorded);
    this.#dueAt = this.#dueAt === undefined ? now : this.#dueAt + step / this.#speed;
    return Math.max(0, this.#dueAt - now);
  }

  beginAgain(): void {
    this.#position = undefined;
    this.#elsewhere = undefined;
    this.#hasBegun = false;
    this.#beginsAgain = this.#dueAt !== undefined;
  }

  /** True for a time that the very next tick goes back from, to where the recording was before. */
  #isTakenBack(recorded: number | undefined, next: number | undefined): boolean {
    if (recorded === undefined || next === undefined || next >= recorded) return false;
    return this.#position === undefined ? !this.#hasBegun : next >= this.#position;
  }

  #passOver(recorded: number): number {
    const from = this.#position;
    this.#hasBegun = true;
    if (from !== undefined && recorded - from > this.#maxGap) this.#onSkip({ from, to: recorded });
    return 0;
  }

  /** Recorded time from the tick before to this one, as far as it is waited for. */
  #stepTo(recorded: number | undefined): number {
    if (this.#beginsAgain) {
      this.#beginsAgain = false;
      this.#position = recorded;
      return Math.min(this.#lastStep, LONGEST_STEP_BETWEEN_PASSES_MS);
    }
    if (this.#position === undefined) {
      this.#position = recorded;
      // While the recording has shown no time at all, its ticks have an even pace.
      return recorded === undefined ? UNTIMED_STEP_MS : 0;
    }
    if (recorded === undefined) return 0;
    const step = recorded - this.#position;
    if (step >= 0 && step <= this.#maxGap) return this.#follow(recorded, step);
    return this.#notAsBefore(recorded, step);
  }

  #follow(recorded: number, step: number): number {
    this.#elsewhere = undefined;
    this.#position = recorded;
    if (step > 0) this.#lastStep = step;
    return step;
  }

  #notAsBefore(recorded: number, step: number): number {
    const elsewhere = this.#elsewhere;
    if (elsewhere === undefined || Math.abs(recorded - elsewhere.last) > this.#maxGap) {
      this.#elsewhere = { first: recorded, last: recorded, ticks: 1 };
      if (step > 0) this.#onSkip({ from: this.#position!, to: recorded });
      return 0;
    }
    if (++elsewhere.ticks > MOST_STRAYS) {
      this.#onSkip({ from: this.#position!, to: recorded });
      return this.#follow(recorded, 0);
    }
    const onwards = recorded - elsewhere.last;
    elsewhere.last = Math.max(elsewhere.last, recorded);
    if (onwards < 0 || (step < 0 && recorded - elsewhere.first < SETTLED_MS)) return 0;
    if (step < 0) this.#onSkip({ from: this.#position!, to: elsewhere.first });
    return this.#follow(recorded, onwards);
  }
}

/** So many ticks a second, whatever the recording's times are. */
export class EvenPace implements ReplayPace {
  readonly #stepMs: number;
  #dueAt: number | undefined;

  constructor(perSecond: number) {
    this.#stepMs = 1000 / perSecond;
  }

  /** After a second that passed elsewhere the delay is forgotten, not made up. */
  untilDue(_recorded: number | undefined, now: number): number {
    const next = this.#dueAt === undefined ? now : this.#dueAt + this.#stepMs;
    this.#dueAt = next < now - 1000 ? now : next;
    return Math.max(0, this.#dueAt - now);
  }

  beginAgain(): void {}
}
