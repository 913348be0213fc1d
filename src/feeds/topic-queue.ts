import type { UpstreamTopic } from './upstream-topic.ts';

/** Topics that wait for a request, in order; many go into one. */
export class TopicQueue {
  readonly #topics = new Set<UpstreamTopic>();
  readonly #batchSize: number;
  readonly #fit: (a: UpstreamTopic, b: UpstreamTopic) => boolean;

  /**
   * @param batchSize most topics of one request.
   * @param fit whether two can go into one.
   */
  constructor(batchSize: number, fit: (a: UpstreamTopic, b: UpstreamTopic) => boolean) {
    this.#batchSize = batchSize;
    this.#fit = fit;
  }

  get isEmpty(): boolean {
    return this.#topics.size === 0;
  }

  add(topic: UpstreamTopic): void {
    this.#topics.add(topic);
  }

  delete(topic: UpstreamTopic): void {
    this.#topics.delete(topic);
  }

  clear(): void {
    this.#topics.clear();
  }

  /** Takes the first out, and those that can go with it; they count as asked. Not for an empty queue. */
  take(): [UpstreamTopic, ...UpstreamTopic[]] {
    const [first] = this.#topics as Iterable<UpstreamTopic> as [UpstreamTopic];
    const batch: [UpstreamTopic, ...UpstreamTopic[]] = [first];
    for (const topic of this.#topics) {
      if (batch.length === this.#batchSize || first.isSuspect) break;
      if (topic !== first && !topic.isSuspect && this.#fit(topic, first)) batch.push(topic);
    }
    for (const topic of batch) {
      this.#topics.delete(topic);
      topic.asked = true;
    }
    return batch;
  }
}
