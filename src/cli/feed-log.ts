import type { FeedLog } from '../feeds/feed-log.ts';

/** Prints what a feed has to say: what happens to it beside its figures, so that pipes stay clean. */
export function printedLog(): FeedLog {
  // On a terminal the line of progress stands there; it comes again below.
  const before = process.stderr.isTTY === true ? '\r\u001b[K' : '';
  const print = (message: string): void => {
    process.stderr.write(`${before}${message}\n`);
  };
  return { info: print, warn: print };
}
