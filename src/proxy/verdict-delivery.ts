import type { Mode } from '../message.ts';
import type { TopicName } from '../shm/topic-words.ts';
import type { AnswerQueue } from './answer-queue.ts';
import type { Counters } from './counters.ts';
import type { Recipient } from './recipient.ts';
import { subscriptionKey } from './subscription-key.ts';
import type { Subscriptions } from './subscriptions.ts';
import type { Acceptance, Refusal, VerdictListener } from './verdicts.ts';

/** Brings the brokers' verdicts to the clients: to those that wait for an answer, and to those that have got one. */
export class VerdictDelivery implements VerdictListener {
  readonly #subscriptions: Subscriptions;
  readonly #counters: Counters;
  readonly #waiting = new Set<AnswerQueue>();

  constructor(subscriptions: Subscriptions, counters: Counters) {
    this.#subscriptions = subscriptions;
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
    this.#settle({ exchange, symbol }, mode, mode === 3 ? depth : undefined);
  }

  undecided(topic: TopicName, mode: Mode): void {
    this.#settle(topic, mode, undefined);
  }

  // All at once for each client: clients with equal subscriptions stay together.
  refused(refusals: readonly Refusal[]): void {
    const changes = new Map<Recipient, Map<number, undefined>>();
    const told: [recipient: Recipient, key: number, refusal: Refusal][] = [];
    for (const refusal of refusals) {
      const topic = this.#subscriptions.knownTopicOf(refusal);
      if (topic === undefined) continue;
      const key = subscriptionKey(topic, refusal.mode);
      for (const recipient of this.#subscriptions.clientsOf(topic)) {
        if (!recipient.subscriptions.has(key)) continue;
        const ofClient = changes.get(recipient);
        if (ofClient === undefined) changes.set(recipient, new Map([[key, undefined]]));
        else if (ofClient.has(key)) continue;
        else ofClient.set(key, undefined);
        told.push([recipient, key, refusal]);
      }
    }
    for (const [recipient, ofClient] of changes) this.#subscriptions.apply(recipient, ofClient);
    this.#counters.subscriptionsRefused += told.length;
    for (const [recipient, key, refusal] of told) recipient.owner?.hearRefusal(key, refusal);
  }

  silenced(): void {
    for (const answers of this.#waiting) answers.giveUp();
  }

  #settle(name: TopicName, mode: Mode, levels: number | undefined): void {
    if (this.#waiting.size === 0) return;
    const topic = this.#subscriptions.knownTopicOf(name);
    if (topic === undefined) return;
    for (const answers of this.#waiting) answers.accept(subscriptionKey(topic, mode), levels);
  }
}
