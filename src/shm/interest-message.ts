import { MAX_EXCHANGE_BYTES, MAX_SYMBOL_BYTES } from '../message.ts';
import type { Slots } from './companion-ring.ts';
import { TOPIC_WORDS, TopicNames, TopicWords } from './topic-words.ts';

/** Words of an interest message; the core's `interest.rs` has the diagram. Words 3 to 6 are whole numbers. */
const WORD = { modes: 3, depth: 4, round: 5, session: 6, topic: 8 } as const;

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
  readonly #topics = new TopicWords();

  /** @throws `ERR_INVALID_SYMBOL` */
  check(exchange: string, symbol: string): void {
    const isPlain = fitsPlainly(exchange, MAX_EXCHANGE_BYTES) && fitsPlainly(symbol, MAX_SYMBOL_BYTES);
    if (!isPlain) this.#topics.of(exchange, symbol);
  }

  write({ words, u32 }: Slots, at: number, wish: Wish, round: Round): number {
    begin(u32, at, words, wish.modes, wish.depth, round);
    const topic = this.#topics.of(wish.exchange, wish.symbol);
    u32.set(new Uint32Array(topic.buffer), (at + WORD.topic) * 2);
    return WORD.topic + TOPIC_WORDS;
  }

  writeEnd({ words, u32 }: Slots, at: number, round: Round): number {
    begin(u32, at, words, 0, 0, round);
    return WORD.topic + TOPIC_WORDS;
  }
}

const PRINTABLE_ASCII = /^[ -~]+$/;

/** True for what needs no encoding to be known to fit. */
function fitsPlainly(text: string, most: number): boolean {
  return typeof text === 'string' && text.length <= most && PRINTABLE_ASCII.test(text);
}

function begin(u32: Uint32Array, at: number, words: number, modes: number, depth: number, round: Round): void {
  u32.fill(0, at * 2, (at + words) * 2);
  u32[(at + WORD.modes) * 2] = modes;
  u32[(at + WORD.depth) * 2] = depth;
  u32[(at + WORD.round) * 2] = round.round;
  u32[(at + WORD.session) * 2] = round.session;
}

/** Reads what {@link WishWriter} wrote. */
export class WishReader {
  readonly #topics = new TopicNames();

  round({ u32 }: Slots, at: number): Round {
    return { round: u32[(at + WORD.round) * 2]!, session: u32[(at + WORD.session) * 2]! };
  }

  /** The wish, or undefined at the end of a round. */
  wish({ u32, i32 }: Slots, at: number): Wish | undefined {
    if (u32[(at + WORD.topic) * 2] === 0) return undefined;
    const { exchange, symbol } = this.#topics.at(i32, (at + WORD.topic) * 2);
    return { exchange, symbol, modes: u32[(at + WORD.modes) * 2]! & 0b1110, depth: u32[(at + WORD.depth) * 2]! };
  }
}
