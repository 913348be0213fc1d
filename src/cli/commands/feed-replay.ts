import { type Command, createCommand, Option } from 'commander';
import type { MalformedLine } from '../../feeds/recording.ts';
import { addFeedOptions, feedOptionsOf, type FeedFlags } from '../feed-options.ts';
import { count, counted } from '../figures.ts';
import { positiveOrMax } from '../option-values.ts';
import { runFeed } from '../run-feed.ts';

interface ReplayFlags extends FeedFlags {
  symbol?: string;
  exchange: string;
  speed: number | 'max';
  loop?: true;
  strict?: true;
  format?: 'csv' | 'jsonl';
  utcOffset?: string;
}

const HELP = `
Examples:
  $ openalgo-shm feed replay session.csv --symbol NIFTY --exchange NSE_INDEX      at its own pace
  $ openalgo-shm feed replay session.csv --symbol NIFTY --speed max --loop
  $ openalgo-shm feed replay ticks.jsonl --speed 10 --strict
  $ openalgo-shm feed replay day.ticks                        what openalgo-shm record wrote, compressed or not

CSV is "timestamp,price", or whatever columns its header names; lines of JSON are ticks as OpenAlgo's adapters make
them. A malformed line is reported with its number and counted; with --strict it ends the replay.`;

/** Malformed lines that are printed; the rest is only counted. */
const REPORTED_LINES = 20;

/** A recording, played again. */
export function replayCommand(): Command {
  const command = createCommand('replay').description(
    'a recording: of openalgo-shm record, CSV, or one tick of JSON a line',
  );
  command
    .argument('<file>', 'the recording')
    .option('--symbol <name>', 'symbol of lines that name none; needed for "timestamp,price"')
    .addOption(new Option('--exchange <name>', 'exchange of lines that name none').default('NSE'))
    .addOption(
      new Option('--speed <x>', '1 for its own pace, 10 for ten times as fast, max')
        .default(1)
        .argParser(positiveOrMax),
    )
    .option('--loop', 'begin again at the end')
    .option('--strict', 'end at the first malformed line')
    .addOption(
      new Option('--format <kind>', 'what the lines are (default: by the first line)').choices(['csv', 'jsonl']),
    )
    .option('--utc-offset <±hh:mm>', 'time zone of times that name none (default: +05:30)');
  return addFeedOptions(command, 'replay')
    .addHelpText('after', HELP)
    .action((file: string, flags: ReplayFlags) => replay(file, flags));
}

async function replay(file: string, flags: ReplayFlags): Promise<void> {
  const { ReplayFeed } = await import('../../feeds/replay.ts');
  const { symbol, exchange, speed, loop, strict, format, utcOffset } = flags;
  const feed = new ReplayFeed(file, {
    ...feedOptionsOf(flags),
    exchange,
    speed,
    loop: loop === true,
    strict: strict === true,
    ...(symbol === undefined ? {} : { symbol }),
    ...(format === undefined ? {} : { format }),
    ...(utcOffset === undefined ? {} : { utcOffset }),
    onMalformedLine: reportMalformedLines(),
  });
  const pace = speed === 'max' ? 'as fast as it can' : speed === 1 ? 'at its own pace' : `${speed} times as fast`;
  const progress = (): string => {
    const { lines, malformed, bytesRead, bytesTotal } = feed.progress;
    const read = bytesTotal === 0 ? 100 : Math.floor((100 * bytesRead) / bytesTotal);
    return `${counted(lines, 'line')} read (${read} %), ${count(malformed)} malformed`;
  };
  await runFeed(feed, { title: `${file}, ${pace}`, ring: flags.ring, progress });
}

function reportMalformedLines(): (line: MalformedLine) => void {
  let reported = 0;
  return ({ file, number, reason }) => {
    reported++;
    if (reported <= REPORTED_LINES) process.stderr.write(`${file}:${number}: ${reason}\n`);
    if (reported === REPORTED_LINES) process.stderr.write('further malformed lines are only counted\n');
  };
}
