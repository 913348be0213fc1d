import { type Command, createCommand, Option } from 'commander';
import { whenNameIsFree } from '../../shm/busy-name.ts';
import { LockFreeRingBuffer, removeCompanions } from '../../shm/ring-buffer.ts';
import { ChildCommand } from '../child-process.ts';
import { Children } from '../children.ts';
import { colours } from '../colours.ts';
import { addForeignSettings } from '../configuration.ts';
import { aborted, endingSignal, reportReady } from '../ending.ts';
import { invocation } from '../invocation.ts';
import { KeptAlive } from '../kept-alive.ts';
import { addListenOptions, type ListenFlags } from '../listen-options.ts';
import { Checkout, flagsOfEnv } from '../openalgo/checkout.ts';
import { HostProcess } from '../openalgo/host-process.ts';
import { requireFree } from '../openalgo/ports.ts';
import { findPython } from '../openalgo/python.ts';
import { goOnWithoutOutput } from '../output.ts';
import { addRingOptions, ringArguments, type RingFlags } from '../ring-options.ts';
import { addThreadOptions, type ThreadFlags, threadsOf, warnOfWorkers } from '../thread-options.ts';

interface OpenAlgoFlags extends RingFlags, ListenFlags, ThreadFlags {
  python?: string;
  keys: boolean;
  logLevel: LogLevel;
  config?: string;
}

const LOG_LEVELS = ['error', 'warn', 'info', 'debug'] as const;
type LogLevel = (typeof LOG_LEVELS)[number];

/** What the levels are called in Python, and what the proxy logs: its notices of clients that come and go are for debugging. */
const HOST_LEVELS: Record<LogLevel, string> = { error: 'error', warn: 'warning', info: 'info', debug: 'debug' };
const PROXY_LEVELS: Record<LogLevel, string> = { error: 'error', warn: 'warn', info: 'warn', debug: 'info' };

/** The deepest book that OpenAlgo's adapters publish. */
const DEEPEST_BOOK = 50;

const HELP = `
Examples:
  $ openalgo-shm openalgo ~/openalgo                 port, host and bus as in ~/openalgo/.env
  $ openalgo-shm openalgo . --python .venv/bin/python
  $ openalgo-shm openalgo ~/openalgo --threads auto  as many delivery threads as there are cores to spare
  $ openalgo-shm openalgo ~/openalgo --no-keys       no keys: only for programs of this machine

Two processes in the place of OpenAlgo's WebSocket server: the adapter host runs OpenAlgo's broker adapter in its own
Python and publishes ticks into shared memory, the proxy reads it and serves OpenAlgo's clients. Either is started again
when it dies. Ctrl-C ends both.

In OpenAlgo's .env: APP_MODE='standalone', so that OpenAlgo does not start its own server. Its Python needs this package:
  $ ~/openalgo/.venv/bin/python -m pip install openalgo-shm

Host and port come from flags, environment and configuration as everywhere, else from WEBSOCKET_HOST and WEBSOCKET_PORT
in .env. The proxy also keeps to all settings of serve that stand in the environment or in the configuration file.`;

/** OpenAlgo's adapter host and the proxy, in the place of OpenAlgo's own WebSocket server. */
export function openalgoCommand(): Command {
  const command = createCommand('openalgo')
    .description('in the place of OpenAlgo’s WebSocket server: its broker adapter and the proxy together')
    .argument('<path>', 'OpenAlgo’s checkout: the folder with its .env');
  addListenOptions(command);
  addRingOptions(command, DEEPEST_BOOK);
  addThreadOptions(command);
  addForeignSettings(command, () => flagsOfEnv(command.args[0]!));
  return command
    .option('--python <file>', 'OpenAlgo’s Python (default: that of its environment, .venv or venv, else python3)')
    .option('--no-keys', 'clients need no key, only where nobody else can connect (default: OpenAlgo’s keys)')
    .addOption(new Option('--log-level <level>', 'what goes to standard error').choices(LOG_LEVELS).default('info'))
    .addHelpText('after', HELP)
    .action((path: string, _: OpenAlgoFlags, command: Command) => replaceServer(path, command.optsWithGlobals()));
}

