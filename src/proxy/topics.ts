import type { Delivery } from '../shm/delivery.ts';
import type { TopicName } from '../shm/topic-words.ts';

/** Names that are asked for at once. */
const STRETCH = 10_000;

/** The names of all instruments that have ticked, to search in. Those that were only asked for are nobody else's affair. */
export class TickedTopics {
  readonly #delivery: Delivery;
  readonly #names: TopicName[] = [];

  constructor(delivery: Delivery) {
    this.#delivery = delivery;
  }

  /**
   * Instruments whose `EXCHANGE:SYMBOL` contains all words of the query, in any case: those whose symbol begins with
   * it first, then by name.
   */
  search(query: string, most: number): { found: TopicName[]; total: number } {
    this.#catchUp();
    const words = query.toUpperCase().split(/\s+/).filter(Boolean);
    const found: (TopicName & { rank: number })[] = [];
    for (const { exchange, symbol } of this.#names) {
      const name = `${exchange}:${symbol}`.toUpperCase();
      if (!words.every((word) => name.includes(word))) continue;
      found.push({ exchange, symbol, rank: symbol.toUpperCase().startsWith(words[0] ?? '') ? 0 : 1 });
    }
    found.sort((a, b) => a.rank - b.rank || compare(a.symbol, b.symbol) || compare(a.exchange, b.exchange));
    return { found: found.slice(0, most).map(({ exchange, symbol }) => ({ exchange, symbol })), total: found.length };
  }

  #catchUp(): void {
    const left = (): number => this.#delivery.tickedCount() - this.#names.length;
    while (left() > 0) this.#names.push(...this.#delivery.ticked(this.#names.length, STRETCH));
  }
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
