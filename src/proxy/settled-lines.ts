import type { SubscriptionLine } from './answers.ts';
import type { AskedLine } from './pending-subscribe.ts';
import { WILDCARD } from './requests.ts';
import type { WantedLine } from './subscriber.ts';
import { subscriptionKey } from './subscription-key.ts';
import type { Verdicts } from './verdicts.ts';

/**
 * Gives the lines of a subscribe whose results are known the depth that comes.
 *
 * @param depth levels a side that the client can get at most.
 * @returns the keys of those that feeds will tell the result of; none while no feed tells any.
 */
export function settleKnown(
  lines: readonly SubscriptionLine[],
  wanted: readonly WantedLine[],
  depth: number,
  verdicts: Verdicts,
): Set<number> {
  const unsettled = new Set<number>();
  if (!verdicts.areExpected) return unsettled;
  for (const { line, topic, mode, instrument, bookDepthBefore } of wanted) {
    if (instrument.symbol === WILDCARD) continue;
    const known = verdicts.known(instrument, mode);
    const levels = mode === 3 ? Math.min(known?.depth ?? depth, depth) : depth;
    // Nobody has asked for such a deep book yet: feeds subscribe anew, and tell the result again.
    const isAskedDeeper = levels < depth && bookDepthBefore < depth;
    (lines[line] as SubscriptionLine).depth = levels;
    if (known === undefined || isAskedDeeper) unsettled.add(subscriptionKey(topic, mode));
  }
  return unsettled;
}

/** The lines by their keys. No feed tells a result of a wildcard. */
export function keyedLines(wanted: readonly WantedLine[]): AskedLine[] {
  return wanted.map(({ line, topic, mode }) => ({ line, key: subscriptionKey(topic, mode) }));
}
