import { type Command, createCommand, Option } from 'commander';
import { OpenAlgoShmError } from '../../errors.ts';
import type { WorkerOptions } from '../../proxy/workers/messages.ts';
import type { Wait } from '../../shm/options.ts';
import { aborted, endingSignal, reportReady } from '../ending.ts';
import { addListenOptions, type ListenFlags } from '../listen-options.ts';
import { byteSize, wholeNumber, workerCount } from '../option-values.ts';
import { addRingOptions, ringOptionsOf, type RingFlags } from '../ring-options.ts';

interface ServeFlags extends RingFlags, ListenFlags {
  keysFile?: string;
  keysSocket?: string | boolean;
  openalgoUrl?: string;
  origins?: string;
  wait?: Wait;
  snapshot: boolean;
  dashboard: boolean;
  highWaterMark?: number;
  maxClients?: number;
  staleAfter?: number;
  subscribeTimeout?: number;
  workers: number;
  logLevel: (typeof LOG_LEVELS)[number];
}

const LOG_LEVELS = ['silent', 'error', 'warn', 'info', 'debug', 'trace'] as const;

const HELP = `
Examples:
  $ openalgo-shm serve                                     ws://127.0.0.1:8765, everybody on this machine
  $ openalgo-shm serve --ring demo --port 9000 --depth-levels 20
  $ openalgo-shm serve --workers auto                      as many processes on the port as there are cores
  $ openalgo-shm serve --host 0.0.0.0 --keys-file keys.txt      others too, if they know a key
  $ openalgo-shm serve --openalgo-url http://127.0.0.1:5000     keys are those of OpenAlgo's users
  $ openalgo-shm serve --keys-socket                            the same, asked of OpenAlgo's adapter host

Also there: a dashboard at /; GET /stats, /health, /snapshot, /topics, /metrics, /openapi.json, /asyncapi.json.
It needs a feed: openalgo-shm feed simulated, or a broker's adapter.
Proxy and feed may start in any order. Listening elsewhere than on this machine needs keys.`;

/** The proxy alone. */
export function serveCommand(): Command {
  const command = createCommand('serve').description('the proxy: from the ring to WebSocket clients');
  addListenOptions(command);
  addRingOptions(command);
  return command
    .addOption(new Option('--keys-file <file>', 'clients need a key of this file, one a line').conflicts('openalgoUrl'))
    .option('--openalgo-url <url>', 'clients need a key that this OpenAlgo server knows')
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
      new Option('--workers <n>', 'processes that share the port, auto for one a core; limits hold for each')
        .default(1)
        .argParser(workerCount),
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
  if (flags.workers > 1) await serveTogether(flags);
  else await serveAlone(flags);
}

async function serveAlone(flags: ServeFlags): Promise<void> {
  const ending = endingSignal();
  const { WebSocketProxy } = await import('../../proxy/websocket-proxy.ts');
  const proxy = new WebSocketProxy(optionsOf(flags));
  await proxy.start();
  announce(flags, proxy.address()?.url);
  await aborted(ending);
  await proxy.stop();
}

async function serveTogether(flags: ServeFlags): Promise<void> {
  const ending = endingSignal();
  const { WorkerPool } = await import('../../proxy/workers/worker-pool.ts');
  const pool = new WorkerPool(flags.workers, optionsOf(flags));
  const address = await Promise.race([pool.start(), aborted(ending)]);
  try {
    if (address === undefined) return;
    announce(flags, address.url);
    await Promise.race([aborted(ending), pool.failed]);
  } finally {
    await pool.stop();
  }
}

function announce({ ring, workers }: ServeFlags, url: string | undefined): void {
  const together = workers > 1 ? ` ${workers} workers;` : '';
  process.stdout.write(`shared memory ${ring} → ${url};${together} Ctrl-C ends it\n`);
  reportReady({ url });
}

function optionsOf(flags: ServeFlags): WorkerOptions {
  const { host, port, origins, snapshot, dashboard, highWaterMark, maxClients, staleAfter, logLevel, wait } = flags;
  const { subscribeTimeout } = flags;
  return {
    host,
    port,
    ring: { ...ringOptionsOf(flags), ...(wait === undefined ? {} : { wait }) },
    auth: authOf(flags),
    snapshot,
    dashboard,
    log: logLevel,
    ...(origins === undefined ? {} : { origins: origins.split(',').map((origin) => origin.trim()) }),
    ...(highWaterMark === undefined ? {} : { highWaterMark }),
    ...(maxClients === undefined ? {} : { limits: { clients: maxClients } }),
    ...(staleAfter === undefined ? {} : { staleAfter }),
    ...(subscribeTimeout === undefined ? {} : { subscribeTimeout }),
  };
}

function authOf({ keysFile, openalgoUrl, keysSocket }: ServeFlags): NonNullable<WorkerOptions['auth']> {
  const socket = keysSocket === false ? undefined : keysSocket;
  const places = { 'keys-file': keysFile, 'openalgo-url': openalgoUrl, 'keys-socket': socket };
  const given = Object.entries(places).filter(([, place]) => place !== undefined);
  if (given.length > 1) {
    const names = given.map(([name]) => name).join(' and ');
    throw new OpenAlgoShmError('ERR_INVALID_OPTION', `${names} are set: keys come from one place`);
  }
  if (keysFile !== undefined) return { file: keysFile };
  if (openalgoUrl !== undefined) return { openalgo: openalgoUrl };
  return socket === undefined ? 'none' : { socket };
}
