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
    this.flush();
  }

  /** The broker took what has this key. */
  accept(key: number, depth: number | undefined): void {
    for (const pending of this.#pending()) pending.accept(key, depth);
    this.flush();
  }

  /** The broker refused it. @returns whether an answer says so that has not gone out yet */
  refuse(key: number, message: string): boolean {
    let isTold = false;
    for (const pending of this.#pending()) isTold = pending.refuse(key, message) || isTold;
    this.flush();
    return isTold;
  }

  /** The client does not want these any more. */
  leave(keys: Iterable<number>): void {
    for (const key of keys) for (const pending of this.#pending()) pending.leave(key);
    this.flush();
  }

  /** The client wants nothing any more. */
  leaveAll(): void {
    for (const pending of this.#pending()) pending.leaveAll();
    this.flush();
  }

  /** No results will come: answers what it can. */
  giveUp(): void {
    for (const pending of this.#pending()) pending.giveUp();
    this.flush();
  }

  /** Sends what waits for nothing any more. */
  flush(): void {
    let sent = 0;
    for (const answer of this.#held) {
      if (answer instanceof PendingSubscribe && !answer.isReady) break;
      this.#send(answer instanceof PendingSubscribe ? answer.end() : answer);
      this.#lines -= linesOf(answer);
      sent += 1;
    }
    if (sent === 0) return;
    this.#held.splice(0, sent);
    this.#onSent();
  }

  /** Drops all: the client is gone. */
  discard(): void {
    for (const pending of this.#pending()) pending.end();
    this.#held.length = 0;
    this.#lines = 0;
  }

  *#pending(): Generator<PendingSubscribe> {
    for (const answer of this.#held) if (answer instanceof PendingSubscribe) yield answer;
  }
}

function linesOf(answer: Answer | PendingSubscribe): number {
  return answer instanceof PendingSubscribe ? answer.length : 1;
}
