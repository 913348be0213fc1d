import { type Command, Option } from 'commander';
import {
  DEFAULT_BUFFER_SIZE,
  DEFAULT_DEPTH_LEVELS,
  DEFAULT_RING_NAME,
  DEFAULT_TOPICS,
  MAX_TOPICS,
  type Policy,
  type RingOptions,
} from '../shm/options.ts';
import { byteSize, wholeNumber } from './option-values.ts';

/** The values of {@link addRingOptions}. */
export interface RingFlags {
  ring: string;
  bufferSize: number;
  topics: number;
  depthLevels: number;
  lanes?: number;
  policy?: Policy;
}

/** `--ring`, which every command has that looks at a ring. */
export function ringOption(): Option {
  return new Option('--ring <name>', 'name of the ring in shared memory').default(DEFAULT_RING_NAME);
}

/**
 * The options of a command that may create the ring. The first process creates the ring; later ones attach and ignore
 * these.
 */
export function addRingOptions(command: Command, depthLevels: number = DEFAULT_DEPTH_LEVELS): Command {
  return command
    .addOption(ringOption())
    .optionsGroup('Options of the ring, used if it does not exist yet:')
    .addOption(
      new Option('--buffer-size <bytes>', 'size of one lane; an LTP tick takes 64 bytes')
        .default(DEFAULT_BUFFER_SIZE, '1MiB')
        .argParser(byteSize),
    )
    .addOption(
      new Option('--topics <n>', 'topics that one publisher can name')
        .default(DEFAULT_TOPICS)
        .argParser(wholeNumber(1, MAX_TOPICS)),
    )
    .addOption(
      new Option('--depth-levels <n>', 'depth levels a side').default(depthLevels).argParser(wholeNumber(0, 200)),
    )
    .addOption(new Option('--lanes <n>', 'publishers at the same time (default: 8)').argParser(wholeNumber(1, 64)))
    .addOption(
      new Option('--policy <policy>', 'what a full lane does (default: overwrite)').choices(['overwrite', 'lossless']),
    )
    .optionsGroup('Options:');
}

/** The flags as options of a publisher, a subscriber or a proxy. */
export function ringOptionsOf({ ring, bufferSize, topics, depthLevels, lanes, policy }: RingFlags): RingOptions {
  return {
    name: ring,
    bufferSize,
    topics,
    depthLevels,
    ...(lanes === undefined ? {} : { lanes }),
    ...(policy === undefined ? {} : { policy }),
  };
}

/** The same flags for a child process that runs another command. */
export function ringArguments({ ring, bufferSize, topics, depthLevels, lanes, policy }: RingFlags): string[] {
  const flags = [
    `--ring=${ring}`,
    `--buffer-size=${bufferSize}`,
    `--topics=${topics}`,
    `--depth-levels=${depthLevels}`,
  ];
  if (lanes !== undefined) flags.push(`--lanes=${lanes}`);
  if (policy !== undefined) flags.push(`--policy=${policy}`);
  return flags;
}
