import { OpenAlgoShmError } from '../errors.ts';
import type { Tick } from '../message.ts';
import type { RecordedTick } from '../recording/recorded-tick.ts';
import type { RingInfo } from '../shm/ring-buffer.ts';
import { PublishingFeed, type FeedCounters, type FeedOptions } from './feed.ts';
import { checkPace, giveTurn, pause } from './pace.ts';
import { DEFAULT_MAX_GAP_MS, EvenPace, RecordingPace, type ReplayPace, type SkippedStep } from './recording-pace.ts';
import { Recording, type RecordingOptions, type RecordingProgress } from './recording.ts';

export interface ReplayFeedOptions extends FeedOptions, RecordingOptions {
  /**
   * 1 is the recording's own pace, 10 ten times as fast, `max` as fast as the ring takes it. Default 1. A file without
   * times has 100 ticks a second at 1.
   */
  speed?: number | 'max';
  /** Ticks a second, in place of the recording's own pace and of `speed`. Default: none. */
  rate?: number;
  /** The longest step of the recording's time that is waited for, ms; longer ones are skipped. Default 3,600,000, an hour. */
  maxGapMs?: number;
  /** Begin again at the end of the file, until stopped. Default false. */
  loop?: boolean;
  /** Called for every step of the recording's time that is skipped: one that is too long, or that goes back. */
  onSkippedStep?: (step: SkippedStep) => void;
}

export interface ReplayCounters extends FeedCounters {
  /** Times that the file was read to its end. */
  passes: number;
  /** Recorded time of the latest tick that is published, ms since 1970; undefined before the first. */
  position: number | undefined;
  /** Steps of the recording's time that were skipped, in all passes. */
  skippedSteps: number;
}

/** Most ticks that go into the ring before others on the event loop have a turn. */
const SLICE = 512;

/**
 * Publishes a recording: what `record` wrote or `export` made of it, CSV or JSON, streamed, so that the file may be of
 * any size. A malformed line is reported and counted. A full lossless ring is waited for, so that nothing of the file
 * is lost. It fails with `ERR_FILE` where the whole file gave no tick.
 */
export class ReplayFeed extends PublishingFeed<ReplayCounters> {
  /** The file, how far it is read, and what in it could not be understood. */
  readonly recording: Recording;
  readonly #pace: ReplayPace | undefined;
  readonly #loop: boolean;

  /** @throws OpenAlgoShmError `ERR_INVALID_OPTION`; `ERR_FILE` where there is no such file */
  constructor(file: string, options: ReplayFeedOptions = {}) {
    const counters = { published: 0, stalls: 0, passes: 0, position: undefined, skippedSteps: 0 };
    super({ ...options, publisherName: options.publisherName ?? 'replay' }, counters);
    this.#pace = paceOf(options, (step) => {
      this.counters.skippedSteps++;
      options.onSkippedStep?.(step);
    });
    this.#loop = options.loop ?? false;
    this.recording = new Recording(file, options);
  }

  /** How far the file is read. */
  get progress(): Readonly<RecordingProgress> {
    return this.recording.progress;
  }

  protected async run(ring: RingInfo, signal: AbortSignal): Promise<void> {
    do {
      const before = this.counters.published;
      await this.#play(ring, signal);
      if (signal.aborted) return;
      this.counters.passes++;
      if (this.counters.published === before) throw new OpenAlgoShmError('ERR_FILE', this.#whyNothing());
      this.#pace?.beginAgain();
    } while (this.#loop);
  }

  async #play(ring: RingInfo, signal: AbortSignal): Promise<void> {
    let due: Tick[] = [];
    /** The tick whose time is judged by that of the one after it. */
    let held: Tick | undefined;
    const publishDue = async () => {
      const ticks = due;
      due = [];
      await this.publish(ticks);
      this.counters.position = ticks.map(recordedTime).findLast(Boolean) ?? this.counters.position;
    };
    const waitUntilDue = async (wait: number) => {
      await publishDue();
      await (wait > 0 ? pause(wait, signal) : giveTurn());
    };
    const waitFor = (tick: Tick, next?: Tick): number =>
      this.#pace?.untilDue(recordedTime(tick), performance.now(), next && recordedTime(next)) ?? 0;
    try {
      for await (const run of this.recording.read(ring.depthLevels)) {
        for (const next of run) {
          const tick = held;
          held = next;
          if (tick === undefined) continue;
          const wait = waitFor(tick, next);
          if (wait > 0 || due.length === SLICE) await waitUntilDue(wait);
          if (signal.aborted) return;
          due.push(tick);
        }
      }
      if (held !== undefined) await waitUntilDue(waitFor(held));
    } finally {
      if (held !== undefined) due.push(held);
      await publishDue();
    }
  }

  #whyNothing(): string {
    const { file, progress, firstMalformed } = this.recording;
    if (progress.bytesTotal === 0) return `${file} is empty: there is nothing to replay`;
    if (firstMalformed === undefined) return `${file} holds no tick: none is on its ${progress.lines} lines`;
    const { number, reason } = firstMalformed;
    return `${file} gave no tick: ${progress.malformed} of ${progress.lines} lines could not be read; the first, line ${number}, ${reason}`;
  }
}

function paceOf(options: ReplayFeedOptions, onSkip: (step: SkippedStep) => void): ReplayPace | undefined {
  const { speed, rate, maxGapMs = DEFAULT_MAX_GAP_MS } = options;
  if (!(typeof maxGapMs === 'number' && maxGapMs > 0)) {
    throw new OpenAlgoShmError('ERR_INVALID_OPTION', `maxGapMs must be a number above 0, got ${String(maxGapMs)}`);
  }
  if (rate === undefined) {
    const checked = checkPace('speed', speed ?? 1);
    return checked === 'max' ? undefined : new RecordingPace(checked, maxGapMs, onSkip);
  }
  if (speed !== undefined) throw new OpenAlgoShmError('ERR_INVALID_OPTION', 'give rate or speed, not both');
  const checked = checkPace('rate', rate);
  return checked === 'max' ? undefined : new EvenPace(checked);
}

/** When a tick was recorded, ms since 1970. 0 stands for no time, and what is not finite for none either. */
function recordedTime(tick: Tick & Partial<RecordedTick>): number | undefined {
  const { recordedMs, timestamp, exchangeTimestamp, ltt } = tick;
  if (isTime(recordedMs)) return recordedMs;
  if (isTime(timestamp)) return timestamp;
  return isTime(exchangeTimestamp) ? exchangeTimestamp : isTime(ltt) ? ltt : undefined;
}

function isTime(ms: number | undefined): ms is number {
  return ms !== undefined && Number.isFinite(ms) && ms > 0;
}
