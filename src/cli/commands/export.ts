import { statSync } from 'node:fs';
import { extname } from 'node:path';
import { type Command, createCommand, Option } from 'commander';
import { OpenAlgoShmError } from '../../errors.ts';
import { openDescriptor, type ExportedContents } from '../../recording/export-file.ts';
import { endingSignal } from '../ending.ts';
import { count, counted } from '../figures.ts';
import { wholeNumber } from '../option-values.ts';

type Format = 'csv' | 'parquet';

interface ExportFlags {
  format?: Format;
  fields?: string;
  symbols?: string;
  depth: number;
  strict?: true;
}

const HELP = `
Examples:
  $ openalgo-shm export day.ticks day.csv
  $ openalgo-shm export day.20261123T034500Z.ticks.gz day.parquet --symbols RELIANCE,TCS
  $ openalgo-shm export day.ticks day.csv --fields ltp,volume,oi --depth 0

One row a tick: recorded_at, broker, exchange, symbol, mode, the fields, then buy_1_price, buy_1_quantity,
buy_1_orders and so on for each level of the book.

Exit code 0 if rows were written, even where the recording is damaged: what could not be read is said on stderr.
Exit code 1 if nothing was written: the recording is empty, none of its ticks is of --symbols, the disk is full, or
with --strict it is damaged. A table that exists is then left as it is.`;

/** A recording as a table. */
export function exportCommand(): Command {
  return createCommand('export')
    .description('make CSV or Parquet of a recording')
    .argument('<recording>', 'a file that openalgo-shm record wrote, compressed or not')
    .argument('<table>', 'the file to write, .csv or .parquet')
    .addOption(new Option('--format <kind>', 'what to write (default: by the name)').choices(['csv', 'parquet']))
    .option('--fields <names>', 'only these fields, as in ltp,volume (default: all)')
    .option('--symbols <names>', 'only these symbols, as in RELIANCE,TCS (default: all)')
    .addOption(new Option('--depth <levels>', 'levels of the book').default(5).argParser(wholeNumber(0, 200)))
    .option('--strict', 'fail if anything of the recording is damaged')
    .addHelpText('after', HELP)
    .action((recording: string, table: string, flags: ExportFlags) => exportTable(recording, table, flags));
}

async function exportTable(recording: string, table: string, flags: ExportFlags): Promise<void> {
  const isReplaced = isFileToReplace(table);
  const options = {
    depthLevels: flags.depth,
    strict: flags.strict === true,
    // There is nothing to tidy up of what goes to a pipe, and a process that waits for its reader hears no signal.
    ...(isReplaced ? { signal: endingSignal() } : {}),
    ...(flags.fields === undefined ? {} : { fields: listOf(flags.fields) }),
    ...(flags.symbols === undefined ? {} : { symbols: listOf(flags.symbols) }),
  };
  const write =
    (flags.format ?? formatOf(table)) === 'csv'
      ? (await import('../../recording/export-csv.ts')).exportCsv
      : (await import('../../recording/export-parquet.ts')).exportParquet;
  const contents = await write(recording, table, options);
  // A table that goes to /dev/stdout is not to be followed by anything else.
  const said = isReplaced ? process.stdout : process.stderr;
  said.write(
    `${counted(contents.ticks, 'tick')} read from ${recording}, ${count(contents.rows)} written to ${table}\n`,
  );
  reportLosses(contents);
}

function listOf(text: string): string[] {
  return text.split(',').map((name) => name.trim());
}

function formatOf(table: string): Format {
  const extension = extname(table).slice(1).toLowerCase();
  if (extension === 'csv' || extension === 'parquet') return extension;
  throw new OpenAlgoShmError(
    'ERR_INVALID_OPTION',
    `${table} ends neither in .csv nor in .parquet: say which with --format`,
  );
}

function reportLosses({ lost, damages, damagedBytes, blocksLost, ticksLost }: ExportedContents): void {
  if (lost > 0) process.stderr.write(`${counted(lost, 'tick')} had come faster than the recorder could read\n`);
  if (damages === 0) return;
  const known = ticksLost > 0 ? `with ${counted(ticksLost, 'tick')} at least` : 'nobody knows with how many ticks';
  process.stderr.write(
    `${counted(damages, 'damaged place')} passed over, ${counted(damagedBytes, 'byte')} in all: ${counted(blocksLost, 'block')} lost, ${known}\n`,
  );
}

/** False for a device, a pipe, or a file that this process has open. */
function isFileToReplace(table: string): boolean {
  return openDescriptor(table) === undefined && (statSync(table, { throwIfNoEntry: false })?.isFile() ?? true);
}
