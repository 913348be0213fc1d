import type { Mode } from '../message.ts';
import { Backoff, type BackoffOptions } from './backoff.ts';

export interface Instrument {
  readonly exchange: string;
  readonly symbol: string;
}

/** Something upstream that ticks can be asked of. Both reject when it is gone; else they tell which failed, and why. */
export interface Upstream {
  subscribe(mode: Mode, depth: number, instruments: readonly Instrument[]): Promise<Map<Instrument, string>>;
  unsubscribe(mode: Mode, instruments: readonly Instrument[]): Promise<Map<Instrument, string>>;
}

export interface UpstreamSubscriptionsOptions {
  /** How long a topic stays subscribed upstream once nobody wants it, ms. Default 5,000. */
  graceMs?: number;
  /** Most instruments of one request. Default 500. */
  batchSize?: number;
  /** When a topic that was refused is asked for again. */
  retry?: BackoffOptions;
  /** Hears of every topic that was refused. */
  onRefused?: (instrument: Instrument, mode: Mode, reason: string) => void;
}

/** A topic in a mode, and where it stands. */
interface Entry extends Instrument {
  readonly key: string;
  readonly mode: Mode;
  depth: number;
  wanted: boolean;
  /** Depth that it is subscribed with; undefined while it is not. */
  subscribedDepth: number | undefined;
  failures: number;
  /** True while a request about it is under way. */
  asked: boolean;
  timer: NodeJS.Timeout | undefined;
}

/** OpenAlgo wants a depth in every mode; this is its default. */
const PLAIN_DEPTH = 5;

/**
 * Keeps what is subscribed upstream equal to what is wanted here: in batches, one request at a time. What changes
 * while the upstream is away is known when it is back. A topic that is refused is asked for again and again.
 */
export class UpstreamSubscriptions {
  readonly #graceMs: number;
  readonly #batchSize: number;
  readonly #retry: Backoff;
  readonly #onRefused: NonNullable<UpstreamSubscriptionsOptions['onRefused']>;
  readonly #entries = new Map<string, Entry>();
  readonly #toSubscribe = new Set<Entry>();
  readonly #toUnsubscribe = new Set<Entry>();
  #upstream: Upstream | undefined;
  #busy = false;

  constructor({
    graceMs = 5_000,
    batchSize = 500,
    retry = {},
    onRefused = () => {},
  }: UpstreamSubscriptionsOptions = {}) {
    this.#graceMs = graceMs;
    this.#batchSize = batchSize;
    this.#retry = new Backoff({ longestMs: 60_000, ...retry });
    this.#onRefused = onRefused;
  }

