import { NativeRing, NativeTickEncoder } from './native-binding.ts';
import { OpenAlgoShmError } from '../errors.ts';
import { closeOnError, native } from './native.ts';
import { nativeOptions, type RingOptions } from './options.ts';
import { ringStats, type RingInfo, type RingStats } from './ring-buffer.ts';
import type { SubscriberStats } from './subscriber.ts';
import type { TopicName } from './topic-words.ts';

/** Options of an encoder. */
export interface TickEncoderOptions extends RingOptions {
  /** Name that monitors see, at most 48 bytes. Default `proxy`. */
  subscriberName?: string;
  /** Bytes for the frames of one drain. Default 1 MiB, and always room for 16 of the longest ticks. */
  arenaSize?: number;
}

/** Percentiles of the time from a publisher's stamp to the read, ns. */
export interface LatencyPercentiles {
  count: number;
  p50: number;
  p99: number;
  p999: number;
  max: number;
  mean: number;
}

/** Numbers of an entry: topic, variant, offset, length. */
export const ENTRY_INTS = 4;
/** Added to a mode for its MessagePack variant. */
export const MESSAGE_PACK = 4;
/** Most entries of one drain. */
const MAX_ENTRIES = 16_384;
/** Bytes that the frames of one tick of a ring can take at most: the core checks it. */
const longestTick = (depthLevels: number): number => 6 * (8192 + 220 * depthLevels);

/**
 * Reads a ring and gives each tick that somebody wants as a finished WebSocket text frame, once for each
 * wanted variant: a mode as JSON (the mode's number) or as MessagePack (the mode plus {@link MESSAGE_PACK}).
 * Keeps the last tick of every topic.
 */
export class TickEncoder {
  readonly #options: TickEncoderOptions;
  readonly #name: string;
  #ring: NativeRing;
  readonly #encoder: NativeTickEncoder;
  /** The frames of the last drain, header included; overwritten by the next. */
  readonly arena: Buffer;
  /** Four numbers a frame: topic, variant, offset in the arena, length in bytes. The frames of one tick follow one another, descending by variant. */
  readonly entries: Int32Array;
  /** Publish time of each frame's tick, ns of `process.hrtime`'s clock. */
  readonly publishNs: Float64Array;

  /**
   * Attaches to the ring as it is, or creates it, and joins.
   *
   * @throws `ERR_NO_FREE_CONSUMER`, `ERR_INVALID_OPTION`, and those of a ring
   */
  constructor(options: TickEncoderOptions = {}) {
    this.#options = { ...options };
    this.#name = options.subscriberName ?? 'proxy';
    this.#ring = native(() => NativeRing.createOrAttach(nativeOptions(options)));
    const { depthLevels } = this.#ring.info();
    this.arena = Buffer.allocUnsafeSlow(Math.max(options.arenaSize ?? 1 << 20, 16 * longestTick(depthLevels)));
    this.entries = new Int32Array(MAX_ENTRIES * ENTRY_INTS);
    this.publishNs = new Float64Array(MAX_ENTRIES);
    this.#encoder = closeOnError(
      this.#ring,
      () => new NativeTickEncoder(this.#ring, this.#name, this.arena, this.entries, this.publishNs),
    );
  }

  /**
   * The number of a topic that is about to be wanted, small. It is the topic's for good once that has ticked, until
   * then as long as it is wanted.
   *
   * @throws `ERR_INVALID_SYMBOL`; `ERR_INVALID_ARGUMENT` when more topics are wanted that never ticked than any market has
   */
  topic(exchange: string, symbol: string): number {
    const topic = native(() => this.#encoder.topic(exchange, symbol));
    if (topic < 0) throw new OpenAlgoShmError('ERR_INVALID_ARGUMENT', 'too many topics: this name is not kept');
    return topic;
  }

  /** The number of a topic that has ticked or is wanted; undefined of any other. */
  findTopic(exchange: string, symbol: string): number | undefined {
    const topic = native(() => this.#encoder.findTopic(exchange, symbol));
    return topic < 0 ? undefined : topic;
  }

  /** Exchange and symbol of a topic; undefined for a number that is no topic's. */
  topicName(topic: number): TopicName | undefined {
    return native(() => this.#encoder.topicName(topic)) ?? undefined;
  }

  /** Numbers of topics that have ticked, in the order of their first ticks: at most `most`, without the first `from`. */
  ticked(from = 0, most = 0xffff_ffff): Uint32Array {
    return native(() => this.#encoder.ticked(from, most));
  }

  /**
   * Sets which variants of a topic are wanted: bit v (`1 << v`) for variant v, 0 for none. A topic that is wanted no
   * more and never ticked is forgotten, and its number may become another's.
   */
  want(topic: number, variants: number): void {
    native(() => this.#encoder.want(topic, variants));
  }

  /** Sets which variants are wanted of every topic of an exchange, or of every exchange with `*`, beside what is wanted of the topics themselves. */
  wantExchange(exchange: string, variants: number): void {
    native(() => this.#encoder.wantExchange(exchange, variants));
  }

  /** Reads what is in the ring, as far as the arena has room; returns the number of entries. 0: nothing that somebody wants was there. */
  drain(): number {
    return this.#encoder.drain();
  }

  /** The last tick that a subscriber of this variant would have got, as a frame marked `snapshot`; null if there was none. */
  snapshot(topic: number, variant: number): Buffer | null {
    return native(() => this.#encoder.snapshot(topic, variant));
  }

  /** Calls back on the event loop once there is something to drain; silent until {@link arm}. */
  onReady(callback: () => void): void {
    native(() => this.#encoder.onReady(this.#options.wait ?? 'adaptive', callback));
  }

  /** Rings again as soon as there is something to drain, at once if there is. */
  arm(): void {
    native(() => this.#encoder.arm());
  }

  /** False once the ring was removed or created anew: time to {@link reattach}. */
  isCurrent(): boolean {
    return native(() => this.#ring.isCurrent());
  }

  /** Joins the ring that has the name now (created if need be), from its oldest message on. Topics, last values and counts stay, what was not read before is lost; call {@link onReady} again. */
  reattach(): void {
    const ring = native(() => NativeRing.createOrAttach(nativeOptions(this.#options)));
    closeOnError(ring, () => this.#encoder.reattach(ring, this.#name));
    this.#ring.close();
    this.#ring = ring;
  }

  /** Its counts, of all rings that it was attached to. */
  stats(): SubscriberStats {
    return native(() => this.#encoder.stats());
  }

  /** Ticks that were read and dropped because more topics than any market has were ticking. */
  get droppedTicks(): number {
    return native(() => this.#encoder.dropped());
  }

  /** Time from the publishers' stamps to the read here; with `reset`, counting starts anew. */
  latency(reset = false): LatencyPercentiles {
    return native(() => this.#encoder.latency(reset));
  }

  ringInfo(): RingInfo {
    return native(() => this.#ring.info()) as RingInfo;
  }

  ringStats(): RingStats {
    return ringStats(native(() => this.#ring.stats()));
  }

  /** Leaves the ring. Idempotent; everything after it throws `ERR_CLOSED`. */
  close(): void {
    this.#encoder.close();
    this.#ring.close();
  }
}
