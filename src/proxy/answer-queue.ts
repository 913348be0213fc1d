import type { Answer } from './answers.ts';
import { PendingSubscribe } from './pending-subscribe.ts';

/** Lines of answers that are held back for a client before it is not asked for more messages. */
const MOST_HELD = 10_000;

/**
 * The answers to one client while a subscribe waits for its results: they keep the order of the client's messages, so
 * what comes behind the subscribe waits too.
 */
export class AnswerQueue {
  readonly #send: (answer: Answer) => void;
  readonly #onSent: () => void;
  readonly #held: (Answer | PendingSubscribe)[] = [];
  /** The subscribes that have a key in their answers. */
  readonly #byKey = new Map<number, Set<PendingSubscribe>>();
  #lines = 0;

  /** @param onSent is called whenever some have gone out. */
  constructor(send: (answer: Answer) => void, onSent: () => void) {
    this.#send = send;
    this.#onSent = onSent;
  }

  get isEmpty(): boolean {
    return this.#held.length === 0;
  }

  /** Whether so much is held back that the client must not ask for more. */
  get isFull(): boolean {
    return this.#lines > MOST_HELD;
  }

  /** Sends an answer once those before it have gone. */
  add(answer: Answer | PendingSubscribe): void {
    this.#held.push(answer);
    this.#lines += linesOf(answer);
    if (answer instanceof PendingSubscribe) this.#index(answer);
    this.flush();
  }

  /** The broker took what has this key. */
  accept(key: number, depth: number | undefined): void {
    for (const pending of this.#byKey.get(key) ?? []) pending.accept(key, depth);
    this.flush();
  }

  /** The broker refused it. @returns whether an answer says so that has not gone out yet */
  refuse(key: number, message: string): boolean {
    const subscribes = this.#byKey.get(key);
    if (subscribes === undefined) return false;
    for (const pending of subscribes) pending.refuse(key, message);
    this.flush();
    return true;
  }

  /** The client does not want these any more. */
  leave(keys: Iterable<number>): void {
    for (const key of keys) {
      for (const pending of this.#byKey.get(key) ?? []) pending.leave(key);
      this.#byKey.delete(key);
    }
    this.flush();
  }

  /** The client wants nothing any more. */
  leaveAll(): void {
    for (const pending of this.#pending()) pending.leaveAll();
    this.#byKey.clear();
    this.flush();
  }

  /** No results will come: answers what it can. */
  giveUp(): void {
    for (const pending of this.#pending()) pending.giveUp();
    this.flush();
  }

  /** Sends what waits for nothing any more. */
  flush(): void {
    const blocked = this.#held.findIndex((answer) => answer instanceof PendingSubscribe && !answer.isReady);
    const ready = this.#held.splice(0, blocked < 0 ? this.#held.length : blocked);
    if (ready.length === 0) return;
    if (this.#held.length === 0) this.#byKey.clear();
    for (const answer of ready) {
      this.#lines -= linesOf(answer);
      if (answer instanceof PendingSubscribe && this.#byKey.size > 0) this.#unindex(answer);
      this.#send(answer instanceof PendingSubscribe ? answer.end() : answer);
    }
    this.#onSent();
  }

  /** Drops all: the client is gone. */
  discard(): void {
    for (const pending of this.#pending()) pending.end();
    this.#held.length = 0;
    this.#byKey.clear();
    this.#lines = 0;
  }

  #index(pending: PendingSubscribe): void {
    for (const key of pending.keys) {
      const subscribes = this.#byKey.get(key);
      if (subscribes === undefined) this.#byKey.set(key, new Set([pending]));
      else subscribes.add(pending);
    }
  }

  #unindex(pending: PendingSubscribe): void {
    for (const key of pending.keys) {
      const subscribes = this.#byKey.get(key);
      subscribes?.delete(pending);
      if (subscribes?.size === 0) this.#byKey.delete(key);
    }
  }

  *#pending(): Generator<PendingSubscribe> {
    for (const answer of this.#held) if (answer instanceof PendingSubscribe) yield answer;
  }
}

function linesOf(answer: Answer | PendingSubscribe): number {
  if (answer instanceof PendingSubscribe) return answer.length;
  // Those of an unsubscribe.
  const lists = [answer['successful'], answer['failed']].filter((list) => Array.isArray(list));
  return lists.reduce((sum, list) => sum + list.length, 1);
}
