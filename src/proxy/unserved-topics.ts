import type { FeedSources } from './feed-sources.ts';
import { ALL_MODES, modeBit } from './modes.ts';
import { WILDCARD } from './requests.ts';
import type { Subscriptions } from './subscriptions.ts';
import type { Verdicts } from './verdicts.ts';

/** Shortest time between two counts, ms. */
const COUNT_INTERVAL_MS = 1_000;
/** A count is not repeated for as many times as long as it took: there may be a hundred thousand topics. */
const SHARE = 50;

/** Counts what clients want and no feed has taken. */
export class UnservedTopics {
  readonly #subscriptions: Subscriptions;
  readonly #verdicts: Verdicts;
  readonly #sources: FeedSources;
  #counted = 0;
  #notBefore = -Infinity;

  constructor(subscriptions: Subscriptions, verdicts: Verdicts, sources: FeedSources) {
    this.#subscriptions = subscriptions;
    this.#verdicts = verdicts;
    this.#sources = sources;
  }

  /**
   * Instruments that clients want in a mode which no feed has taken: its broker has not answered yet, or its source is
   * away. At most a second old, more where there are very many. Null while no feed tells what its broker takes.
   */
  count(): number | null {
    if (!this.#sources.someTellResults) return null;
    const now = performance.now();
    if (now < this.#notBefore) return this.#counted;
    this.#counted = 0;
    for (const { exchange, symbol, modes } of this.#subscriptions.interests()) {
      if (symbol === WILDCARD) continue;
      const isUnserved = ALL_MODES.some((mode) => {
        return (modes & modeBit(mode)) !== 0 && this.#verdicts.known({ exchange, symbol }, mode) === undefined;
      });
      if (isUnserved) this.#counted += 1;
    }
    this.#notBefore = now + Math.max(COUNT_INTERVAL_MS, SHARE * (performance.now() - now));
    return this.#counted;
  }
}
