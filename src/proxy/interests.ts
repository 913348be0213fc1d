import { WILDCARD } from './requests.ts';

/**
 * A set of subscriptions in one number each: the variants' mask in the low eight bits, the interval in ms
 * above. The key is a topic's number, or a wildcard's, which is negative.
 */
export type Interests = ReadonlyMap<number, number>;

const VARIANT_BITS = 8;
const VARIANT_MASK = (1 << VARIANT_BITS) - 1;

/** Several variants of one key at one pace. */
export function interest(variants: number, intervalMs: number): number {
  return variants === 0 ? 0 : (intervalMs << VARIANT_BITS) | variants;
}

/** The mask of the variants. */
export function variantsOf(value: number): number {
  return value & VARIANT_MASK;
}

/** Shortest time between two ticks of the topic, ms; 0 for every tick. */
export function intervalOf(value: number): number {
  return value >>> VARIANT_BITS;
}

/** Key of the wildcard for everything. */
export const EVERYTHING = -1;

/** Numbers of exchanges' wildcards: negative, so that they never meet a topic's. */
export class WildcardKeys {
  readonly #keys = new Map<string, number>([[WILDCARD, EVERYTHING]]);
  readonly #exchanges: string[] = [WILDCARD];
  readonly #free: number[] = [];
  #generation = 0;

  /** Grows whenever a key gets a new meaning. */
  get generation(): number {
    return this.#generation;
  }

  /** The key of all symbols of an exchange, or of everything for `*`, until it is forgotten. */
  of(exchange: string): number {
    const known = this.#keys.get(exchange);
    if (known !== undefined) return known;
    const key = this.#free.pop() ?? -this.#exchanges.length - 1;
    this.#exchanges[-key - 1] = exchange;
    this.#keys.set(exchange, key);
    this.#generation += 1;
    return key;
  }

  /** Frees the key of a wildcard that nobody wants any more: so there are never more than subscriptions. */
  forget(key: number): void {
    if (key === EVERYTHING) return;
    this.#keys.delete(this.exchangeOf(key));
    this.#free.push(key);
  }

  /** The exchange of a wildcard's key. */
  exchangeOf(key: number): string {
    return this.#exchanges[-key - 1] ?? WILDCARD;
  }

  /** The key of an exchange's wildcard if there is one. */
  find(exchange: string): number | undefined {
    return this.#keys.get(exchange);
  }
}
