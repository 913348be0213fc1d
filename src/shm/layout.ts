/** Words of a message's head: the first line of a message in the ring. */
export const HEAD_WORDS = 8;

/** Where the parts of a head lie, in 8-byte words; the ring crate's `message/head.rs` is the source. */
export const WORD = {
  /** Number of the message in its lane. In an image: the first synonym word. */
  sequence: 0,
  /** Lower half: topic number. Upper half: see {@link META}. */
  meta: 1,
  /** Upper half: presence bits. Lower half of a copy: where the words behind the head begin. */
  presence: 2,
  /** In an image: the second synonym word. */
  publishNs: 3,
  /** The first four fields: ltp, volume, ltt, timestamp. */
  ltp: 4,
} as const;

/** The upper half of the meta word: mode, synonym words, pairs of annex words, lane (in a copy), buy levels, sell levels. */
export const META = {
  modeMask: 0b11,
  synonymsShift: 2,
  annexShift: 4,
  laneShift: 8,
  buysShift: 16,
  sellsShift: 24,
} as const;

/** Fields in the head. */
export const HEAD_FIELDS = 4;
/** Presence bits of the fields that lie behind the head. */
export const REST_FIELDS = ~((1 << HEAD_FIELDS) - 1);

/** Most synonym words of a tick: bit `n % 64` of word `n / 64` stands for synonym `n`. */
export const SYNONYM_WORDS = 2;

/** Most words of an annex, which is behind the levels: what no field says, and the age of a carried tick. */
export const ANNEX_WORDS = 30;

/** Words of one depth level: price, quantity, orders. */
export const LEVEL_WORDS = 3;

/** Where the parts of a tick's image lie behind its head: each field has a place of its own. `message/tick.rs` is the source. */
export const IMAGE = { fields: 16, levels: 44 } as const;

/** Words of an image with a book of so many levels a side and the longest annex, a whole number of lines. */
export function imageWords(depthLevels: number): number {
  return Math.ceil((IMAGE.levels + 2 * LEVEL_WORDS * depthLevels + ANNEX_WORDS) / 8) * 8;
}

/** Most words that a tick with such a book has behind its head, in whole lines of seven. */
export function longestRest(depthLevels: number): number {
  return Math.ceil((32 - HEAD_FIELDS + 2 * LEVEL_WORDS * depthLevels + ANNEX_WORDS + SYNONYM_WORDS) / 7) * 7;
}

/** Number of bits that are set. */
export function countBits(bits: number): number {
  bits -= (bits >>> 1) & 0x5555_5555;
  bits = (bits & 0x3333_3333) + ((bits >>> 2) & 0x3333_3333);
  return Math.imul((bits + (bits >>> 4)) & 0x0f0f_0f0f, 0x0101_0101) >>> 24;
}
