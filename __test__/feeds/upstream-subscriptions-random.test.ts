import { expect, test } from 'vitest';
import type { Mode } from '../../src/message.ts';
import { RandomStream } from '../../src/feeds/random.ts';
import type { Instrument, Outcome, Outcomes, Upstream } from '../../src/feeds/upstream.ts';
import { UpstreamSubscriptions } from '../../src/feeds/upstream-subscriptions.ts';
import type { SubscriptionResult } from '../../src/shm/subscription-results.ts';
import { until } from '../shm/living.ts';

const SYMBOLS = ['A', 'B', 'C', 'D', 'E', 'F'];
const STEPS = 150;

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** A client of an upstream with all its whims; what it does, and when, comes from a seed. */
class Chaos {
  readonly random: RandomStream;
  readonly subscriptions: UpstreamSubscriptions;
  /** Depth that is wanted, by `SYMBOL MODE`. */
  readonly wanted = new Map<string, number>();
  /** The last that was told and still counts. */
  readonly told = new Map<string, SubscriptionResult>();
  /** Depth that is subscribed upstream. */
  held = new Map<string, number>();
  readonly refused = new Set<string>();
  capacity = 4;
  failing = 0.1;
  upstream: Upstream | undefined;

  constructor(seed: number) {
    this.random = new RandomStream(seed);
    this.subscriptions = new UpstreamSubscriptions({
      graceMs: 3,
      batchSize: 3,
      retry: { firstMs: 1, longestMs: 4, random: () => this.random.next() },
      onResult: (result) => {
        const key = `${result.symbol} ${result.mode}`;
        if (result.status === 'ended') this.told.delete(key);
        else this.told.set(key, result);
      },
    });
  }

  connect(): void {
    this.held = new Map();
    const upstream: Upstream = {
      subscribe: (mode, depth, instruments) =>
        this.#answer(upstream, instruments, (one) => this.#take(one, mode, depth)),
      refresh: (mode, depth, instruments) => this.#answer(upstream, instruments, (one) => this.#take(one, mode, depth)),
      unsubscribe: (mode, instruments) =>
        this.#answer(upstream, instruments, ({ symbol }) => {
          this.held.delete(`${symbol} ${mode}`);
          return { status: 'success' };
        }),
    };
    this.upstream = upstream;
    this.subscriptions.connected(upstream);
  }

  disconnect(): void {
    this.upstream = undefined;
    this.told.clear();
    this.subscriptions.disconnected();
  }

  /** Somebody begins to want something, or ceases to. */
  change(): void {
    const { random, subscriptions, wanted } = this;
    const name = this.#anyName();
    const key = `${name.symbol} ${name.mode}`;
    if (random.next() < 0.4) {
      if (wanted.delete(key)) subscriptions.unwant(name);
      return;
    }
    const depth = name.mode === 3 ? 5 * random.integer(1, 4) : 0;
    const isKnown = wanted.get(key) === depth;
    wanted.set(key, depth);
    if (isKnown) subscriptions.wantToo(name);
    else subscriptions.want({ ...name, depth });
  }

  async step(): Promise<void> {
    const { random, subscriptions, held } = this;
    const name = this.#anyName();
    const key = `${name.symbol} ${name.mode}`;
    const chance = random.next();
    if (chance < 0.6) {
      this.change();
    } else if (chance < 0.63) {
      if (this.upstream !== undefined) this.disconnect();
    } else if (chance < 0.7) {
      if (this.upstream === undefined) this.connect();
    } else if (chance < 0.73) {
      if (held.delete(key)) subscriptions.endedUpstream(name, 'delisted');
    } else if (chance < 0.76) {
      if (!this.refused.delete(key)) this.refused.add(key);
    } else if (chance < 0.78) {
      this.capacity = random.integer(1, 8);
    } else if (chance < 0.8) {
      this.failing = random.next();
    } else if (chance < 0.82) {
      held.clear();
    } else if (chance < 0.85) {
      subscriptions.refresh();
    } else if (chance < 0.95) {
      await turn();
    } else {
      await pause(random.integer(1, 6));
    }
  }

  /** The upstream is at its best from now on. */
  calm(): void {
    this.refused.clear();
    this.capacity = Infinity;
    this.failing = 0;
    if (this.upstream === undefined) this.connect();
    this.subscriptions.refresh();
  }

  /** What is not as it has to be in the end. */
  wrongs(): string[] {
    const { wanted, held, told } = this;
    const missing = [...wanted.keys()].filter((key) => !held.has(key)).map((key) => `${key} is not subscribed`);
    const left = [...held.keys()].filter((key) => !wanted.has(key)).map((key) => `${key} is not wanted`);
    const untold = [...wanted.keys()].filter((key) => {
      const result = told.get(key);
      return result?.status !== 'success' || (key.endsWith('3') && result.depth !== held.get(key));
    });
    const stale = [...told.keys()].filter((key) => !wanted.has(key));
    const wrong = [...untold, ...stale].map((key) => `${key} is told ${JSON.stringify(told.get(key))}`);
    const expected = { wanted: wanted.size, subscribed: wanted.size, refused: 0 };
    const counts = JSON.stringify(this.subscriptions.counts);
    return [...missing, ...left, ...wrong, ...(counts === JSON.stringify(expected) ? [] : [counts])];
  }

  #anyName(): Instrument & { mode: Mode } {
    const symbol = SYMBOLS[this.random.integer(0, SYMBOLS.length - 1)] as string;
    return { exchange: 'NSE', symbol, mode: this.random.next() < 0.5 ? 1 : 3 };
  }

  async #answer(
    upstream: Upstream,
    instruments: readonly Instrument[],
    take: (instrument: Instrument) => Outcome,
  ): Promise<Outcomes> {
    if (this.random.next() < 0.5) await turn();
    else await pause(this.random.integer(1, 4));
    if (this.upstream !== upstream) throw new Error('gone');
    const failed: Outcome = { status: 'failed', reason: 'database is locked', isOfAll: this.random.next() < 0.5 };
    return new Map(instruments.map((one) => [one, this.random.next() < this.failing ? failed : take(one)]));
  }

  /** As OpenAlgo's pool: what it has stays as it is. */
  #take({ symbol }: Instrument, mode: Mode, depth: number): Outcome {
    const key = `${symbol} ${mode}`;
    const depthHeld = this.held.get(key);
    if (depthHeld !== undefined) return { status: 'success', depth: depthHeld };
    if (this.refused.has(key)) return { status: 'refused', reason: 'not found' };
    if (this.held.size >= this.capacity) return { status: 'refused', reason: 'Maximum capacity reached' };
    this.held.set(key, depth);
    return { status: 'success', depth };
  }
}

test.each(Array.from({ length: 60 }, (_, seed) => seed))(
  'whatever happens in whatever order, in the end exactly what is wanted is subscribed, and told: seed %i',
  async (seed) => {
    const chaos = new Chaos(seed);
    for (let step = 0; step < STEPS; step++) await chaos.step();
    chaos.calm();
    for (let step = 0; step < 20; step++) {
      chaos.change();
      if (step % 4 === 0) await pause(1);
    }
    await until('all is as it has to be', () => chaos.wrongs().length === 0, 10_000).catch(() => undefined);
    expect(chaos.wrongs()).toEqual([]);
    chaos.subscriptions.close();
  },
);
