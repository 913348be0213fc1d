import type { FastifyBaseLogger } from 'fastify';
import type { Audience } from './audience.ts';
import type { Audiences } from './audiences.ts';
import type { Counters } from './counters.ts';
import { Frames, type KeyedFrame, frameKey, topicOfKey, variantOfKey } from './frames.ts';
import { EVERYTHING, type WildcardKeys, intervalOf, variantsOf } from './interests.ts';
import { LatencyHistogram } from './latency-histogram.ts';
import type { Recipient } from './recipient.ts';
import { ENTRY_INTS, type TickSource } from './tick-source.ts';
import type { Writer } from './writer.ts';

/** Most latencies recorded of one batch, evenly spread over it. */
const LATENCIES_PER_BATCH = 32;

/** Takes the ticks from the source and gives each client what it wants, one write per client and batch. */
export class FanOut {
  /** Time from the publishers' stamps until the ticks were written to the last client, ns. */
  readonly latency = new LatencyHistogram();
  readonly #source: TickSource;
  readonly #audiences: Audiences;
  readonly #wildcards: WildcardKeys;
  readonly #counters: Counters;
  readonly #writer: Writer;
  readonly #log: FastifyBaseLogger;
  readonly #batches = new Map<Audience, Frames>();
  /** The wildcards that match each topic, as long as there are no others. */
  readonly #matching: (readonly number[])[] = [];
  #generation = 0;
  #entries: Int32Array;
  #now = 0;
  #running = false;
  #timer: NodeJS.Timeout | undefined;
  #timerDue = Infinity;

  constructor(
    source: TickSource,
    audiences: Audiences,
    wildcards: WildcardKeys,
    counters: Counters,
    writer: Writer,
    log: FastifyBaseLogger,
  ) {
    this.#source = source;
    this.#audiences = audiences;
    this.#wildcards = wildcards;
    this.#counters = counters;
    this.#writer = writer;
    this.#log = log;
    this.#entries = source.entries;
  }

  /** Starts to follow the source's doorbell; again after the source was attached anew. */
  start(): void {
    this.#running = true;
    this.#source.onReady(() => this.#pump());
  }

