import { type Command, createArgument, createCommand, Option } from 'commander';
import { OpenAlgoShmError } from '../../errors.ts';
import { printedLog } from '../feed-log.ts';
import { addFeedOptions, feedOptionsOf, type FeedFlags } from '../feed-options.ts';
import { count, counted } from '../figures.ts';
import { leftOut } from '../left-out.ts';
import { wholeNumber } from '../option-values.ts';
import { goOnWithoutOutput } from '../output.ts';
import { runFeed } from '../run-feed.ts';

interface OpenAlgoFlags extends FeedFlags {
  apiKey?: string;
  grace: number;
  batch: number;
  brokerCheck: number;
  refresh: number;
  orders: boolean;
}

const HELP = `
Examples:
  $ OPENALGO_SHM_API_KEY=… openalgo-shm feed openalgo ws://127.0.0.1:8765
  $ openalgo-shm feed openalgo wss://trade.example.com/ws --api-key … --depth-levels 20

It subscribes there to what the clients of all proxies here want together, and to nothing else. When OpenAlgo drops its
broker, as with the login of every morning, it logs in and subscribes again on the same connection. A key in the
environment does not show in the list of processes. It takes the broker's name from OpenAlgo unless --broker is given.`;

/** An ordinary client of a running OpenAlgo. */
export function openAlgoCommand(): Command {
  const command = createCommand('openalgo').description(
    'a running OpenAlgo: one connection to it for all clients here',
  );
  command
    .addArgument(createArgument('[url]', "address of OpenAlgo's WebSocket server").default('ws://127.0.0.1:8765'))
    .option('--api-key <key>', "the user's API key, as OpenAlgo shows it; or OPENALGO_SHM_API_KEY")
    .addOption(
      new Option('--grace <ms>', 'how long a topic stays subscribed there once nobody wants it')
        .default(5000)
        .argParser(wholeNumber(0, 86_400_000)),
    )
    .addOption(new Option('--batch <n>', 'most symbols of one subscribe').default(500).argParser(wholeNumber(1, 5000)))
    .addOption(
      new Option('--broker-check <ms>', 'time without a tick after which OpenAlgo is asked for its broker; 0: never')
        .default(3000)
        .argParser(wholeNumber(0, 3_600_000)),
    )
    .addOption(
      new Option('--refresh <ms>', 'time after which OpenAlgo is asked once more for all that is subscribed; 0: never')
        .default(60_000)
        .argParser(wholeNumber(0, 86_400_000)),
    )
    .option('--no-orders', 'pass no order updates on');
  return addFeedOptions(command, "OpenAlgo's")
    .addHelpText('after', HELP)
    .action((url: string, flags: OpenAlgoFlags) => feedOpenAlgo(url, flags));
}

async function feedOpenAlgo(url: string, flags: OpenAlgoFlags): Promise<void> {
  goOnWithoutOutput();
  const { OpenAlgoFeed } = await import('../../feeds/openalgo.ts');
  const { shownUrl } = await import('../../feeds/shown-url.ts');
  const { apiKey, grace, batch, brokerCheck, refresh, orders } = flags;
  if (apiKey === undefined || apiKey === '') {
    throw new OpenAlgoShmError('ERR_INVALID_OPTION', 'no API key: give --api-key or set OPENALGO_SHM_API_KEY');
  }
  const feed = new OpenAlgoFeed({
    ...feedOptionsOf(flags),
    url,
    apiKey,
    graceMs: grace,
    batchSize: batch,
    brokerCheckMs: brokerCheck,
    refreshMs: refresh,
    orders,
    log: printedLog(),
  });
  const progress = (): string => {
    const { wanted, subscribed } = feed.subscriptions;
    const { malformed, connections, brokerLosses, refused, unreadableKeys } = feed.counters;
    const losses = brokerLosses === 0 ? '' : `, ${counted(brokerLosses, 'login')} followed`;
    const troubles = `${count(malformed)} malformed, ${count(refused)} refused${losses}${leftOut(unreadableKeys)}`;
    return `${count(subscribed)} of ${count(wanted)} subscribed, ${counted(connections, 'connection')}, ${troubles}`;
  };
  await runFeed(feed, { title: `OpenAlgo at ${shownUrl(url)}`, ring: flags.ring, progress });
}
