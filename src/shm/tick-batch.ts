import { HEAD_WORDS } from './layout.ts';
import { TickView, type DrainedMessages } from './tick-view.ts';

/** The messages of one poll, valid until the next. */
export class TickBatch implements Iterable<TickView> {
  readonly #messages: DrainedMessages;
  readonly #views: TickView[] = [];
  #length = 0;

  /** @internal Made by the subscriber. */
  constructor(messages: DrainedMessages) {
    this.#messages = messages;
  }

  /** Number of messages. */
  get length(): number {
    return this.#length;
  }

  /** @internal Called by the subscriber after each poll. */
  fill(length: number): this {
    while (this.#views.length < length) {
      this.#views.push(new TickView(this.#messages, this.#views.length * HEAD_WORDS));
    }
    this.#length = length;
    return this;
  }

  /** The message with this index, from 0; undefined beyond the last. */
  at(index: number): TickView | undefined {
    return index < this.#length ? this.#views[index] : undefined;
  }

  *[Symbol.iterator](): Iterator<TickView> {
    for (let i = 0; i < this.#length; i++) yield this.#views[i]!;
  }
}
