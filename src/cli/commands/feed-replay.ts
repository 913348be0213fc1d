import { type Command, createCommand, Option } from 'commander';
import type { SkippedStep } from '../../feeds/recording-pace.ts';
import type { MalformedLine } from '../../feeds/recording.ts';
import { addFeedOptions, feedOptionsOf, type FeedFlags } from '../feed-options.ts';
import { count, counted } from '../figures.ts';
import { positive, positiveOrMax } from '../option-values.ts';
import { printable } from '../printable.ts';
import { runFeed } from '../run-feed.ts';

interface ReplayFlags extends FeedFlags {
  symbol?: string;
  exchange: string;
  speed: number | 'max';
  rate?: number;
  maxGap: number;
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
  $ openalgo-shm feed replay prices.jsonl.gz --rate 50 --loop                      50 ticks a second, whatever its times
  $ openalgo-shm feed replay day.ticks                        what openalgo-shm record wrote, compressed or not

What the file is, its contents say: a recording, CSV or Parquet of openalgo-shm export, other CSV with commas,
semicolons or tabs, JSON as a tick a line or an array, or what Python prints of ticks; text in UTF-8 or UTF-16; plain or
compressed with gzip. CSV is "timestamp,price", or whatever columns its header names. docs/replay.md says which forms
of time are read. A line that cannot be read is reported with its number and counted; with --strict it ends the replay.
Exit code 1 if nothing was published.`;

/** Malformed lines, and skipped steps, that are printed; the rest is only counted. */
const REPORTED = 20;

/** A recording, played again. */
export function replayCommand(): Command {
  const command = createCommand('replay').description('a recording: of openalgo-shm record, CSV, Parquet or JSON');
  command
    .argument('<file>', 'the recording')
    .option('--symbol <name>', 'symbol of lines that name none; needed for "timestamp,price"')
    .addOption(new Option('--exchange <name>', 'exchange of lines that name none').default('NSE'))
    .addOption(
      new Option('--speed <x>', '1 for its own pace, 10 for ten times as fast, max')
        .default(1)
        .argParser(positiveOrMax),
    )
    .addOption(
      new Option('--rate <n>', 'ticks a second, in place of its own pace').argParser(positive).conflicts('speed'),
    )
    .addOption(
      new Option('--max-gap <seconds>', 'longest step of its time that is waited for')
        .default(3600)
        .argParser(positive),
    )
    .option('--loop', 'begin again at the end')
    .option('--strict', 'end at the first malformed line')
    .addOption(new Option('--format <kind>', 'what a text is (default: by its beginning)').choices(['csv', 'jsonl']))
    .option('--utc-offset <±hh:mm>', 'time zone of times that name none (default: +05:30)');
  return addFeedOptions(command, 'replay')
    .addHelpText('after', HELP)
    .action((file: string, flags: ReplayFlags) => replay(file, flags));
}

async function replay(file: string, flags: ReplayFlags): Promise<void> {
  const { ReplayFeed } = await import('../../feeds/replay.ts');
  const { symbol, exchange, speed, rate, maxGap, loop, strict, format, utcOffset } = flags;
  const feed = new ReplayFeed(file, {
    ...feedOptionsOf(flags),
    exchange,
    ...(rate === undefined ? { speed } : { rate }),
    maxGapMs: maxGap * 1000,
    loop: loop === true,
    strict: strict === true,
    ...(symbol === undefined ? {} : { symbol }),
    ...(format === undefined ? {} : { format }),
    ...(utcOffset === undefined ? {} : { utcOffset }),
    onMalformedLine: reportMalformedLines(),
    onSkippedStep: reportSkippedSteps(file),
  });
  const progress = (): string => {
    const { lines, malformed, cutBooks, bytesRead, bytesTotal } = feed.progress;
    const read = bytesTotal === 0 ? 100 : Math.floor((100 * bytesRead) / bytesTotal);
    const { skippedSteps } = feed.counters;
    const skipped = skippedSteps === 0 ? '' : `, ${counted(skippedSteps, 'step')} of its time skipped`;
    const cut = cutBooks === 0 ? '' : `, ${counted(cutBooks, 'book')} cut by the export (its --depth)`;
    return `${counted(lines, 'line')} read (${read} %), ${count(malformed)} malformed${skipped}${cut}`;
  };
  try {
    await runFeed(feed, { title: `${file}, ${paceOf(flags)}`, ring: flags.ring, progress });
  } finally {
    const unknown = [...feed.recording.unknownKeys.keys()];
    if (unknown.length > 0)
      process.stderr.write(`${file}: passed over, as no field is called so: ${listed(unknown)}\n`);
  }
}

/** The first of some names; a file may have any number. */
function listed(names: readonly string[]): string {
  const shown = names.slice(0, REPORTED).map((name) => JSON.stringify(name.slice(0, 40)));
  return shown.join(', ') + (names.length > REPORTED ? ` and ${count(names.length - REPORTED)} more` : '');
}

function paceOf({ speed, rate }: ReplayFlags): string {
  if (rate !== undefined) return `${counted(rate, 'tick')} a second`;
  return speed === 'max' ? 'as fast as it can' : speed === 1 ? 'at its own pace' : `${speed} times as fast`;
}

function reportMalformedLines(): (line: MalformedLine) => void {
  const print = limited('further malformed lines are only counted');
  return ({ file, number, reason }) => print(`${file}:${number}: ${reason}`);
}

function reportSkippedSteps(file: string): (step: SkippedStep) => void {
  const print = limited('further steps of its time that are skipped are only counted');
  return ({ from, to }) => print(`${file}: the time goes from ${isoTime(from)} to ${isoTime(to)}: not waited for`);
}

function isoTime(ms: number): string {
  const date = new Date(ms);
  return Number.isNaN(date.getTime()) ? `${ms} ms` : date.toISOString();
}

/** Prints the first lines of a kind. */
function limited(end: string): (line: string) => void {
  let printed = 0;
  return (line) => {
    printed++;
    if (printed <= REPORTED) process.stderr.write(`${printable(line)}\n`);
    if (printed === REPORTED) process.stderr.write(`${end}\n`);
  };
}
