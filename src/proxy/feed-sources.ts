/** What a feed says of its own source: OpenAlgo, a broker. */
export interface FeedSource {
  /** Name of the feed, which is that of its publisher. */
  feed: string;
  /** Why the source is away; undefined if it is there. */
  trouble: string | undefined;
  /** Name of the broker, where the feed tells. */
  broker: string | undefined;
  /** Whether it tells what its broker takes and refuses. */
  answers: boolean;
}

/** What the feeds say of their own sources, by their lanes. Feeds that say nothing are judged by their ticks. */
export class FeedSources {
  readonly #sources = new Map<number, FeedSource>();
  readonly #onChange: () => void;
  /** Times that the source of a feed went away. */
  losses = 0;

  /** @param onChange is told when a source goes away or is back. */
  constructor(onChange: () => void = () => {}) {
    this.#onChange = onChange;
  }

  /** Notes what the feed of a lane says. */
  note(lane: number, source: FeedSource): void {
    const before = this.#sources.get(lane);
    this.#sources.set(lane, source);
    const [wasAway, isAway] = [before, source].map((one) => one?.trouble !== undefined);
    if (wasAway === isAway) return;
    if (isAway && before !== undefined) this.losses += 1;
    this.#onChange();
  }

  /** The feed of a lane is gone. */
  forget(lane: number): void {
    this.#sources.delete(lane);
  }

  /** Whether any feed tells what its broker takes and refuses, be its source there or not. */
  get someTellResults(): boolean {
    for (const { answers } of this.#sources.values()) if (answers) return true;
    return false;
  }

  /** Whether a feed tells what its broker takes and refuses. */
  tellsResults(feed: string): boolean {
    for (const source of this.#sources.values()) if (source.feed === feed && source.answers) return true;
    return false;
  }

  /** Whether the feed of a lane has said that its source is away. */
  isAway(lane: number): boolean {
    return this.#sources.get(lane)?.trouble !== undefined;
  }

  /** Why the sources are away of all feeds that speak of theirs; undefined if one is there, or no feed does. */
  trouble(): string | undefined {
    const sources = [...this.#sources.values()];
    return sources.every(({ trouble }) => trouble !== undefined) ? sources[0]?.trouble : undefined;
  }

  /** Why the source of a feed is away; undefined if it is there, as far as is known. */
  troubleOf(feed: string): string | undefined {
    const sources = [...this.#sources.values()].filter((source) => source.feed === feed);
    return sources.every(({ trouble }) => trouble !== undefined) ? sources[0]?.trouble : undefined;
  }

  /** The brokers that feeds tell of, whether they publish already or not. */
  brokers(): string[] {
    return [...this.#sources.values()].flatMap(({ broker }) => broker ?? []);
  }

  /** The broker of a feed, where the feed tells. */
  brokerOf(feed: string): string | undefined {
    for (const source of this.#sources.values()) {
      if (source.feed === feed && source.broker !== undefined) return source.broker;
    }
    return undefined;
  }
}
