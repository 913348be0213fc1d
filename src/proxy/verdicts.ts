import type { Mode } from '../message.ts';
import type { SubscriptionResult } from '../shm/subscription-results.ts';
import type { TopicName } from '../shm/topic-words.ts';

/** A subscription that no feed's broker takes. */
export interface Refusal extends TopicName {
  mode: Mode;
  /** The broker's reason. */
  message: string;
}

/** A subscription that a feed's broker has taken. */
export interface Acceptance extends TopicName {
  mode: Mode;
  /** Levels a side that will come; undefined where the feed does not tell. */
  depth: number | undefined;
}

/** Hears of verdicts as they come. */
export interface VerdictListener {
  accepted(acceptance: Acceptance): void;
  refused(refusals: readonly Refusal[]): void;
  /** No feed that tells results takes it, and one that tells none may still bring it: no result will come. */
  undecided(topic: TopicName, mode: Mode): void;
  /** No feed is left that tells results: none will come. */
  silenced(): void;
}

/** What one feed has told. */
interface Told {
  readonly taken: Map<string, Acceptance>;
  /** Kept only while other feeds may still take it. */
  readonly refused: Map<string, Refusal>;
}

/** Most results remembered, of all feeds together: as many as there can be topics. */
const MOST_REMEMBERED = 262_144;

/**
 * What the feeds tell of subscriptions at their brokers. A subscription is good if any feed took it, and refused once
 * every feed has refused it: then it is forgotten, so that whoever wants it next asks anew. While a feed publishes that
 * tells no results, nothing is refused: that one may bring it.
 */
export class Verdicts {
  readonly #listener: VerdictListener;
  readonly #most: number;
  readonly #areAllTelling: () => boolean;
  /** By the lane of the feed; only feeds that tell results and whose source is there. */
  readonly #told = new Map<number, Told>();

  /** @param areAllTelling whether all feeds that publish tell results: what another brings is refused by none. */
  constructor(listener: VerdictListener, areAllTelling: () => boolean = () => true, most: number = MOST_REMEMBERED) {
    this.#listener = listener;
    this.#areAllTelling = areAllTelling;
    this.#most = most;
  }

  /** Whether a feed tells results now. */
  get areExpected(): boolean {
    return this.#told.size > 0;
  }

  /** Number of results remembered. */
  get size(): number {
    return [...this.#told.values()].reduce((sum, { taken, refused }) => sum + taken.size + refused.size, 0);
  }

  /** The deepest that a subscription was taken as, or undefined if that is not known. */
  known({ exchange, symbol }: TopicName, mode: Mode): Acceptance | undefined {
    const key = keyOf(exchange, symbol, mode);
    let deepest: Acceptance | undefined;
    for (const { taken } of this.#told.values()) {
      const acceptance = taken.get(key);
      if (acceptance === undefined) continue;
      if (deepest === undefined || (acceptance.depth ?? Infinity) > (deepest.depth ?? Infinity)) deepest = acceptance;
    }
    return deepest;
  }

  /** The feed of a lane tells results, and its source is there. */
  expect(lane: number): void {
    if (!this.#told.has(lane)) this.#told.set(lane, { taken: new Map(), refused: new Map() });
  }

  /** Takes results of a feed. */
  take(lane: number, results: readonly SubscriptionResult[]): void {
    this.expect(lane);
    const told = this.#told.get(lane) as Told;
    const refusals = new Map<string, Refusal>();
    const areAllTelling = this.#areAllTelling();
    for (const { exchange, symbol, mode, status, depth, message = '' } of results) {
      const key = keyOf(exchange, symbol, mode);
      told.taken.delete(key);
      told.refused.delete(key);
      if (status === 'success') {
        const acceptance = { exchange, symbol, mode, depth };
        told.taken.set(key, acceptance);
        refusals.delete(key);
        this.#listener.accepted(acceptance);
      } else if (status === 'error') {
        const refusal = { exchange, symbol, mode, message };
        told.refused.set(key, refusal);
        if (!this.#isRefused(key)) continue;
        if (areAllTelling) refusals.set(key, refusal);
        else this.#listener.undecided(refusal, mode);
      }
    }
    this.#refuse(refusals);
    this.#forgetBeyondMost();
  }

  /**
   * Forgets what a feed has told: it is gone, or its source is. What it had taken is no refusal now, whatever the others
   * say: it will subscribe that again when it is back.
   */
  forget(lane: number): void {
    const gone = this.#told.get(lane);
    if (gone === undefined) return;
    this.#told.delete(lane);
    if (this.#told.size === 0) return this.#listener.silenced();
    if (!this.#areAllTelling()) return;
    const refusals = new Map<string, Refusal>();
    for (const { refused } of this.#told.values()) {
      for (const [key, refusal] of refused) {
        if (!gone.taken.has(key) && this.#isRefused(key)) refusals.set(key, refusal);
      }
    }
    this.#refuse(refusals);
  }

  #isRefused(key: string): boolean {
    for (const { refused } of this.#told.values()) if (!refused.has(key)) return false;
    return true;
  }

  #refuse(refusals: ReadonlyMap<string, Refusal>): void {
    if (refusals.size === 0) return;
    for (const { refused } of this.#told.values()) for (const key of refusals.keys()) refused.delete(key);
    this.#listener.refused([...refusals.values()]);
  }

  // The oldest of the feed that has told most goes first.
  #forgetBeyondMost(): void {
    for (let excess = this.size - this.#most; excess > 0; excess--) {
      const maps = [...this.#told.values()].flatMap(({ taken, refused }): Map<string, unknown>[] => [taken, refused]);
      const largest = maps.reduce((a, b) => (b.size > a.size ? b : a));
      const [oldest] = largest.keys();
      if (oldest !== undefined) largest.delete(oldest);
    }
  }
}

function keyOf(exchange: string, symbol: string, mode: Mode): string {
  return `${mode}${exchange}\0${symbol}`;
}