  /** Topics and modes that are wanted, and those that are subscribed upstream. */
  get counts(): { wanted: number; subscribed: number } {
    const entries = [...this.#entries.values()];
    return {
      wanted: entries.filter((entry) => entry.wanted).length,
      subscribed: entries.filter((entry) => entry.subscribedDepth !== undefined).length,
    };
  }

  /** A topic is wanted in a mode; again for a book of another depth. */
  want({ exchange, symbol, mode, depth }: Instrument & { mode: Mode; depth: number }): void {
    const key = `${mode}\0${exchange}\0${symbol}`;
    let entry = this.#entries.get(key);
    if (entry === undefined) {
      entry = newEntry(key, { exchange, symbol, mode });
      this.#entries.set(key, entry);
    }
    entry.wanted = true;
    entry.depth = depth > 0 ? depth : PLAIN_DEPTH;
    this.#toUnsubscribe.delete(entry);
    if (entry.failures === 0) this.#clearTimer(entry);
    // A book deeper than anybody wants does no harm; it is made smaller with the next connection.
    if (!entry.asked && entry.timer === undefined && isMissing(entry)) this.#toSubscribe.add(entry);
    this.#pump();
  }

  /** Nobody wants a topic in a mode any more. */
  unwant({ exchange, symbol, mode }: Instrument & { mode: Mode }): void {
    const entry = this.#entries.get(`${mode}\0${exchange}\0${symbol}`);
    if (entry === undefined || !entry.wanted) return;
    entry.wanted = false;
    entry.failures = 0;
    this.#toSubscribe.delete(entry);
    this.#endLater(entry);
  }

  /** The upstream is there, and nothing is subscribed yet. */
  connected(upstream: Upstream): void {
    this.#upstream = upstream;
    this.#pump();
  }

  /** The upstream is gone, and with it what was subscribed. */
  disconnected(): void {
    this.#upstream = undefined;
    for (const entry of this.#entries.values()) {
      this.#clearTimer(entry);
      entry.subscribedDepth = undefined;
      entry.failures = 0;
      entry.asked = false;
      if (entry.wanted) this.#toSubscribe.add(entry);
      else this.#entries.delete(entry.key);
    }
    this.#toUnsubscribe.clear();
  }

  /** Forgets everything. */
  close(): void {
    this.#upstream = undefined;
    for (const entry of this.#entries.values()) this.#clearTimer(entry);
    for (const all of [this.#entries, this.#toSubscribe, this.#toUnsubscribe]) all.clear();
  }

  #clearTimer(entry: Entry): void {
    clearTimeout(entry.timer);
    entry.timer = undefined;
  }

  /** Clients come back, and strategies restart: what is left for a moment only stays. */
  #endLater(entry: Entry): void {
    this.#clearTimer(entry);
    entry.timer = setTimeout(() => {
      entry.timer = undefined;
      this.#place(entry);
      this.#pump();
    }, this.#graceMs).unref();
  }

  /** Puts an entry where it has to go now that nothing is under way about it. */
  #place(entry: Entry): void {
    if (entry.asked || entry.timer !== undefined) return;
    if (entry.wanted) {
      if (isMissing(entry)) this.#toSubscribe.add(entry);
    } else if (entry.subscribedDepth !== undefined) {
      this.#toUnsubscribe.add(entry);
    } else {
      this.#entries.delete(entry.key);
    }
  }

  #pump(): void {
    if (this.#busy || this.#upstream === undefined) return;
    this.#busy = true;
    // What is wanted in the same turn goes out together.
    setImmediate(() => void this.#work());
  }

  async #work(): Promise<void> {
    try {
      while (this.#upstream !== undefined) {
        if (this.#toSubscribe.size > 0) await this.#subscribeSome(this.#upstream);
        else if (this.#toUnsubscribe.size > 0) await this.#unsubscribeSome(this.#upstream);
        else break;
      }
    } finally {
      this.#busy = false;
    }
  }

  async #subscribeSome(upstream: Upstream): Promise<void> {
    const batch = this.#take(
      this.#toSubscribe,
      (entry, first) => entry.mode === first.mode && entry.depth === first.depth,
    );
    const { mode, depth } = batch[0] as Entry;
    const failed = await outcomeOf(upstream.subscribe(mode, depth, batch), batch);
    if (this.#upstream !== upstream) return;
    for (const entry of batch) {
      entry.asked = false;
      const reason = failed.get(entry);
      if (reason !== undefined) {
        this.#refused(entry, reason);
      } else {
        entry.subscribedDepth = depth;
        entry.failures = 0;
      }
      this.#place(entry);
    }
  }

  #refused(entry: Entry, reason: string): void {
    if (!entry.wanted) return;
    this.#onRefused(entry, entry.mode, reason);
    entry.failures++;
    this.#clearTimer(entry);
    entry.timer = setTimeout(() => {
      entry.timer = undefined;
      this.#place(entry);
      this.#pump();
    }, this.#retry.waitAfter(entry.failures)).unref();
  }

  async #unsubscribeSome(upstream: Upstream): Promise<void> {
    const batch = this.#take(this.#toUnsubscribe, (entry, first) => entry.mode === first.mode);
    await outcomeOf(upstream.unsubscribe((batch[0] as Entry).mode, batch), batch);
    if (this.#upstream !== upstream) return;
    for (const entry of batch) {
      entry.asked = false;
      entry.subscribedDepth = undefined;
      this.#place(entry);
    }
  }

  /** The first and those that can go with it, taken out of the set. */
  #take(entries: Set<Entry>, goWith: (entry: Entry, first: Entry) => boolean): Entry[] {
    const batch: Entry[] = [];
    for (const entry of entries) {
      if (batch.length === this.#batchSize) break;
      if (batch.length === 0 || goWith(entry, batch[0] as Entry)) batch.push(entry);
    }
    for (const entry of batch) {
      entries.delete(entry);
      entry.asked = true;
    }
    return batch;
  }
}

function newEntry(key: string, topic: Instrument & { mode: Mode }): Entry {
  const state = { depth: 0, wanted: true, subscribedDepth: undefined, failures: 0, asked: false, timer: undefined };
  return { key, ...topic, ...state };
}

function isMissing({ subscribedDepth, depth }: Entry): boolean {
  return subscribedDepth === undefined || subscribedDepth < depth;
}

/** A request that was refused as a whole has failed for each of its instruments. */
async function outcomeOf(
  request: Promise<Map<Instrument, string>>,
  batch: readonly Instrument[],
): Promise<Map<Instrument, string>> {
  try {
    return await request;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return new Map(batch.map((instrument) => [instrument, reason]));
  }
}
