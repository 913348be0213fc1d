import { OpenAlgoShmError } from '../errors.ts';
import { MAX_EXCHANGE_BYTES, MAX_SYMBOL_BYTES } from '../message.ts';

/** 64-bit words of exchange and symbol together. */
export const TOPIC_WORDS = (MAX_EXCHANGE_BYTES + MAX_SYMBOL_BYTES) / 8;
const TOPIC_INTS = 2 * TOPIC_WORDS;

/**
 * More topics than a broker's account has: beyond it the cache starts anew, so that made-up names cannot fill the memory.
 * A name takes some 300 bytes; to make it again takes a microsecond.
 */
const MAX_CACHED = 32_768;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** The bytes of topics as they lie in a message, made once a topic. */
export class TopicBytes {
  /** By exchange, then by symbol. */
  readonly #exchanges = new Map<string, Map<string, Uint8Array>>();
  #count = 0;

  /** @throws `ERR_INVALID_SYMBOL` */
  of(exchange: string, symbol: string): Uint8Array {
    return this.#exchanges.get(exchange)?.get(symbol) ?? this.#add(exchange, symbol);
  }

  #add(exchange: string, symbol: string): Uint8Array {
    const bytes = new Uint8Array(MAX_EXCHANGE_BYTES + MAX_SYMBOL_BYTES);
    encode('exchange', exchange, bytes.subarray(0, MAX_EXCHANGE_BYTES));
    encode('symbol', symbol, bytes.subarray(MAX_EXCHANGE_BYTES));
    if (this.#count++ === MAX_CACHED) {
      this.#exchanges.clear();
      this.#count = 1;
    }
    const symbols = this.#exchanges.get(exchange) ?? new Map<string, Uint8Array>();
    this.#exchanges.set(exchange, symbols.set(symbol, bytes));
    return bytes;
  }
}

function encode(what: string, text: unknown, room: Uint8Array): void {
  const expected = `expected 1 to ${room.length} bytes of UTF-8 without control characters`;
  if (typeof text !== 'string') {
    throw new OpenAlgoShmError('ERR_INVALID_SYMBOL', `${what} is ${text === null ? 'null' : typeof text}: ${expected}`);
  }
  const bytes = encoder.encode(text);
  if (bytes.length === 0 || bytes.length > room.length || bytes.some((byte) => byte < 0x20 || byte === 0x7f)) {
    throw new OpenAlgoShmError(
      'ERR_INVALID_SYMBOL',
      `${what} ${JSON.stringify(text)} is ${bytes.length} bytes long: ${expected}`,
    );
  }
  room.set(bytes);
}

/** Exchange and symbol of a message. */
export interface TopicName {
  readonly exchange: string;
  readonly symbol: string;
}

interface NamedTopic extends TopicName {
  readonly words: Int32Array;
  /** Another topic with the same hash. */
  readonly next: NamedTopic | undefined;
}

/** The names of topics, decoded once a topic. */
export class TopicNames {
  readonly #topics = new Map<number, NamedTopic>();
  #count = 0;

  /** The topic whose words begin at `at` in `words`. */
  at(words: Int32Array, at: number): TopicName {
    let hash = 0;
    for (let i = at; i < at + TOPIC_INTS; i += 2) {
      hash = Math.imul(hash ^ words[i]! ^ Math.imul(words[i + 1]!, 0x85ebca6b), 0x9e3779b1);
    }
    hash ^= hash >>> 15;
    for (let topic = this.#topics.get(hash); topic !== undefined; topic = topic.next) {
      if (same(topic.words, words, at)) return topic;
    }
    return this.#add(hash, words.slice(at, at + TOPIC_INTS));
  }

  #add(hash: number, words: Int32Array): NamedTopic {
    if (this.#count++ === MAX_CACHED) {
      this.#topics.clear();
      this.#count = 1;
    }
    // A copy: to ask for the memory behind an array moves it further away, and `words` are read for every message.
    const bytes = new Uint8Array(words.slice().buffer);
    const topic = {
      exchange: decode(bytes.subarray(0, MAX_EXCHANGE_BYTES)),
      symbol: decode(bytes.subarray(MAX_EXCHANGE_BYTES)),
      words,
      next: this.#topics.get(hash),
    };
    this.#topics.set(hash, topic);
    return topic;
  }
}

function same(topic: Int32Array, words: Int32Array, at: number): boolean {
  for (let i = 0; i < TOPIC_INTS; i++) if (topic[i] !== words[at + i]) return false;
  return true;
}

function decode(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return decoder.decode(end < 0 ? bytes : bytes.subarray(0, end));
}
