import type { Health } from './health.ts';
import { Metrics } from './metrics.ts';
import type { Proxy } from './proxy.ts';
import type { StatsReport } from './schemas.ts';

/** What the HTTP routes show of the service. */
export interface Figures {
  stats(): Promise<StatsReport>;
  /** As Prometheus reads them. */
  metrics(): Promise<string>;
  health(): Promise<Health>;
}

/** The figures of a proxy that serves alone. */
export class OwnFigures implements Figures {
  readonly #proxy: Proxy;
  readonly #metrics: Metrics;

  constructor(proxy: Proxy) {
    this.#proxy = proxy;
    this.#metrics = new Metrics(proxy);
  }

  async stats(): Promise<StatsReport> {
    return this.#proxy.stats();
  }

  metrics(): Promise<string> {
    return this.#metrics.text();
  }

  async health(): Promise<Health> {
    return this.#proxy.health();
  }
}
