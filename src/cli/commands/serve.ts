import { type Command, createCommand, Option } from 'commander';
import type { AuthOption } from '../../proxy/auth.ts';
import { aborted, endingSignal, reportReady } from '../ending.ts';
import { addListenOptions, type ListenFlags } from '../listen-options.ts';
import { byteSize, wholeNumber } from '../option-values.ts';
import { addRingOptions, ringOptionsOf, type RingFlags } from '../ring-options.ts';

interface ServeFlags extends RingFlags, ListenFlags {
  keysFile?: string;
  openalgoUrl?: string;
  origins?: string;
  snapshot: boolean;
  highWaterMark?: number;
  maxClients?: number;
  staleAfter?: number;
  logLevel: (typeof LOG_LEVELS)[number];
}

const LOG_LEVELS = ['silent', 'error', 'warn', 'info', 'debug', 'trace'] as const;

const HELP = `
Examples:
  $ openalgo-shm serve                                     ws://127.0.0.1:8765, everybody on this machine
  $ openalgo-shm serve --ring demo --port 9000 --depth-levels 20
  $ openalgo-shm serve --host 0.0.0.0 --keys-file keys.txt      others too, if they know a key
  $ openalgo-shm serve --openalgo-url http://127.0.0.1:5000     keys are those of OpenAlgo's users

Also there: GET /stats, /health, /snapshot. It needs a feed: openalgo-shm feed simulated, or a broker's adapter.
Proxy and feed may start in any order. Listening elsewhere than on this machine needs keys.`;

/** The proxy alone. */
export function serveCommand(): Command {
  const command = createCommand('serve').description('the proxy: from the ring to WebSocket clients');
  addListenOptions(command);
  addRingOptions(command);
  return command
    .addOption(new Option('--keys-file <file>', 'clients need a key of this file, one a line').conflicts('openalgoUrl'))
    .option('--openalgo-url <url>', 'clients need a key that this OpenAlgo server knows')
    .option('--origins <list>', 'origins whose pages may connect, separated by commas; * for all')
    .option('--no-snapshot', 'do not send the last tick at once when a client subscribes')
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
    .addOption(new Option('--log-level <level>', 'what goes to standard error').choices(LOG_LEVELS).default('info'))
    .addHelpText('after', HELP)
    .action((flags: ServeFlags) => serve(flags));
}

async function serve(flags: ServeFlags): Promise<void> {
  const ending = endingSignal();
  const { WebSocketProxy } = await import('../../proxy/websocket-proxy.ts');
  const { host, port, ring, origins, snapshot, highWaterMark, maxClients, staleAfter, logLevel } = flags;
  const proxy = new WebSocketProxy({
    host,
    port,
    ring: ringOptionsOf(flags),
    auth: authOf(flags),
    snapshot,
    log: logLevel,
    ...(origins === undefined ? {} : { origins: origins.split(',').map((origin) => origin.trim()) }),
    ...(highWaterMark === undefined ? {} : { highWaterMark }),
    ...(maxClients === undefined ? {} : { limits: { clients: maxClients } }),
    ...(staleAfter === undefined ? {} : { staleAfter }),
  });
  await proxy.start();
  const url = proxy.address()?.url;
  process.stdout.write(`shared memory ${ring} → ${url}; Ctrl-C ends it\n`);
  reportReady({ url });
  await aborted(ending);
  await proxy.stop();
}

function authOf({ keysFile, openalgoUrl }: ServeFlags): AuthOption {
  if (keysFile !== undefined) return { file: keysFile };
  return openalgoUrl === undefined ? 'none' : { openalgo: openalgoUrl };
}
