import type { TickSource, TopicName } from './tick-source.ts';

/** Looks topics up by name without making new ones, so that whoever asks for names cannot fill the table. */
export class KnownTopics {
  readonly #source: TickSource;
  readonly #topics = new Map<string, number>();
  #seen = 0;

  constructor(source: TickSource) {
    this.#source = source;
  }

  /** The number of an instrument that has ticked or was subscribed to. */
  find(exchange: string, symbol: string): number | undefined {
    this.#catchUp();
    return this.#topics.get(nameKey(exchange, symbol));
  }

  /**
   * Instruments whose `EXCHANGE:SYMBOL` contains all words of the query, in any case: those whose symbol begins with
   * it first, then by name.
   */
  search(query: string, most: number): { found: TopicName[]; total: number } {
    this.#catchUp();
    const words = query.toUpperCase().split(/\s+/).filter(Boolean);
    const found: (TopicName & { rank: number })[] = [];
    for (const key of this.#topics.keys()) {
      const [exchange, symbol] = key.split('\0') as [string, string];
      const name = `${exchange}:${symbol}`.toUpperCase();
      if (!words.every((word) => name.includes(word))) continue;
      found.push({ exchange, symbol, rank: symbol.toUpperCase().startsWith(words[0] ?? '') ? 0 : 1 });
    }
    found.sort((a, b) => a.rank - b.rank || compare(a.symbol, b.symbol) || compare(a.exchange, b.exchange));
    return { found: found.slice(0, most).map(({ exchange, symbol }) => ({ exchange, symbol })), total: found.length };
  }

  #catchUp(): void {
    for (const count = this.#source.topicCount; this.#seen < count; this.#seen++) {
      const name = this.#source.topicName(this.#seen);
      if (name !== undefined) this.#topics.set(nameKey(name.exchange, name.symbol), this.#seen);
    }
  }
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function nameKey(exchange: string, symbol: string): string {
  return `${exchange}\0${symbol}`;
}
