import { type Command, Option } from 'commander';
import type { FeedOptions } from '../feeds/feed.ts';
import { addRingOptions, ringOptionsOf, type RingFlags } from './ring-options.ts';

/** The values of {@link addFeedOptions}. */
export interface FeedFlags extends RingFlags {
  broker?: string;
}

/** What every feed can be told. */
export function addFeedOptions(command: Command, kind: string): Command {
  return addRingOptions(
    command.addOption(new Option('--broker <name>', `name that clients see as the broker (default: "${kind}")`)),
  );
}

/** The flags as options of a feed. */
export function feedOptionsOf(flags: FeedFlags): FeedOptions {
  return { ...ringOptionsOf(flags), ...(flags.broker === undefined ? {} : { publisherName: flags.broker }) };
}
