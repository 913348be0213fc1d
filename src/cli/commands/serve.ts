import { type Command, createCommand, Option } from 'commander';
import { OpenAlgoShmError } from '../../errors.ts';
import type { WebSocketProxyOptions } from '../../proxy/websocket-proxy.ts';
import type { Wait } from '../../shm/options.ts';
import { aborted, endingSignal, reportReady } from '../ending.ts';
import { keepMemorySmall } from '../memory-keeper.ts';
import { addListenOptions, type ListenFlags } from '../listen-options.ts';
import { addMarketOptions, type MarketFlags, marketOptionsOf } from '../market-options.ts';
import { byteSize, wholeNumber } from '../option-values.ts';
import { goOnWithoutOutput } from '../output.ts';
import { addRingOptions, ringOptionsOf, type RingFlags } from '../ring-options.ts';
import { addThreadOptions, type ThreadFlags, threadsOf, warnOfWorkers } from '../thread-options.ts';

interface ServeFlags extends RingFlags, ListenFlags, ThreadFlags, MarketFlags {
  keysFile?: string;
  keysSocket?: string | boolean;
  openalgoUrl?: string;
  openalgoUser?: string;
  origins?: string;
  wait?: Wait;
  snapshot: boolean;
  dashboard: boolean;
  highWaterMark?: number;
  maxClients?: number;
  staleAfter?: number;
  subscribeTimeout?: number;
  snapshotMaxAge?: number;
  logLevel: (typeof LOG_LEVELS)[number];
}

const LOG_LEVELS = ['silent', 'error', 'warn', 'info', 'debug', 'trace'] as const;

const HELP = `
Examples:
  $ openalgo-shm serve                                     ws://127.0.0.1:8765, everybody on this machine
  $ openalgo-shm serve --ring demo --port 9000 --depth-levels 20
  $ openalgo-shm serve --threads auto                      as many delivery threads as there are cores to spare
  $ openalgo-shm serve --host 0.0.0.0 --keys-file keys.txt      others too, if they know a key
  $ openalgo-shm serve --openalgo-url http://127.0.0.1:5000     keys are those of OpenAlgo's users
  $ openalgo-shm serve --keys-socket                            the same, asked of OpenAlgo's adapter host
  $ openalgo-shm serve --market-hours "Mon-Fri 09:00-15:30"     a silent night is no alarm

Also there: a dashboard at /; GET /stats, /health, /health/live, /snapshot, /topics, /metrics, /openapi.json, /asyncapi.json.
It needs a feed: openalgo-shm feed simulated, or a broker's adapter.
Proxy and feed may start in any order. Listening elsewhere than on this machine needs keys.`;

/** The proxy alone. */
export function serveCommand(): Command {
  const command = createCommand('serve').description('the proxy: from the ring to WebSocket clients');
  addListenOptions(command);
  addRingOptions(command);
  addThreadOptions(command);
  addMarketOptions(command);
  return command
    .addOption(new Option('--keys-file <file>', 'clients need a key of this file, one a line').conflicts('openalgoUrl'))
    .option('--openalgo-url <url>', 'clients need a key that this OpenAlgo server knows')
    .option('--openalgo-user <name>', 'with --openalgo-url: the user of that OpenAlgo, who gets its order updates')
    .addOption(
      new Option(
        '--keys-socket [path]',
        'clients need a key that the adapter host knows, asked over its socket (default path: that of the ring)',
      ).conflicts(['keysFile', 'openalgoUrl']),
    )
    .option('--origins <list>', 'origins whose pages may connect, separated by commas; * for all')
    .option('--no-snapshot', 'do not send the last tick at once when a client subscribes')
    .option('--no-dashboard', 'leave out the page at /')
    .addOption(
      new Option(
        '--high-water-mark <bytes>',
        'unsent bytes from which a slow client gets only newest ticks (default: 1MiB)',
      ).argParser(byteSize),
    )
    .addOption(
      new Option('--max-clients <n>', 'clients at the same time (default: 10000)').argParser(wholeNumber(1, 1_000_000)),
    )
    .addOption(
      new Option(
        '--stale-after <ms>',
        'silence after which a feed counts as stale, 0 for never (default: 30000)',
      ).argParser(wholeNumber(0, 2 ** 31 - 1)),
    )
    .addOption(
      new Option(
        '--subscribe-timeout <ms>',
        'how long a subscribe waits for the broker’s answer where a feed tells it, 0 for not at all (default: 1000)',
      ).argParser(wholeNumber(0, 2 ** 31 - 1)),
    )
    .addOption(
      new Option(
        '--snapshot-max-age <ms>',
        'age from which last values are not sent unasked (default: 10000)',
      ).argParser(wholeNumber(1, 2 ** 31 - 1)),
    )
    .addOption(
      new Option(
        '--wait <how>',
        'wait for ticks: spin takes a core for the lowest latency, sleep takes least power (default: adaptive)',
      ).choices(['spin', 'adaptive', 'sleep']),
    )
    .addOption(new Option('--log-level <level>', 'what goes to standard error').choices(LOG_LEVELS).default('info'))
    .addHelpText('after', HELP)
    .action((flags: ServeFlags) => serve(flags));
}

