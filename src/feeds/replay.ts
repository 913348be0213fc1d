import { OpenAlgoShmError } from '../errors.ts';
import type { Tick } from '../message.ts';
import type { RecordedTick } from '../recording/recorded-tick.ts';
import type { RingInfo } from '../shm/ring-buffer.ts';
import { PublishingFeed, type FeedCounters, type FeedOptions } from './feed.ts';
import { checkPace, giveTurn, pause, RecordingPace } from './pace.ts';
import { Recording, type RecordingOptions, type RecordingProgress } from './recording.ts';

export interface ReplayFeedOptions extends FeedOptions, RecordingOptions {
  /** 1 is the recording's own pace, 10 ten times as fast, `max` as fast as the ring takes it. Default 1. */
  speed?: number | 'max';
  /** Begin again at the end of the file, until stopped. Default false. */
  loop?: boolean;
}

export interface ReplayCounters extends FeedCounters {
  /** Times that the file was read to its end. */
  passes: number;
  /** Recorded time of the latest tick that is published, ms since 1970; undefined before the first. */
  position: number | undefined;
}

/** Most ticks that go into the ring before others on the event loop have a turn. */
const SLICE = 512;

/**
 * Publishes a recording: what `record` wrote, CSV or lines of JSON, streamed, so that the file may be of any size. A malformed line is
 * reported and counted. A full lossless ring is waited for, so that nothing of the file is lost.
 */
export class ReplayFeed extends PublishingFeed<ReplayCounters> {
  /** The file, how far it is read, and what in it could not be understood. */
  readonly recording: Recording;
  readonly #speed: number | 'max';
  readonly #loop: boolean;

  /** @throws OpenAlgoShmError `ERR_INVALID_OPTION`; `ERR_FILE` where there is no such file */
  constructor(file: string, options: ReplayFeedOptions = {}) {
    const counters = { published: 0, stalls: 0, passes: 0, position: undefined };
    super({ ...options, publisherName: options.publisherName ?? 'replay' }, counters);
    this.#speed = checkPace('speed', options.speed ?? 1);
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
      if (this.#loop && this.counters.published === before) {
        throw new OpenAlgoShmError(
          'ERR_FILE',
          `${this.recording.file} holds no tick that could be replayed over and over`,
        );
      }
    } while (this.#loop);
  }

  async #play(ring: RingInfo, signal: AbortSignal): Promise<void> {
    const pace = this.#speed === 'max' ? undefined : new RecordingPace(this.#speed);
    let due: Tick[] = [];
    const publishDue = async () => {
      const ticks = due;
      due = [];
      await this.publish(ticks);
      this.counters.position = ticks.map(recordedTime).findLast(Boolean) ?? this.counters.position;
    };
    try {
      for await (const run of this.recording.read(ring.depthLevels)) {
        for (const tick of run) {
          const wait = pace?.untilDue(recordedTime(tick), performance.now()) ?? 0;
          if (wait > 0 || due.length === SLICE) {
            await publishDue();
            await (wait > 0 ? pause(wait, signal) : giveTurn());
          }
          if (signal.aborted) return;
          due.push(tick);
        }
      }
    } finally {
      await publishDue();
    }
  }
}

/** When a tick was recorded, ms since 1970. */
function recordedTime(tick: Tick & Partial<RecordedTick>): number | undefined {
  return tick.recordedMs ?? tick.timestamp ?? tick.exchangeTimestamp ?? tick.ltt;
}
