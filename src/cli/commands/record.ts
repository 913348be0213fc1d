import { type Command, createCommand, Option } from 'commander';
import { aborted, endingSignal, reportReady } from '../ending.ts';
import { bytes, count, counted } from '../figures.ts';
import { byteSize, wholeNumber } from '../option-values.ts';
import { goOnWithoutOutput } from '../output.ts';
import { ProgressLine } from '../progress-line.ts';
import { addRingOptions, type RingFlags, ringOptionsOf } from '../ring-options.ts';

interface RecordFlags extends RingFlags {
  rotateSize: number;
  rotateEvery?: number;
  flush: number;
  compress: boolean;
}

const HELP = `
Examples:
  $ openalgo-shm record day.ticks                          until Ctrl-C; continues the file if it exists
  $ openalgo-shm record day.ticks --rotate-every 60        a new file every hour
  $ openalgo-shm feed replay day.ticks                     plays it again, at its own pace
  $ openalgo-shm export day.ticks day.parquet              makes a table of it

A finished file is compressed and named by the time it was begun: day.20261123T034500Z.ticks.gz. What was written
stays readable if the recorder is killed or the machine fails. A file has one recorder: a second one is refused.`;

const MINUTE_MS = 60_000;

/** Every tick of the ring, into a file. */
export function recordCommand(): Command {
  const command = createCommand('record')
    .description('write every tick of the ring to a file that survives a crash')
    .argument('<file>', 'the recording')
    .addOption(
      new Option('--rotate-size <bytes>', 'begin a new file at this size')
        .default(256 * 1024 * 1024, '256MiB')
        .argParser(byteSize),
    )
    .addOption(
      new Option('--rotate-every <minutes>', 'begin a new file after this time').argParser(wholeNumber(1, 10_080)),
    )
    .addOption(
      new Option('--flush <ms>', 'longest time that a tick waits to be written')
        .default(1000)
        .argParser(wholeNumber(1, 3_600_000)),
    )
    .option('--no-compress', 'leave finished files as they are');
  return addRingOptions(command)
    .addHelpText('after', HELP)
    .action((file: string, flags: RecordFlags) => record(file, flags));
}

async function record(file: string, flags: RecordFlags): Promise<void> {
  const { Recorder } = await import('../../recording/recorder.ts');
  const { rotateSize, rotateEvery, flush, compress } = flags;
  goOnWithoutOutput();
  const ending = endingSignal();
  const recorder = new Recorder(file, {
    ...ringOptionsOf(flags),
    rotateBytes: rotateSize,
    flushMs: flush,
    compress,
    ...(rotateEvery === undefined ? {} : { rotateMs: rotateEvery * MINUTE_MS }),
  }).start();
  const { counters } = recorder;
  process.stdout.write(`recording shared memory ${flags.ring} → ${file}; Ctrl-C ends it\n`);
  if (!recorder.locked) {
    process.stderr.write(
      `the file system of ${file} has no locks: nothing keeps a second recorder from the same file\n`,
    );
  }
  reportReady();
  const hide = new ProgressLine().refresh(1000, () => {
    const lost = counters.lost === 0 ? '' : `, ${count(counters.lost)} lost`;
    return `${counted(counters.ticks, 'tick')}, ${bytes(counters.bytes)}${lost}`;
  });
  try {
    await Promise.race([recorder.done, aborted(ending)]);
  } finally {
    hide();
    await recorder.stop();
  }
  process.stdout.write(`recorded ${counted(counters.ticks, 'tick')}, ${bytes(counters.bytes)}\n`);
  if (counters.unrotated > 0) {
    process.stderr.write(
      `a new file could not be begun when it was time (${recorder.rotationFault}): all went on into the one before\n`,
    );
  }
  if (counters.uncompressed > 0) {
    process.stderr.write(`${counted(counters.uncompressed, 'finished file')} could not be compressed\n`);
  }
  if (counters.lost > 0) {
    process.stderr.write(
      `${counted(counters.lost, 'tick')} came faster than this process could read: a ring with a larger --buffer-size takes longer bursts\n`,
    );
  }
}
