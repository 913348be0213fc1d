import type { AnswerQueue } from './answer-queue.ts';
import type { Audiences } from './audiences.ts';
import type { Counters } from './counters.ts';
import { interest, intervalOf, variantsOf } from './interests.ts';
import { subscriptionKey } from './pending-subscribe.ts';
import type { Recipient } from './recipient.ts';
import type { Subscriptions } from './subscriptions.ts';
import { variantOf } from './variants.ts';
import type { Acceptance, Refusal, VerdictListener } from './verdicts.ts';

/** Brings the brokers' verdicts to the clients: to those that wait for an answer, and to those that have got one. */
export class VerdictDelivery implements VerdictListener {
  readonly #subscriptions: Subscriptions;
  readonly #audiences: Audiences;
  readonly #counters: Counters;
  readonly #waiting = new Set<AnswerQueue>();

  constructor(subscriptions: Subscriptions, audiences: Audiences, counters: Counters) {
    this.#subscriptions = subscriptions;
    this.#audiences = audiences;
    this.#counters = counters;
  }

  /** Clients that wait for an answer. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** A client waits. */
  await(answers: AnswerQueue): void {
    this.#waiting.add(answers);
  }

  /** It waits no more. */
  release(answers: AnswerQueue): void {
    this.#waiting.delete(answers);
  }

  accepted({ exchange, symbol, mode, depth }: Acceptance): void {
    if (this.#waiting.size === 0) return;
    const topic = this.#subscriptions.knownKeyOf({ exchange, symbol });
    if (topic === undefined) return;
    const levels = mode === 3 ? depth : undefined;
    for (const answers of this.#waiting) answers.accept(subscriptionKey(topic, mode), levels);
  }

  // All at once for each client: clients with equal subscriptions stay together.
  refused(refusals: readonly Refusal[]): void {
    const changes = new Map<Recipient, Map<number, number>>();
    const told: [recipient: Recipient, key: number, refusal: Refusal][] = [];
    for (const refusal of refusals) {
      const topic = this.#subscriptions.knownKeyOf(refusal);
      if (topic === undefined) continue;
      for (const recipient of this.#clientsOf(topic)) {
        const ofClient = changes.get(recipient) ?? new Map<number, number>();
        const value = ofClient.get(topic) ?? recipient.interests.get(topic) ?? 0;
        const bit = 1 << variantOf(refusal.mode, recipient.connection.format);
        if ((variantsOf(value) & bit) === 0) continue;
        changes.set(recipient, ofClient.set(topic, interest(variantsOf(value) & ~bit, intervalOf(value))));
        told.push([recipient, subscriptionKey(topic, refusal.mode), refusal]);
      }
    }
    for (const [recipient, ofClient] of changes) this.#subscriptions.apply(recipient, ofClient);
    this.#counters.subscriptionsRefused += told.length;
    for (const [recipient, key, refusal] of told) recipient.owner?.hearRefusal(key, refusal);
  }

  silenced(): void {
    for (const answers of this.#waiting) answers.giveUp();
  }

  *#clientsOf(topic: number): Generator<Recipient> {
    for (const audience of this.#audiences.of(topic)?.keys() ?? []) yield* audience.members;
  }
}
