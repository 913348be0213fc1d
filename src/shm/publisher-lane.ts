import { OpenAlgoShmError } from '../errors.ts';
import { NativePublisher, NativeRing, type NativeRingOptions } from './native-binding.ts';
import { imageWords } from './layout.ts';
import { closeOnError, native } from './native.ts';
import type { RingInfo } from './ring-buffer.ts';
import { TickWriter, type TickWriterOptions } from './tick-writer.ts';
import { TopicNumbers } from './topic-numbers.ts';

/** Ticks that go to the native side in one call. */
export const BATCH = 64;

/** The lane of a publisher that runs. */
export interface OpenLane {
  readonly ring: NativeRing;
  readonly info: RingInfo;
  readonly publisher: NativePublisher;
  readonly topics: TopicNumbers;
  readonly writer: TickWriter;
  /** Publishes the first `count` ticks that were written (default 1); returns how many a full lossless ring took, nothing if all. */
  readonly commit: (count?: number) => number | undefined;
}

/** A publisher's lane between start and stop, and its counts. The publisher and its topic handles share it. */
export class PublisherLane {
  current: OpenLane | undefined;
  published = 0;
  rejected = 0;

  /** Takes a lane of the ring, which is created if there is none. */
  open(name: string, ringOptions: NativeRingOptions, ticks: Omit<TickWriterOptions, 'depthLevels'>): void {
    const ring = native(() => NativeRing.createOrAttach(ringOptions));
    const info = ring.info() as RingInfo;
    const stride = imageWords(info.depthLevels);
    const scratch = new Float64Array(stride * BATCH);
    const publisher = closeOnError(ring, () => new NativePublisher(ring, name, scratch, stride));
    const topics = new TopicNumbers(publisher);
    const writer = new TickWriter(scratch, stride, topics, { ...ticks, depthLevels: info.depthLevels });
    this.current = { ring, info, publisher, topics, writer, commit: publisher.commit() };
  }

  /** @throws `ERR_CLOSED` unless the publisher runs */
  running(): OpenLane {
    return this.current ?? notStarted();
  }

  /** Publishes the tick that was written. False if a lossless ring is full. */
  commitOne(lane: OpenLane): boolean {
    if (lane.commit() !== undefined) {
      this.rejected++;
      return false;
    }
    this.published++;
    return true;
  }

  /** Gives the lane back. */
  close(): void {
    const lane = this.current;
    this.current = undefined;
    lane?.publisher.close();
    lane?.ring.close();
  }
}

function notStarted(): never {
  throw new OpenAlgoShmError('ERR_CLOSED', 'the publisher is not running: call start() first');
}
