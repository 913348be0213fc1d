/** What was found in a recording so far. */
export interface RecordingContents {
  blocks: number;
  ticks: number;
  /** Messages that the recorder itself had lost, because the ring was overwritten before it read them. */
  lost: number;
  /** Places where something else than a sound block stands. */
  damages: number;
  /** Bytes that were passed over for it, and those of a last block that is not complete. */
  damagedBytes: number;
  /** Blocks that were lost for it, as far as can be told: a damaged place counts as one at least. */
  blocksLost: number;
  /** Ticks of these blocks, where a header that still says so was found; the others come on top. */
  ticksLost: number;
  /** Bytes of the file that were read. */
  bytesRead: number;
}

/** Contents of nothing. */
export function emptyContents(): RecordingContents {
  return { blocks: 0, ticks: 0, lost: 0, damages: 0, damagedBytes: 0, blocksLost: 0, ticksLost: 0, bytesRead: 0 };
}
