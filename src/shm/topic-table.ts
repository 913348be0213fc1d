import type { NativeSubscriber } from './native-binding.ts';
import { native } from './native.ts';
import type { TopicName } from './topic-words.ts';

const NAMELESS: TopicName = { exchange: '', symbol: '' };

/** The names behind the topic numbers of every lane, asked of the native side once a topic. */
export class TopicTable {
  readonly #subscriber: NativeSubscriber;
  readonly #lanes: (TopicName | undefined)[][];

  constructor(subscriber: NativeSubscriber, lanes: number) {
    this.#subscriber = subscriber;
    this.#lanes = Array.from({ length: lanes }, () => []);
  }

  at(lane: number, number: number): TopicName {
    return this.#lanes[lane]?.[number] ?? this.#ask(lane, number);
  }

  #ask(lane: number, number: number): TopicName {
    const name = native(() => this.#subscriber.topicName(lane, number)) ?? NAMELESS;
    const names = this.#lanes[lane];
    // Without holes: an array with holes is slower to read.
    if (names !== undefined) {
      while (names.length < number) names.push(undefined);
      names[number] = name;
    }
    return name;
  }
}
