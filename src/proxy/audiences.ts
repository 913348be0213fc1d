import { Audience, equalsAfter, signatureAfter } from './audience.ts';
import { Frames, topicOfKey } from './frames.ts';
import type { Interests } from './interests.ts';
import type { Recipient } from './recipient.ts';

const NOTHING: Interests = new Map();

/** All audiences, by what they want. */
export class Audiences {
  readonly #bySignature = new Map<number, Audience[]>();
  readonly #byTopic: (Map<Audience, number> | undefined)[] = [];
  readonly #wild = new Set<Audience>();
  readonly #paced = new Set<Audience>();

  /** Number of different sets of subscriptions. */
  get size(): number {
    let size = 0;
    for (const bucket of this.#bySignature.values()) size += bucket.length;
    return size;
  }

  /** Audiences with a wildcard. */
  get wild(): ReadonlySet<Audience> {
    return this.#wild;
  }

  /** Audiences some of whose topics go at an interval. */
  get paced(): ReadonlySet<Audience> {
    return this.#paced;
  }

  /** Audiences that name a topic, with their interest in it. */
  of(topic: number): ReadonlyMap<Audience, number> | undefined {
    return this.#byTopic[topic];
  }

  /** Moves a client to the audience of its interests with these changes made; 0 takes an interest away. */
  change(recipient: Recipient, changes: Interests): void {
    const from = recipient.audience;
    const interests = from?.interests ?? NOTHING;
    const signature = signatureAfter(interests, from?.signature ?? 0, changes);
    const to = this.#find(signature, interests, changes);
    if (to !== undefined && to === from) return;
    if (to !== undefined) {
      const held = from?.pacing?.held() ?? [];
      this.#leave(recipient);
      this.#join(recipient, to);
      // The new audience may have sent these already, or never will.
      const missed = held.filter(([key]) => to.wild || to.interests.has(topicOfKey(key)));
      if (missed.length > 0) recipient.deliver(Frames.ofTexts(missed));
    } else if (from?.members.size === 1) {
      this.#changeInPlace(from, changes, signature);
    } else {
      this.#split(recipient, interests, changes, signature);
    }
  }

  /** Takes a client out. */
  remove(recipient: Recipient): void {
    this.#leave(recipient);
  }

  #split(recipient: Recipient, interests: Interests, changes: Interests, signature: number): void {
    const pacing = recipient.audience?.pacing;
    this.#leave(recipient);
    const audience = new Audience(new Map(interests), 0);
    audience.apply(changes, signature);
    if (audience.interests.size === 0) return;
    if (pacing !== undefined) audience.pacing?.follow(pacing);
    this.#register(audience);
    for (const [key, value] of audience.interests) this.#index(audience, key, value);
    this.#join(recipient, audience);
  }

  #changeInPlace(audience: Audience, changes: Interests, signature: number): void {
    this.#unregister(audience);
    for (const [key, value] of changes) this.#index(audience, key, value);
    audience.apply(changes, signature);
    if (audience.interests.size > 0) {
      audience.pacing?.keep((topic) => audience.wild || audience.interests.has(topic));
      this.#register(audience);
      return;
    }
    for (const member of audience.members) member.audience = undefined;
    audience.members.clear();
  }

  #join(recipient: Recipient, audience: Audience): void {
    audience.members.add(recipient);
    recipient.audience = audience;
  }

  #leave(recipient: Recipient): void {
    const audience = recipient.audience;
    if (audience === undefined) return;
    recipient.audience = undefined;
    audience.members.delete(recipient);
    if (audience.members.size > 0) return;
    this.#unregister(audience);
    for (const key of audience.interests.keys()) this.#index(audience, key, 0);
  }

  #find(signature: number, interests: Interests, changes: Interests): Audience | undefined {
    return this.#bySignature.get(signature)?.find((other) => equalsAfter(other.interests, interests, changes));
  }

  #register(audience: Audience): void {
    const bucket = this.#bySignature.get(audience.signature);
    if (bucket === undefined) this.#bySignature.set(audience.signature, [audience]);
    else bucket.push(audience);
    if (audience.wild) this.#wild.add(audience);
    if (audience.pacing !== undefined) this.#paced.add(audience);
  }

  #unregister(audience: Audience): void {
    const bucket = this.#bySignature.get(audience.signature)?.filter((other) => other !== audience) ?? [];
    if (bucket.length === 0) this.#bySignature.delete(audience.signature);
    else this.#bySignature.set(audience.signature, bucket);
    this.#wild.delete(audience);
    this.#paced.delete(audience);
  }

  #index(audience: Audience, key: number, value: number): void {
    if (key < 0) return;
    if (value === 0) {
      const audiences = this.#byTopic[key];
      audiences?.delete(audience);
      if (audiences?.size === 0) this.#byTopic[key] = undefined;
    } else {
      (this.#byTopic[key] ??= new Map()).set(audience, value);
    }
  }
}
