import { isNameOfKey } from '../user-of-key.ts';
import { OldestFirst } from './oldest-first.ts';

/** Most keys whose users are known. */
const MOST = 10_000;

/**
 * The names of users whose keys are all that is known of them: OpenAlgo's REST API does not tell whose a key is, but a feed
 * that is OpenAlgo's client hears it, and tells both names of its user.
 */
export class UserNames {
  readonly #names = new Map<string, string>();
  readonly #known = new OldestFirst<string>();

  /** Learns from the names of one user: one of them made of the key, the other its own. */
  learn(names: readonly unknown[]): void {
    const texts = names.filter((name) => typeof name === 'string' && name !== '') as string[];
    const ofKeys = texts.filter(isNameOfKey);
    const [name, ...others] = texts.filter((text) => !isNameOfKey(text));
    if (name === undefined || others.length > 0) return;
    for (const ofKey of ofKeys) this.#note(ofKey, name);
  }

  /** The user's own name, where it is known; else the one that is given. */
  of(userId: string): string {
    return this.#names.get(userId) ?? userId;
  }

  #note(ofKey: string, name: string): void {
    this.#names.set(ofKey, name);
    this.#known.add(ofKey);
    if (this.#known.size <= MOST) return;
    const oldest = this.#known.takeOldest();
    if (oldest !== undefined) this.#names.delete(oldest);
  }
}
