/** What a feed says of its own source: OpenAlgo, a broker. Feeds that say nothing are judged by their ticks. */
export class FeedSources {
  readonly #troubles = new Map<string, string>();

  /** Notes that the source of a feed is there, or why not. */
  note(feed: string, trouble: string | undefined): void {
    if (trouble === undefined) this.#troubles.delete(feed);
    else this.#troubles.set(feed, trouble);
  }

  /** Why the source of a feed is away; undefined if it is there, as far as is known. */
  troubleOf(feed: string): string | undefined {
    return this.#troubles.get(feed);
  }
}
