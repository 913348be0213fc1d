import type { Identity } from './auth.ts';
import type { Monitor } from './monitor.ts';

/** Stands in for a broker's name while there is none. */
const NO_BROKER = 'openalgo-shm';

/** The brokers behind the ticks, as answers name them: they are the publishers of the ring. */
export class Brokers {
  readonly #monitor: Monitor;
  readonly #broker: string | undefined;
  readonly #supported: readonly string[] | undefined;

  constructor(monitor: Monitor, broker: string | undefined, supported: readonly string[] | undefined) {
    this.#monitor = monitor;
    this.#broker = broker;
    this.#supported = supported;
  }

  /** The broker of a user. */
  of(identity: Identity | undefined): string {
    return this.#broker ?? identity?.broker ?? this.supported()[0] ?? NO_BROKER;
  }

  /** All brokers. */
  supported(): readonly string[] {
    if (this.#supported !== undefined) return this.#supported;
    const alive = this.#publishers().filter((publisher) => publisher.alive);
    return [...new Set(alive.map((publisher) => publisher.publisher))];
  }

  /** Whether anybody publishes. */
  areConnected(): boolean {
    return this.#publishers().some((publisher) => publisher.alive);
  }

  /** Levels a side that a client can get at most. */
  depthOf(requested: number): number {
    const levels = this.#monitor.ring()?.depthLevels ?? requested;
    return Math.min(requested, levels);
  }

  #publishers() {
    return this.#monitor.ring()?.publishers ?? [];
  }
}
