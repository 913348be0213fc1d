import { OpenAlgoShmError } from '../errors.ts';
import { MAX_EXCHANGE_BYTES, MAX_SYMBOL_BYTES } from '../message.ts';
import type { NativePublisher } from './native-binding.ts';
import { native } from './native.ts';

interface Topic {
  readonly exchange: string;
  readonly number: number;
  /** The topic of the same symbol on another exchange. */
  readonly next: Topic | undefined;
}

/** The numbers of a publisher's topics, asked of the native side once a topic. The lane's topic table bounds them. */
export class TopicNumbers {
  readonly #publisher: NativePublisher;
  readonly #symbols = new Map<string, Topic>();

  constructor(publisher: NativePublisher) {
    this.#publisher = publisher;
  }

  /** @throws `ERR_INVALID_SYMBOL`, `ERR_TOO_MANY_TOPICS`, `ERR_SHM_FULL` */
  of(exchange: string, symbol: string): number {
    for (let topic = this.#symbols.get(symbol); topic !== undefined; topic = topic.next) {
      if (topic.exchange === exchange) return topic.number;
    }
    return this.#add(exchange, symbol);
  }

  #add(exchange: string, symbol: string): number {
    check('exchange', exchange, MAX_EXCHANGE_BYTES);
    check('symbol', symbol, MAX_SYMBOL_BYTES);
    const number = native(() => this.#publisher.topic(exchange, symbol));
    this.#symbols.set(symbol, { exchange, number, next: this.#symbols.get(symbol) });
    return number;
  }
}

/** The native side checks the text; it cannot be given anything else. */
function check(what: string, text: unknown, most: number): void {
  if (typeof text === 'string') return;
  throw new OpenAlgoShmError(
    'ERR_INVALID_SYMBOL',
    `${what} is ${text === null ? 'null' : typeof text}: expected 1 to ${most} bytes of UTF-8 without control characters`,
  );
}
