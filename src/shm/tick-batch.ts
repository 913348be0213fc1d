import { TickView, type DrainedMessages } from './tick-view.ts';

/** The messages of one poll, valid until the next. */
export class TickBatch implements Iterable<TickView> {
  readonly #messages: DrainedMessages;
  readonly #slotWords: number;
  readonly #views: TickView[] = [];
  #length = 0;

  constructor(messages: DrainedMessages, slotWords: number) {
    this.#messages = messages;
    this.#slotWords = slotWords;
  }

  /** Number of messages. */
  get length(): number {
    return this.#length;
  }

  set length(length: number) {
    while (this.#views.length < length) {
      this.#views.push(new TickView(this.#messages, this.#views.length * this.#slotWords));
    }
    this.#length = length;
  }

  /** The message with this index, from 0; undefined beyond the last. */
  at(index: number): TickView | undefined {
    return index < this.#length ? this.#views[index] : undefined;
  }

  *[Symbol.iterator](): Iterator<TickView> {
    for (let i = 0; i < this.#length; i++) yield this.#views[i]!;
  }
}
