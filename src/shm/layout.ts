/** Where a message's parts lie in a slot, in 8-byte words; the core's `message.rs` is the source. */
export const WORD = {
  sequence: 0,
  extent: 1,
  publishNs: 2,
  summary: 3,
  ltp: 4,
  topic: 8,
  /** Fields from the fifth on lie from here. */
  fields: 16,
  levels: 48,
} as const;

/** Words of one depth level: price, quantity, orders. */
export const LEVEL_WORDS = 3;

/** Bytes of a tick's slot for a book of so many levels a side. */
export function tickStride(depthLevels: number): number {
  return Math.ceil((WORD.levels + 2 * LEVEL_WORDS * depthLevels) / 8) * 64;
}

/** Word of the field with this index in `FIELDS`. */
export function fieldWord(index: number): number {
  return index < 4 ? WORD.ltp + index : WORD.fields - 4 + index;
}

/** The upper half of the summary word: mode, buy levels, sell levels. The lower half holds the presence bits. */
export const SUMMARY = { modeShift: 8, buysShift: 16, sellsShift: 24 } as const;
