import type { Figures } from '../figures.ts';
import type { Health } from '../health.ts';
import { Metrics } from '../metrics.ts';
import type { Proxy } from '../proxy.ts';
import type { StatsReport } from '../schemas.ts';
import { mergeHealth } from './merge-health.ts';
import { mergeStats } from './merge-stats.ts';
import type { Part, PartKind, Parts, WorkerPlace } from './worker-place.ts';

/** The figures of all workers of a port together, whichever of them is asked. */
export class SharedFigures implements Figures {
  readonly #proxy: Proxy;
  readonly #place: WorkerPlace;
  readonly #metrics: Metrics;
  readonly #answers: { [K in PartKind]: () => Promise<Parts[K]> };

  constructor(proxy: Proxy, place: WorkerPlace) {
    this.#proxy = proxy;
    this.#place = place;
    this.#metrics = new Metrics(proxy, place.number);
    this.#answers = {
      stats: async () => ({
        report: proxy.stats(),
        topics: proxy.interests().map(({ exchange, symbol }) => `${exchange}:${symbol}`),
        deliveryLatencies: proxy.deliveryLatencies(),
      }),
      metrics: () => this.#metrics.own(),
      health: async () => proxy.health(),
    };
    place.answerWith((kind) => this.#answers[kind]());
  }

  async stats(): Promise<StatsReport> {
    const others = await this.#place.gather('stats');
    return mergeStats(await this.#own('stats'), others);
  }

  async metrics(): Promise<string> {
    const { parts, missing, replaced } = await this.#place.gather('metrics');
    const service = { workers: parts.length + 1, missing, replaced };
    return this.#metrics.textWith(
      parts.map(({ content }) => content),
      service,
    );
  }

  async health(): Promise<Health> {
    const { parts } = await this.#place.gather('health');
    return mergeHealth([this.#proxy.health(), ...parts.map(({ content }) => content)]);
  }

  async #own<K extends PartKind>(kind: K): Promise<Part<K>> {
    return { number: this.#place.number, pid: process.pid, content: await this.#answers[kind]() };
  }
}
