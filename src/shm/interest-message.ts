import { MAX_DEPTH_LEVELS, MAX_EXCHANGE_BYTES, MAX_SYMBOL_BYTES } from '../message.ts';
import type { MessageBuffer } from './companion-ring.ts';
import { TOPIC_WORDS, TopicBytes, TopicNames } from './topic-words.ts';

/** 32-bit halves of an interest message; the ring crate's `interest.rs` has the diagram. */
const HALF = { modes: 0, depth: 1, round: 2, session: 3, topic: 4 } as const;
const WORDS = 2 + TOPIC_WORDS;

/** What one proxy wants of one topic. */
export interface Wish {
  exchange: string;
  symbol: string;
  /** Bit m for mode m; 0: no longer wanted. */
  modes: number;
  /** Deepest book wanted, levels a side; 0 without mode 3. */
  depth: number;
}

/** Which repetition of whose interest a message belongs to. */
export interface Round {
  /** Numbers the repetitions of one proxy. */
  round: number;
  /** Tells a lane's owner from the one before it. */
  session: number;
}

/** Writes wishes, and the end of a round as a message without a topic. */
export class WishWriter {
  readonly #topics = new TopicBytes();

  /** @throws `ERR_INVALID_SYMBOL` */
  check(exchange: string, symbol: string): void {
    const isPlain = fitsPlainly(exchange, MAX_EXCHANGE_BYTES) && fitsPlainly(symbol, MAX_SYMBOL_BYTES);
    if (!isPlain) this.#topics.of(exchange, symbol);
  }

  write({ u32, bytes }: MessageBuffer, at: number, wish: Wish, round: Round): number {
    begin(u32, at, wish.modes, wish.depth, round);
    bytes.set(this.#topics.of(wish.exchange, wish.symbol), (at * 2 + HALF.topic) * 4);
    return WORDS;
  }

  writeEnd({ u32 }: MessageBuffer, at: number, round: Round): number {
    begin(u32, at, 0, 0, round);
    return WORDS;
  }
}

const PRINTABLE_ASCII = /^[ -~]+$/;

/** True for what needs no encoding to be known to fit. */
function fitsPlainly(text: string, most: number): boolean {
  return typeof text === 'string' && text.length <= most && PRINTABLE_ASCII.test(text);
}

function begin(u32: Uint32Array, at: number, modes: number, depth: number, round: Round): void {
  u32.fill(0, at * 2, (at + WORDS) * 2);
  u32[at * 2 + HALF.modes] = modes;
  u32[at * 2 + HALF.depth] = depth;
  u32[at * 2 + HALF.round] = round.round;
  u32[at * 2 + HALF.session] = round.session;
}

/** Reads what {@link WishWriter} wrote. */
export class WishReader {
  readonly #topics = new TopicNames();

  round({ u32 }: MessageBuffer, at: number): Round {
    return { round: u32[at * 2 + HALF.round]!, session: u32[at * 2 + HALF.session]! };
  }

  /** The wish, or undefined at the end of a round. */
  wish({ u32, i32 }: MessageBuffer, at: number): Wish | undefined {
    if (u32[at * 2 + HALF.topic] === 0) return undefined;
    const { exchange, symbol } = this.#topics.at(i32, at * 2 + HALF.topic);
    const modes = u32[at * 2 + HALF.modes]! & 0b1110;
    return { exchange, symbol, modes, depth: Math.min(u32[at * 2 + HALF.depth]!, MAX_DEPTH_LEVELS) };
  }
}
