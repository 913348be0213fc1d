import type { TickSource } from './tick-source.ts';

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
    for (const count = this.#source.topicCount; this.#seen < count; this.#seen++) {
      const name = this.#source.topicName(this.#seen);
      if (name !== undefined) this.#topics.set(nameKey(name.exchange, name.symbol), this.#seen);
    }
    return this.#topics.get(nameKey(exchange, symbol));
  }
}

function nameKey(exchange: string, symbol: string): string {
  return `${exchange}\0${symbol}`;
}