async function replaceServer(path: string, flags: OpenAlgoFlags): Promise<void> {
  goOnWithoutOutput();
  const ending = endingSignal();
  warnOfWorkers(flags);
  const checkout = Checkout.open(path);
  const python = await findPython(checkout, flags.python, ending);
  if (python === undefined) return;
  await requireFree(flags, 'WEBSOCKET_PORT');
  await requireFree(checkout.bus, 'ZMQ_PORT');
  if (!checkout.leavesServerToOthers) warnOfServer(checkout);
  const children = new Children();
  try {
    const starting = start(flags, checkout, python, children, ending);
    starting.catch(() => {});
    const running = await Promise.race([starting, aborted(ending)]);
    if (running === undefined) return;
    printWelcome(flags, running);
    reportReady({ url: running.url });
    await Promise.race([running.proxy.keep(), running.host.keep()]);
  } finally {
    // The host first: what it has published still reaches the clients.
    await children.end();
    await removeRing(flags.ring);
  }
}

/** Strategies that read the ring keep it. */
async function removeRing(ring: string): Promise<void> {
  const isThere = LockFreeRingBuffer.list().some(({ name }) => name === ring);
  const isRemoved = isThere && (await whenNameIsFree(() => LockFreeRingBuffer.removeIfUnused(ring)));
  if (isRemoved) await whenNameIsFree(() => removeCompanions(ring));
}

interface Running {
  url: string;
  /** Broker and user, in the host's words. */
  session: string;
  proxy: KeptAlive<ChildCommand>;
  host: KeptAlive<HostProcess>;
}

/** Starts both, the proxy first: it creates the ring with all its options. */
async function start(
  flags: OpenAlgoFlags,
  checkout: Checkout,
  python: string,
  children: Children,
  ending: AbortSignal,
): Promise<Running> {
  let { port } = flags;
  const launchProxy = (): ChildCommand => new ChildCommand('proxy', proxyArguments({ ...flags, port }));
  const proxy = children.start(() => new KeptAlive('proxy', launchProxy, ending));
  const { url } = await proxy.child.ready;
  // One that was found when 0 was asked for stays for those who know it.
  port = Number(new URL(String(url)).port);
  const args = hostArguments(flags);
  const launchHost = (): HostProcess => new HostProcess({ python, folder: checkout.path, args });
  const host = children.start(() => new KeptAlive('host', launchHost, ending));
  const { session } = await host.child.ready;
  return { url: String(url), session, proxy, host };
}

function proxyArguments(flags: OpenAlgoFlags): string[] {
  return [
    'serve',
    `--host=${flags.host}`,
    `--port=${flags.port}`,
    `--threads=${threadsOf(flags)}`,
    `--log-level=${PROXY_LEVELS[flags.logLevel]}`,
    ...ringArguments(flags),
    ...(flags.config === undefined ? [] : [`--config=${flags.config}`]),
    ...(flags.keys ? ['--keys-socket'] : []),
  ];
}

function hostArguments({ ring, bufferSize, depthLevels, logLevel }: OpenAlgoFlags): string[] {
  return [
    `--buffer-name=${ring}`,
    `--buffer-size=${bufferSize}`,
    ...(depthLevels > 0 ? [`--depth-levels=${depthLevels}`] : []),
    `--log-level=${HOST_LEVELS[logLevel]}`,
  ];
}

function warnOfServer({ envPath }: Checkout): void {
  process.stderr.write(
    `openalgo-shm: warning: ${envPath} has no APP_MODE='standalone': OpenAlgo starts a WebSocket server of its own, which takes the port if it comes first\n`,
  );
}

function printWelcome({ ring, keys }: OpenAlgoFlags, { url, session, proxy, host }: Running): void {
  const again = invocation();
  const page = url.replace('ws', 'http');
  process.stdout.write(`${colours.bold('openalgo-shm')} runs in the place of OpenAlgo's WebSocket server

  host   ${session} (process ${host.child.pid})
  ring   shared memory ${colours.bold(ring)}
  proxy  ${colours.bold(url)}, ${keys ? "keys are OpenAlgo's" : 'no keys are asked for'} (process ${proxy.child.pid})

See that it works
  ${colours.cyan(`${page}/health`)}    whether ticks can be expected
  ${colours.cyan(`${page}/`)}    the market and the proxy on a page
  ${colours.cyan(`${again} stats --ring ${ring}`)}    what is published and read

Ctrl-C ends both.
`);
}
