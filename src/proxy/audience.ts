import { type Interests, intervalOf, variantsOf } from './interests.ts';
import { Pacing } from './pacing.ts';
import type { Recipient } from './recipient.ts';

/**
 * The clients whose subscriptions are equal. A batch of ticks is put together once for all of them, and
 * all get the same bytes.
 */
export class Audience {
  readonly members = new Set<Recipient>();
  readonly interests: Map<number, number>;
  /** Equal for equal interests; see {@link signatureOf}. */
  signature: number;
  /** Whether some interest is a wildcard's. */
  wild = false;
  /** What is held back where an interval was asked for; undefined while nobody asks. */
  pacing: Pacing | undefined;

  constructor(interests: Map<number, number>, signature: number) {
    this.interests = interests;
    this.signature = signature;
    this.#describe();
  }

  /** Changes the interests in place: the caller keeps whatever is indexed by them. */
  apply(changes: Interests, signature: number): void {
    for (const [key, value] of changes) {
      if (value === 0) this.interests.delete(key);
      else this.interests.set(key, value);
    }
    this.signature = signature;
    this.#describe();
  }

  /** The variants wanted of a topic, by name and by the wildcards that match it. */
  variants(topic: number, wildcards: readonly number[]): number {
    let mask = variantsOf(this.interests.get(topic) ?? 0);
    for (const key of wildcards) mask |= variantsOf(this.interests.get(key) ?? 0);
    return mask;
  }

  /** The interval that holds for a topic, ms: its own, or the wildcards' shortest. */
  interval(topic: number, wildcards: readonly number[]): number {
    const own = this.interests.get(topic);
    if (own !== undefined) return intervalOf(own);
    const matching = wildcards.map((key) => this.interests.get(key)).filter((value) => value !== undefined);
    return Math.min(...matching.map(intervalOf));
  }

  #describe(): void {
    this.wild = false;
    let paced = false;
    for (const [key, value] of this.interests) {
      if (key < 0) this.wild = true;
      if (intervalOf(value) > 0) paced = true;
    }
    if (!paced) this.pacing = undefined;
    else this.pacing ??= new Pacing();
  }
}

/** A set of interests as it will be once the changes are made: equal sets have equal signatures. */
export function signatureAfter(interests: Interests, signature: number, changes: Interests): number {
  let high = Math.floor(signature / 0x1_0000_0000);
  let low = signature >>> 0;
  const toggle = (key: number, value: number): void => {
    if (value === 0) return;
    low = (low ^ mix(key, value)) >>> 0;
    high ^= mix(value ^ 0x5bd1_e995, key) & 0x1f_ffff;
  };
  for (const [key, value] of changes) {
    toggle(key, interests.get(key) ?? 0);
    toggle(key, value);
  }
  return high * 0x1_0000_0000 + low;
}

/** Whether `candidate` equals `interests` with the changes made. */
export function equalsAfter(candidate: Interests, interests: Interests, changes: Interests): boolean {
  let size = interests.size;
  for (const [key, value] of changes) {
    if ((candidate.get(key) ?? 0) !== value) return false;
    size += Number(value !== 0) - Number(interests.has(key));
  }
  if (candidate.size !== size) return false;
  for (const [key, value] of interests) {
    if (!changes.has(key) && candidate.get(key) !== value) return false;
  }
  return true;
}

// A well-mixed 32-bit number of two, so that sets which differ seldom share a signature; equality is verified anyway.
function mix(a: number, b: number): number {
  let hash = Math.imul(a ^ 0x9e37_79b9, 0x85eb_ca6b) ^ Math.imul(b + 0x7f4a_7c15, 0xc2b2_ae35);
  hash = Math.imul(hash ^ (hash >>> 16), 0x21f0_aaad);
  hash = Math.imul(hash ^ (hash >>> 15), 0x735a_2d97);
  return (hash ^ (hash >>> 15)) >>> 0;
}
