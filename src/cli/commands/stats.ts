import { setTimeout as sleep } from 'node:timers/promises';
import { type Command, createCommand, Option } from 'commander';
import { LockFreeRingBuffer } from '../../shm/ring-buffer.ts';
import { endingSignal } from '../ending.ts';
import { DEFAULT_HOST, DEFAULT_PORT } from '../listen-options.ts';
import { LiveScreen } from '../live-screen.ts';
import { httpUrl, wholeNumber } from '../option-values.ts';
import { fetchStats } from '../proxy-figures.ts';
import { ringReport } from '../ring-figures.ts';
import { proxyScreen, ringScreen } from '../stats-screen.ts';

interface StatsFlags {
  url: string;
  apiKey?: string;
  ring?: string;
  json?: true;
  follow?: true;
  interval: number;
}

/** Figures, and how they look to people. */
interface Figures {
  report: object;
  screen: () => string;
}

const HELP = `
Examples:
  $ openalgo-shm stats                          the proxy on 127.0.0.1:8765
  $ openalgo-shm stats --url http://host:9000
  $ openalgo-shm stats --ring ws_proxy_buffer   the ring itself; no proxy is needed
  $ openalgo-shm stats --follow                 again every second
  $ openalgo-shm stats --json | jq .publishers`;

/** What a proxy or a ring has counted. */
export function statsCommand(): Command {
  return createCommand('stats')
    .description('the figures of a proxy or of a ring')
    .addOption(
      new Option('--url <url>', 'address of the proxy')
        .default(`http://${DEFAULT_HOST}:${DEFAULT_PORT}`)
        .argParser(httpUrl),
    )
    .option('--api-key <key>', 'key for a proxy that wants one; better as OPENALGO_SHM_API_KEY')
    .addOption(new Option('--ring <name>', 'read this ring itself instead').conflicts('url'))
    .option('--json', 'print JSON, with --follow one object a line')
    .option('--follow', 'again and again, until Ctrl-C')
    .addOption(
      new Option('--interval <ms>', 'time between two looks').default(1000).argParser(wholeNumber(50, 3_600_000)),
    )
    .addHelpText('after', HELP)
    .action((flags: StatsFlags, command: Command) => stats(flags, chosenRing(flags, command)));
}

/** The ring, if the user asked for one here: that the environment names a ring is no such question. */
function chosenRing({ ring }: StatsFlags, command: Command): string | undefined {
  return command.getOptionValueSource('ring') === 'cli' ? ring : undefined;
}

async function stats({ url, apiKey, json, follow, interval }: StatsFlags, ring: string | undefined): Promise<void> {
  const look = ring === undefined ? () => ofProxy(url, apiKey) : () => ofRing(ring);
  if (follow !== true) {
    const { report, screen } = await look();
    process.stdout.write(json === true ? `${JSON.stringify(report, undefined, 2)}\n` : `${screen()}\n`);
    return;
  }
  await followFigures(look, interval, json === true);
}

async function followFigures(look: () => Promise<Figures>, interval: number, json: boolean): Promise<void> {
  const ending = endingSignal();
  const terminal = process.stdout.isTTY && !json ? new LiveScreen() : undefined;
  try {
    while (!ending.aborted) {
      const { report, screen } = await look();
      if (terminal !== undefined) terminal.draw(screen());
      else process.stdout.write(json ? `${JSON.stringify(report)}\n` : `${screen()}\n\n`);
      await sleep(interval, undefined, { signal: ending }).catch(() => {});
    }
  } finally {
    terminal?.close();
  }
}

async function ofProxy(url: string, apiKey: string | undefined): Promise<Figures> {
  const report = await fetchStats(url, apiKey);
  return { report, screen: () => proxyScreen(url, report) };
}

async function ofRing(name: string): Promise<Figures> {
  const buffer = LockFreeRingBuffer.open(name);
  try {
    const report = ringReport(buffer.stats(), Number(process.hrtime.bigint()));
    return { report, screen: () => ringScreen(report) };
  } finally {
    buffer.close();
  }
}
