import { OpenAlgoShmError } from '../errors.ts';
import { MAX_EXCHANGE_BYTES, MAX_SYMBOL_BYTES } from '../message.ts';

/** 32-bit words of exchange and symbol together. */
export const TOPIC_INTS = (MAX_EXCHANGE_BYTES + MAX_SYMBOL_BYTES) / 4;

/** More topics than any market has: beyond it the cache starts anew, so that made-up names cannot fill the memory. */
const MAX_CACHED = 300_000;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** The bytes of topics as they lie in a message, made once a topic. */
export class TopicWords {
  readonly #exchanges = new Map<string, Map<string, Int32Array>>();
  #count = 0;

  /** @throws `ERR_INVALID_SYMBOL` */
  of(exchange: string, symbol: string): Int32Array {
    return this.#exchanges.get(exchange)?.get(symbol) ?? this.#add(exchange, symbol);
  }

  #add(exchange: string, symbol: string): Int32Array {
    const bytes = new Uint8Array(MAX_EXCHANGE_BYTES + MAX_SYMBOL_BYTES);
    encode('exchange', exchange, bytes.subarray(0, MAX_EXCHANGE_BYTES));
    encode('symbol', symbol, bytes.subarray(MAX_EXCHANGE_BYTES));
    if (this.#count++ === MAX_CACHED) {
      this.#exchanges.clear();
      this.#count = 1;
    }
    let symbols = this.#exchanges.get(exchange);
    if (symbols === undefined) this.#exchanges.set(exchange, (symbols = new Map()));
    const words = new Int32Array(bytes.buffer);
    symbols.set(symbol, words);
    return words;
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

/** The names of topics, decoded once a topic. */
export class TopicNames {
  readonly #topics = new Map<number, { words: Int32Array; name: TopicName }[]>();
  #count = 0;

  /** The topic whose words begin at `at` in `words`. */
  at(words: Int32Array, at: number): TopicName {
    let hash = 0;
    for (let i = 0; i < TOPIC_INTS; i++) hash = (Math.imul(hash, 31) + words[at + i]!) | 0;
    const candidates = this.#topics.get(hash);
    if (candidates !== undefined) {
      for (const candidate of candidates) if (same(candidate.words, words, at)) return candidate.name;
    }
    return this.#add(hash, words.slice(at, at + TOPIC_INTS));
  }

  #add(hash: number, words: Int32Array): TopicName {
    if (this.#count++ === MAX_CACHED) {
      this.#topics.clear();
      this.#count = 1;
    }
    const bytes = new Uint8Array(words.buffer);
    const name = {
      exchange: decode(bytes.subarray(0, MAX_EXCHANGE_BYTES)),
      symbol: decode(bytes.subarray(MAX_EXCHANGE_BYTES)),
    };
    const candidates = this.#topics.get(hash);
    if (candidates === undefined) this.#topics.set(hash, [{ words, name }]);
    else candidates.push({ words, name });
    return name;
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
