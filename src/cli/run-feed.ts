import type { Feed } from '../feeds/feed.ts';
import { whenNameIsFree } from '../shm/busy-name.ts';
import { endingSignal, reportReady } from './ending.ts';
import { count, counted } from './figures.ts';
import { ProgressLine } from './progress-line.ts';

/** What a feed's command adds to what all have in common. */
export interface FeedReport {
  /** What it is, for the first line. */
  title: string;
  ring: string;
  /** For the process that started this one. */
  details?: object;
  /** Added to the progress line and to the last line. */
  progress?: () => string;
}

/** Runs a feed until it ends, or until it shall: says what it does, shows its progress, sums up. */
export async function runFeed(feed: Feed, { title, ring, details, progress }: FeedReport): Promise<void> {
  const ending = endingSignal();
  const began = performance.now();
  await whenNameIsFree(() => feed.start());
  process.stdout.write(`${title} → shared memory ${ring}; Ctrl-C ends it\n`);
  reportReady(details);
  ending.addEventListener('abort', () => void feed.stop().catch(() => {}), { once: true });
  const line = new ProgressLine();
  let before = 0;
  const extra = (): string => (progress === undefined ? '' : `, ${progress()}`);
  const hide = line.refresh(1000, () => {
    const { published } = feed.counters;
    const rate = published - before;
    before = published;
    return `${counted(published, 'tick')} published, ${count(rate)}/s${extra()}`;
  });
  try {
    if (ending.aborted) await feed.stop();
    await feed.done;
  } finally {
    hide();
    const seconds = (performance.now() - began) / 1000;
    process.stdout.write(
      `published ${counted(feed.counters.published, 'tick')} in ${seconds.toFixed(1)} s${extra()}\n`,
    );
  }
}
