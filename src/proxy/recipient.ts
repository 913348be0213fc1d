import { skipped } from './answers.ts';
import type { Audience } from './audience.ts';
import { Conflation } from './conflation.ts';
import type { Connection } from './connection.ts';
import type { Counters } from './counters.ts';
import { Frames } from './frames.ts';
import { type Interests } from './interests.ts';
import type { Refusal } from './verdicts.ts';
import type { Writer } from './writer.ts';

const NOTHING: Interests = new Map();

/** What all recipients share. */
export interface Delivery {
  writer: Writer;
  counters: Counters;
  /** Bytes that a client may leave untaken before its ticks are conflated. */
  highWaterMark: number;
  /** Whether a client still wants a kept frame. */
  isWanted(recipient: Recipient, key: number): boolean;
}

/** The client's session, which a recipient belongs to. It tells the client what has to be said in words. */
export interface RecipientOwner {
  /** A broker has refused what the client had subscribed to. @param key by `subscriptionKey` */
  hearRefusal(key: number, refusal: Refusal): void;
}

/**
 * A client as the fan-out sees it: where its frames go, and what happens when it takes them too slowly.
 * Its memory is bounded by the high-water mark, one batch, and one tick of each of its topics and modes.
 */
export class Recipient {
  readonly connection: Connection;
  /** Those it shares its subscriptions with; undefined while it has none. */
  audience: Audience | undefined;
  /** The session; undefined before it begins. */
  owner: RecipientOwner | undefined;
  /** Number of its (topic, mode) pairs. */
  subscriptionCount = 0;
  /** Ticks handed to its connection. */
  sent = 0;
  /** Ticks that newer ones took the place of. */
  conflated = 0;
  readonly #delivery: Delivery;
  #conflation: Conflation | undefined;

  constructor(connection: Connection, delivery: Delivery) {
    this.connection = connection;
    this.#delivery = delivery;
  }

  get interests(): Interests {
    return this.audience?.interests ?? NOTHING;
  }

  /** Whether it is behind and gets only the newest of each topic. */
  get isConflated(): boolean {
    return this.#conflation !== undefined;
  }

  /** Gives it a batch, or keeps the newest of it while the client is behind. */
  deliver(frames: Frames): void {
    if (!this.connection.isOpen) return;
    if (this.#conflation !== undefined) {
      this.#keep(this.#conflation, frames);
    } else if (this.#isWithinMark(frames)) {
      this.#write(frames);
    } else {
      this.#conflation = new Conflation();
      this.#keep(this.#conflation, frames);
      this.#awaitFlush();
    }
  }

  /** Calls back once nothing is kept for it: at once, unless it is behind. Never if it goes before. */
  whenCaughtUp(callback: () => void): void {
    if (this.#conflation === undefined) callback();
    else this.#conflation.onEnd = callback;
  }

  /** Drops what is kept for it. */
  discard(): void {
    this.#conflation = undefined;
  }

  // A batch may exceed the mark when nothing is before it: it exists anyway, and is shared.
  #isWithinMark(frames: Frames): boolean {
    const backlog = this.connection.backlog;
    return backlog === 0 || backlog + frames.byteLength <= this.#delivery.highWaterMark;
  }

  #write(frames: Frames): void {
    this.#delivery.writer.write(this.connection, frames);
    this.sent += frames.count;
    this.#delivery.counters.sent += frames.count;
  }

  #keep(conflation: Conflation, frames: Frames): void {
    for (let index = 0; index < frames.count; index++) {
      if (!conflation.put(frames.keys[index] as number, frames.text(index))) continue;
      this.conflated += 1;
      this.#delivery.counters.conflated += 1;
    }
  }

  // Nobody above this callback would catch what is thrown in it.
  #awaitFlush(): void {
    this.connection.whenFlushed(() => {
      try {
        this.#catchUp();
      } catch {
        this.connection.terminate();
      }
    });
  }

  #catchUp(): void {
    const conflation = this.#conflation;
    if (conflation === undefined || !this.connection.isOpen) return;
    conflation.keep((key) => this.#delivery.isWanted(this, key));
    while (!conflation.isEmpty && this.connection.backlog === 0) {
      this.#write(Frames.ofTexts(conflation.take(this.#delivery.highWaterMark)));
    }
    if (!conflation.isEmpty) return this.#awaitFlush();
    this.#conflation = undefined;
    if (conflation.replaced > 0) this.connection.send(skipped(conflation.replaced));
    conflation.onEnd?.();
  }
}
