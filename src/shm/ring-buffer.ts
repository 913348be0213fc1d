import { hasCode } from '../errors.ts';
import {
  NativeRing,
  findSegments,
  formatVersion,
  removeIfUnused,
  unlinkRing,
  type NativeRingStats,
} from './native-binding.ts';
import { native } from './native.ts';
import { nativeOptions, type Policy, type RingOptions } from './options.ts';

/** The shape of a ring. */
export interface RingInfo {
  name: string;
  /** What its messages are: ticks, or what the small rings beside it carry. */
  kind: 'ticks' | 'interest' | 'events';
  /** Publishers at the same time. */
  lanes: number;
  /** Subscribers that can register. */
  consumers: number;
  /** Lines of a lane: so many LTP ticks it holds. */
  capacity: number;
  /** Bytes of a line. */
  stride: number;
  /** Lines of the longest message. */
  longest: number;
  /** Topics that one publisher can name. */
  topics: number;
  /** Depth levels a side. */
  depthLevels: number;
  policy: Policy;
  /** Bytes of the whole segment; pages are only taken when they are touched. */
  bytes: number;
}

/** One lane of a ring and its publisher. */
export interface LaneStats {
  lane: number;
  publisher: string;
  /** Process id in its own pid namespace. */
  pid: number;
  /** True while its owner lives. */
  alive: boolean;
  /** When the owner came, ms since 1970. */
  startedMs: number;
  messagesPublished: number;
  /** Messages that a full lossless ring refused. */
  messagesRejected: number;
  /** Lines that the published messages took. */
  linesPublished: number;
  /** Topics that it has named. */
  topics: number;
  /** Messages of new topics that were refused because the topic table was full. */
  topicsRefused: number;
  /** Average duration of a publish in ns, of a sample. */
  avgLatencyNs: number;
  /** Time of the newest message, ns of `process.hrtime`'s clock; 0 if none. */
  lastPublishNs: number;
}

/** One registered subscriber. */
export interface ConsumerStats {
  consumer: number;
  name: string;
  pid: number;
  startedMs: number;
  messagesReceived: number;
  /** Messages that were overwritten before it read them. */
  messagesLost: number;
  /** Messages that could not be one, skipped. */
  messagesCorrupt: number;
  /** Messages published and not yet read. */
  lag: number;
}

/** A ring, the lanes that were ever used, and the subscribers that live. */
export interface RingStats extends RingInfo {
  /** When it was created, ms since 1970. */
  createdMs: number;
  /** False once its name was removed or leads to a newer segment. */
  current: boolean;
  publishers: LaneStats[];
  subscribers: ConsumerStats[];
}

/** A segment found on this machine. */
export interface FoundRing {
  name: string;
  bytes: number;
  /** True if a living process publishes to it or is registered with it. */
  inUse: boolean;
  /** Version of its format. One of another version than {@link FORMAT_VERSION} cannot be read, only removed. */
  version: number;
}

/** Version of the segment format that this package makes and reads. */
export const FORMAT_VERSION: number = formatVersion();

/**
 * A ring in shared memory. Publishers and subscribers make their own. Use this class to create,
 * inspect or remove a segment directly.
 *
 * @example
 * const ring = new LockFreeRingBuffer({ name: 'ticks', depthLevels: 20 });
 * ring.stats().publishers;
 * ring.close();
 */
export class LockFreeRingBuffer {
  readonly #ring: NativeRing;

  /**
   * Creates the ring, or attaches to one with the same options.
   *
   * @throws `ERR_SHM_MISMATCH` if it exists with others, `ERR_INVALID_OPTION`, `ERR_SHM_NAME`, `ERR_SHM_FULL`,
   * `ERR_SHM_PERMISSION`, `ERR_SHM_VERSION`, `ERR_SHM_LAYOUT`, `ERR_SHM_BUSY`.
   */
  constructor(options: RingOptions = {}, existing?: NativeRing) {
    this.#ring = existing ?? native(() => NativeRing.create(nativeOptions(options)));
  }

  /**
   * Attaches to an existing ring.
   *
   * @throws `ERR_SHM_NOT_FOUND` and those of the constructor.
   */
  static open(name: string): LockFreeRingBuffer {
    return new LockFreeRingBuffer(
      {},
      native(() => NativeRing.open(name)),
    );
  }

  /** All rings on this machine that this user may open. */
  static list(): FoundRing[] {
    return native(findSegments);
  }

  /**
   * Removes a ring that no living process holds, of whatever version. True if it was removed.
   *
   * @throws {OpenAlgoShmError} `ERR_SHM_LAYOUT` for what is no ring, `ERR_SHM_NAME`, `ERR_SHM_PERMISSION`, `ERR_SHM_BUSY`.
   */
  static removeIfUnused(name: string): boolean {
    return native(() => removeIfUnused(name));
  }

  /**
   * Removes a name, whoever uses the segment; they keep their memory. The small rings beside it go too, unless
   * somebody living holds them. True if there was one.
   */
  static unlink(name: string): boolean {
    const removed = native(() => unlinkRing(name));
    removeCompanions(name);
    return removed;
  }

  get name(): string {
    return this.info().name;
  }

  /** The shape of the ring. */
  info(): RingInfo {
    return native(() => this.#ring.info()) as RingInfo;
  }

  /** Lanes and subscribers now. Costs microseconds, disturbs nobody. */
  stats(): RingStats {
    return ringStats(native(() => this.#ring.stats()));
  }

  /** False once the name was removed or leads to a newer segment. */
  isCurrent(): boolean {
    return native(() => this.#ring.isCurrent());
  }

  /**
   * Removes the name if it still leads to this segment. Processes that have it mapped keep it. The small rings beside it go
   * too, unless somebody living holds them.
   */
  unlink(): boolean {
    const { name } = this;
    const removed = native(() => this.#ring.unlink());
    if (removed) removeCompanions(name);
    return removed;
  }

  /** Unmaps the segment. Idempotent; everything after it throws `ERR_CLOSED`. */
  close(): void {
    this.#ring.close();
  }
}

/** The native form as the public one. */
export function ringStats({ info, lanes, consumers, ...rest }: NativeRingStats): RingStats {
  return { ...(info as RingInfo), ...rest, publishers: lanes, subscribers: consumers };
}

/** Names of the small rings beside a ring of ticks. */
export function companionsOf(name: string): string[] {
  return ['interest', 'events'].map((kind) => `${name}.${kind}`);
}

/**
 * Removes the rings of interest and events beside a ring of ticks, unless somebody living holds them, or what has such a
 * name is no ring.
 */
export function removeCompanions(name: string): void {
  for (const companion of companionsOf(name)) {
    try {
      native(() => removeIfUnused(companion));
    } catch (error) {
      if (!hasCode(error, 'ERR_SHM_LAYOUT')) throw error;
    }
  }
}
