import { type Command, createCommand, Option } from 'commander';
import { OpenAlgoShmError } from '../../errors.ts';
import { whenNameIsFree } from '../../shm/busy-name.ts';
import { companionsOf, LockFreeRingBuffer, removeCompanions } from '../../shm/ring-buffer.ts';
import { ChildCommand, ChildFailure } from '../child-process.ts';
import { Children } from '../children.ts';
import { colours } from '../colours.ts';
import { aborted, endingSignal, reportReady } from '../ending.ts';
import { count, counted } from '../figures.ts';
import { invocation } from '../invocation.ts';
import { addListenOptions, type ListenFlags } from '../listen-options.ts';
import { positiveOrMax, wholeNumber } from '../option-values.ts';
import { ProgressLine } from '../progress-line.ts';
import { addRingOptions, ringArguments, type RingFlags } from '../ring-options.ts';

interface StartFlags extends RingFlags, ListenFlags {
  rate: number | 'max';
  symbols?: number;
  config?: string;
}

const HELP = `
Examples:
  $ openalgo-shm start                 a simulated market on ws://127.0.0.1:8765
  $ openalgo-shm start --rate max      as many ticks as this machine makes
  $ openalgo-shm start --port 9000 --ring demo

Two processes: one simulates a market and publishes into shared memory, the other reads it and serves WebSocket
clients. Ctrl-C ends both and removes the shared memory. With a broker of your own, use serve and a feed.`;

/** The embedded default: a simulated feed and a proxy, each in its own process. */
export function startCommand(): Command {
  const command = createCommand('start').description('simulated feed and proxy together: see it work in one command');
  addListenOptions(command);
  addRingOptions(command);
  return command
    .addOption(
      new Option('--rate <n>', 'ticks a second of the simulated market, or max').default(100).argParser(positiveOrMax),
    )
    .addOption(
      new Option('--symbols <n>', 'instruments of the simulated market (default: 56)').argParser(
        wholeNumber(1, 100_000),
      ),
    )
    .addHelpText('after', HELP)
    .action((_: StartFlags, command: Command) => start(command.optsWithGlobals()));
}

async function start(flags: StartFlags): Promise<void> {
  const ending = endingSignal();
  const wasThere = isThere(flags.ring);
  const children = new Children();
  const launch = (name: string, args: string[]): ChildCommand => {
    const config = flags.config === undefined ? [] : [`--config=${flags.config}`];
    return children.start(() => new ChildCommand(name, [...args, ...config]));
  };
  // For an end that waits for nothing, as when nobody reads what is printed.
  const leaveNothing = (): void => {
    children.kill();
    if (!wasThere) removeAtOnce(flags.ring);
  };
  process.once('exit', leaveNothing);
  try {
    const starting = startBoth(flags, launch);
    starting.catch(() => {});
    const running = await Promise.race([starting, aborted(ending)]);
    if (running === undefined) return;
    printWelcome(flags, running);
    reportReady({ url: running.url, instruments: running.instruments });
    const stopProgress = showProgress(flags.ring);
    const first = await Promise.race([
      aborted(ending),
      ...[running.proxy, running.feed].map(async (child) => ({ child, code: await child.ended })),
    ]);
    stopProgress();
    if (first !== undefined) throw new ChildFailure(first.child.name, first.code);
  } finally {
    // The feed first: what it has published still reaches the clients.
    await children.end();
    process.off('exit', leaveNothing);
    if (await removeRing(flags.ring, wasThere)) process.stdout.write(`removed shared memory ${flags.ring}\n`);
  }
}

interface Running {
  url: string;
  instruments: number;
  proxy: ChildCommand;
  feed: ChildCommand;
}

/** Starts the proxy, and the feed once the proxy has created the ring. */
async function startBoth(flags: StartFlags, launch: (name: string, args: string[]) => ChildCommand): Promise<Running> {
  const ring = ringArguments(flags);
  const proxy = launch('proxy', ['serve', `--host=${flags.host}`, `--port=${flags.port}`, '--log-level=warn', ...ring]);
  const { url } = await proxy.ready;
  const symbols = flags.symbols === undefined ? [] : [`--symbols=${flags.symbols}`];
  const feed = launch('feed', ['feed', 'simulated', `--rate=${flags.rate}`, ...symbols, ...ring]);
  const { instruments } = await feed.ready;
  return { url: String(url), instruments: Number(instruments), proxy, feed };
}

function isThere(ring: string): boolean {
  return LockFreeRingBuffer.list().some(({ name }) => name === ring);
}

/** Removes the ring and those beside it, unless it was there before and others hold it; true if it was removed. */
async function removeRing(ring: string, wasThere: boolean): Promise<boolean> {
  if (!isThere(ring)) return removeUnfinished(ring);
  const remove = wasThere ? LockFreeRingBuffer.removeIfUnused : LockFreeRingBuffer.unlink;
  const removed = await whenNameIsFree(() => remove(ring));
  await whenNameIsFree(() => removeCompanions(ring));
  return removed;
}

/** Removes them though the processes that were just killed may not have let go yet. */
function removeAtOnce(ring: string): void {
  for (const name of [ring, ...companionsOf(ring)]) if (isThere(name)) LockFreeRingBuffer.unlink(name);
}

/** What a process has left that was killed while it created the ring. Anything else under that name stays. */
function removeUnfinished(ring: string): boolean {
  try {
    return LockFreeRingBuffer.removeIfUnused(ring);
  } catch (error) {
    if (error instanceof OpenAlgoShmError) return false;
    throw error;
  }
}

function showProgress(ring: string): () => void {
  const line = new ProgressLine();
  if (!line.visible) return () => {};
  const buffer = LockFreeRingBuffer.open(ring);
  let before = 0;
  const stop = line.refresh(1000, () => {
    const { publishers, subscribers } = buffer.stats();
    const published = publishers.reduce((sum, { messagesPublished }) => sum + messagesPublished, 0);
    const rate = before === 0 ? 0 : published - before;
    before = published;
    return `${counted(published, 'tick')} published, ${count(rate)}/s, ${counted(subscribers.length, 'reader')}`;
  });
  return () => {
    stop();
    buffer.close();
  };
}

function printWelcome(flags: StartFlags, { url, instruments, proxy, feed }: Running): void {
  const again = invocation();
  const pace = flags.rate === 'max' ? 'as fast as it can' : `${count(flags.rate)} ticks a second`;
  process.stdout.write(`${colours.bold('openalgo-shm')} is running

  feed   a simulated market of ${instruments} instruments, ${pace} (process ${feed.pid})
  ring   shared memory ${colours.bold(flags.ring)}
  proxy  ${colours.bold(url)} (process ${proxy.pid})

Try next
  in a browser:
    ${colours.cyan(`${url.replace('ws', 'http')}/`)}    the market and the proxy on a page
  or in its console:
    ${colours.cyan(`const ws = new WebSocket('${url}');`)}
    ${colours.cyan(`ws.onopen = () => ws.send('{"action":"subscribe","symbol":"RELIANCE"}');`)}
    ${colours.cyan('ws.onmessage = (event) => console.log(event.data);')}
  in another terminal:
    ${colours.cyan(`${again} watch RELIANCE`)}    ticks straight from shared memory
    ${colours.cyan(`${again} stats`)}             what the proxy has counted

Ctrl-C ends both and removes the shared memory.
`);
}