  stop(): void {
    this.#running = false;
    clearTimeout(this.#timer);
  }

  /** Whether a client wants what a frame holds. */
  isWanted(recipient: Recipient, key: number): boolean {
    const audience = recipient.audience;
    if (audience === undefined) return false;
    const topic = topicOfKey(key);
    return ((audience.variants(topic, this.#wildcardsOf(topic)) >> variantOfKey(key)) & 1) === 1;
  }

  // Batches grow while JavaScript is busy: each round takes all that has gathered, then lets the sockets have their turn.
  #pump(): void {
    if (!this.#running) return;
    try {
      const count = this.#source.drain();
      if (count === 0) return this.#source.arm();
      this.#deliver(count);
    } catch (error) {
      this.#log.error({ err: error }, 'a batch of ticks could not be delivered');
    }
    setImmediate(() => this.#pump());
  }

  #deliver(count: number): void {
    this.#counters.batches += 1;
    this.#entries = this.#source.entries;
    this.#now = performance.now();
    this.#gather(count);
    for (const [audience, frames] of this.#batches) this.#send(audience, frames);
    this.#batches.clear();
    this.#writer.flush?.();
    this.#recordLatency(count);
  }

  #gather(count: number): void {
    const entries = this.#entries;
    let first = 0;
    while (first < count) {
      const topic = entries[first * ENTRY_INTS] as number;
      let end = first + 1;
      while (end < count && entries[end * ENTRY_INTS] === topic && this.#variant(end) < this.#variant(end - 1))
        end += 1;
      this.#route(topic, first, end);
      first = end;
    }
  }

  #route(topic: number, first: number, end: number): void {
    const named = this.#audiences.of(topic);
    if (named !== undefined) {
      for (const [audience, value] of named) {
        if (!audience.wild) this.#offer(audience, topic, variantsOf(value), intervalOf(value), first, end);
      }
    }
    if (this.#audiences.wild.size === 0) return;
    const wildcards = this.#wildcardsOf(topic);
    for (const audience of this.#audiences.wild) {
      const mask = audience.variants(topic, wildcards);
      if (mask !== 0) this.#offer(audience, topic, mask, audience.interval(topic, wildcards), first, end);
    }
  }

  // A client gets a tick once, in the highest of its modes.
  #offer(audience: Audience, topic: number, mask: number, intervalMs: number, first: number, end: number): void {
    for (let entry = first; entry < end; entry++) {
      const variant = this.#variant(entry);
      if (((mask >> variant) & 1) === 0) continue;
      const key = frameKey(topic, variant);
      const offset = this.#entries[entry * ENTRY_INTS + 2] as number;
      const length = this.#entries[entry * ENTRY_INTS + 3] as number;
      const pacing = intervalMs > 0 ? audience.pacing : undefined;
      if (pacing === undefined || pacing.mayPass(topic, intervalMs, this.#now)) {
        this.#batchOf(audience).add(key, offset, length);
      } else {
        const frame = this.#source.arena.toString('latin1', offset, offset + length);
        this.#wakeAt(pacing.hold(topic, key, frame, intervalMs));
      }
      return;
    }
  }

  #batchOf(audience: Audience): Frames {
    let frames = this.#batches.get(audience);
    if (frames === undefined) {
      frames = new Frames(this.#source.arena, true);
      this.#batches.set(audience, frames);
    }
    return frames;
  }

  #send(audience: Audience, frames: Frames): void {
    for (const recipient of audience.members) {
      try {
        recipient.deliver(frames);
      } catch (error) {
        this.#log.warn({ err: error }, 'a client could not be written to; its connection is ended');
        recipient.connection.terminate();
      }
    }
  }

  #wakeAt(due: number): void {
    if (due >= this.#timerDue) return;
    clearTimeout(this.#timer);
    this.#timerDue = due;
    this.#timer = setTimeout(() => this.#wakeUp(), Math.max(0, Math.ceil(due - performance.now())));
  }

  #wakeUp(): void {
    this.#timerDue = Infinity;
    try {
      this.#sendHeld();
    } catch (error) {
      this.#log.error({ err: error }, 'ticks that were held back could not be delivered');
    }
  }

  #sendHeld(): void {
    const now = performance.now();
    let next = Infinity;
    for (const audience of this.#audiences.paced) {
      const held = audience.pacing?.take(now).filter((frame) => this.#stillWanted(audience, frame)) ?? [];
      if (held.length > 0) this.#send(audience, Frames.ofTexts(held));
      next = Math.min(next, audience.pacing?.nextDue() ?? Infinity);
    }
    if (next !== Infinity && this.#running) this.#wakeAt(next);
  }

  #stillWanted(audience: Audience, [key]: KeyedFrame): boolean {
    const topic = topicOfKey(key);
    return ((audience.variants(topic, this.#wildcardsOf(topic)) >> variantOfKey(key)) & 1) === 1;
  }

  #wildcardsOf(topic: number): readonly number[] {
    if (this.#generation !== this.#wildcards.generation) {
      this.#generation = this.#wildcards.generation;
      this.#matching.length = 0;
    }
    const known = this.#matching[topic];
    if (known !== undefined) return known;
    const key = this.#wildcards.find(this.#source.topicName(topic)?.exchange ?? '');
    const matching = key === undefined ? [EVERYTHING] : [EVERYTHING, key];
    this.#matching[topic] = matching;
    return matching;
  }

  #variant(entry: number): number {
    return this.#entries[entry * ENTRY_INTS + 1] as number;
  }

  #recordLatency(count: number): void {
    const now = Number(process.hrtime.bigint());
    const step = Math.ceil(count / LATENCIES_PER_BATCH);
    for (let entry = 0; entry < count; entry += step) {
      this.latency.record(Math.max(1, Math.round(now - (this.#source.publishNs[entry] as number))));
    }
  }
}
