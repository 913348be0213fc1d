import { type Command, createCommand, Option } from 'commander';
import { addFeedOptions, feedOptionsOf, type FeedFlags } from '../feed-options.ts';
import { count } from '../figures.ts';
import { positiveOrMax, wholeNumber } from '../option-values.ts';
import { goOnWithoutOutput } from '../output.ts';
import { runFeed } from '../run-feed.ts';

interface SimulatedFlags extends FeedFlags {
  rate: number | 'max';
  symbols?: number;
  seed?: number;
}

const HELP = `
Examples:
  $ openalgo-shm feed simulated                      100 ticks a second, RELIANCE, NIFTY and 54 others
  $ openalgo-shm feed simulated --rate max           as many as this process can make
  $ openalgo-shm feed simulated --symbols 2000 --rate 5000 --seed 7`;

/** A market that nobody trades in. */
export function simulatedCommand(): Command {
  const command = createCommand('simulated').description('a made-up market: shares, indices, futures and options');
  command
    .addOption(new Option('--rate <n>', 'ticks a second, or max').default(100).argParser(positiveOrMax))
    .addOption(new Option('--symbols <n>', 'instruments (default: 56)').argParser(wholeNumber(1, 100_000)))
    .addOption(new Option('--seed <n>', 'the same seed gives the same market').argParser(wholeNumber(0, 2 ** 32 - 1)));
  return addFeedOptions(command, 'simulated')
    .addHelpText('after', HELP)
    .action((flags: SimulatedFlags) => simulate(flags));
}

async function simulate(flags: SimulatedFlags): Promise<void> {
  goOnWithoutOutput();
  const { SimulatedFeed } = await import('../../feeds/simulated.ts');
  const { rate, symbols, seed } = flags;
  const feed = new SimulatedFeed({
    ...feedOptionsOf(flags),
    rate,
    ...(symbols === undefined ? {} : { symbols }),
    ...(seed === undefined ? {} : { seed }),
  });
  const instruments = feed.instruments.length;
  const pace = rate === 'max' ? 'as fast as it can' : `${count(rate)} ticks a second`;
  const title = `a simulated market of ${instruments} instruments, ${pace}`;
  await runFeed(feed, { title, ring: flags.ring, details: { instruments } });
}
