import { type Command, createCommand, Option } from 'commander';
import { printedLog } from '../feed-log.ts';
import { addFeedOptions, feedOptionsOf, type FeedFlags } from '../feed-options.ts';
import { count, counted } from '../figures.ts';
import { leftOut } from '../left-out.ts';
import { goOnWithoutOutput } from '../output.ts';
import { runFeed } from '../run-feed.ts';

interface ZmqFlags extends FeedFlags {
  bind: string;
}

const HELP = `
Examples:
  $ openalgo-shm feed zmq
  $ openalgo-shm feed zmq --bind tcp://127.0.0.1:5556 --broker zerodha

It takes the place of OpenAlgo's own WebSocket server at the bus that its broker adapters publish to: run one or the
other. It needs the package zeromq: npm install zeromq@6.`;

/** OpenAlgo's bus. */
export function zmqCommand(): Command {
  const command = createCommand('zmq').description("OpenAlgo's ZeroMQ bus: what its broker adapters publish");
  command.addOption(new Option('--bind <address>', 'where the adapters connect to').default('tcp://127.0.0.1:5555'));
  return addFeedOptions(command, 'zmq')
    .addHelpText('after', HELP)
    .action((flags: ZmqFlags) => feedZmq(flags));
}

async function feedZmq(flags: ZmqFlags): Promise<void> {
  goOnWithoutOutput();
  const { ZmqFeed } = await import('../../feeds/zmq.ts');
  const feed = new ZmqFeed({ ...feedOptionsOf(flags), bind: flags.bind, log: printedLog() });
  const progress = (): string => {
    const { received, malformed, orderUpdates, unreadableKeys } = feed.counters;
    return `${counted(received, 'message')} received, ${count(malformed)} malformed, ${counted(orderUpdates, 'order update')}${leftOut(unreadableKeys)}`;
  };
  await runFeed(feed, { title: `OpenAlgo's bus at ${flags.bind}`, ring: flags.ring, progress });
}
