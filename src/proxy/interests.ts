import { OpenAlgoShmError } from '../errors.ts';
import { WILDCARD } from './requests.ts';

/**
 * A set of subscriptions in one number each: the variants' mask in the low eight bits, the interval in ms
 * above. The key is a topic's number, or a wildcard's, which is negative.
 */
export type Interests = ReadonlyMap<number, number>;

/** Most exchanges with a wildcard; there are about 14 in the world of OpenAlgo. */
const MAX_WILDCARDS = 1024;

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

/** Numbers of exchanges' wildcards: negative, so that they never meet a topic's. */
export class WildcardKeys {
  readonly #keys = new Map<string, number>([[WILDCARD, -1]]);
  readonly #exchanges: string[] = [WILDCARD];

  /** Number of wildcards, the one for everything included. */
  get size(): number {
    return this.#exchanges.length;
  }

  /**
   * The key of all symbols of an exchange, or of everything for `*`.
   *
   * @throws {OpenAlgoShmError} `ERR_INVALID_ARGUMENT` when there are too many.
   */
  of(exchange: string): number {
    const known = this.#keys.get(exchange);
    if (known !== undefined) return known;
    if (this.#exchanges.length === MAX_WILDCARDS) {
      throw new OpenAlgoShmError('ERR_INVALID_ARGUMENT', 'too many exchanges with a wildcard: this one is not kept');
    }
    this.#exchanges.push(exchange);
    const key = -this.#exchanges.length;
    this.#keys.set(exchange, key);
    return key;
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

/** Key of the wildcard for everything. */
export const EVERYTHING = -1;