async function serve(flags: ServeFlags): Promise<void> {
  goOnWithoutOutput();
  const ending = endingSignal();
  warnOfWorkers(flags);
  const { WebSocketProxy } = await import('../../proxy/websocket-proxy.ts');
  const proxy = new WebSocketProxy(optionsOf(flags));
  if (ending.aborted) return;
  await proxy.start();
  keepMemorySmall();
  announce(flags, proxy.address()?.url);
  await aborted(ending);
  await proxy.stop();
}

function announce(flags: ServeFlags, url: string | undefined): void {
  const threads = threadsOf(flags);
  const together = threads > 1 ? ` ${threads} threads;` : '';
  process.stdout.write(`shared memory ${flags.ring} → ${url};${together} Ctrl-C ends it\n`);
  reportReady({ url });
}

function optionsOf(flags: ServeFlags): WebSocketProxyOptions {
  const { host, port, origins, snapshot, dashboard, highWaterMark, maxClients, staleAfter, logLevel, wait } = flags;
  const { subscribeTimeout, snapshotMaxAge } = flags;
  return {
    host,
    port,
    ring: { ...ringOptionsOf(flags), ...(wait === undefined ? {} : { wait }) },
    auth: authOf(flags),
    snapshot,
    threads: threadsOf(flags),
    dashboard,
    log: logLevel,
    ...(origins === undefined ? {} : { origins: origins.split(',').map((origin) => origin.trim()) }),
    ...(highWaterMark === undefined ? {} : { highWaterMark }),
    ...(maxClients === undefined ? {} : { limits: { clients: maxClients } }),
    ...(staleAfter === undefined ? {} : { staleAfter }),
    ...marketOptionsOf(flags),
    ...(subscribeTimeout === undefined ? {} : { subscribeTimeout }),
    ...(snapshotMaxAge === undefined ? {} : { snapshotMaxAge }),
  };
}

function authOf({
  keysFile,
  openalgoUrl,
  openalgoUser,
  keysSocket,
}: ServeFlags): NonNullable<WebSocketProxyOptions['auth']> {
  const socket = keysSocket === false ? undefined : keysSocket;
  const places = { 'keys-file': keysFile, 'openalgo-url': openalgoUrl, 'keys-socket': socket };
  const given = Object.entries(places).filter(([, place]) => place !== undefined);
  if (given.length > 1) {
    const names = given.map(([name]) => name).join(' and ');
    throw new OpenAlgoShmError('ERR_INVALID_OPTION', `${names} are set: keys come from one place`);
  }
  if (openalgoUser !== undefined && openalgoUrl === undefined) {
    throw new OpenAlgoShmError('ERR_INVALID_OPTION', 'openalgo-user is set without openalgo-url: give both');
  }
  if (keysFile !== undefined) return { file: keysFile };
  if (openalgoUrl !== undefined) {
    return { openalgo: openalgoUrl, ...(openalgoUser !== undefined && { userId: openalgoUser }) };
  }
  return socket === undefined ? 'none' : { socket };
}
