/** Where a feed says what happens to it. */
export interface FeedLog {
  info(message: string): void;
  warn(message: string): void;
}

/** Says nothing. */
export const SILENT: FeedLog = { info: () => {}, warn: () => {} };

/** True for the first, tenth, hundredth … time: what happens often is shown as a sample. */
export function isSample(count: number): boolean {
  let power = 1;
  while (power < count) power *= 10;
  return power === count;
}
