import { type Command, createCommand, Option } from 'commander';
import type { TickView } from '../../shm/tick-view.ts';
import { aborted, endingSignal } from '../ending.ts';
import { count, counted } from '../figures.ts';
import { LiveScreen } from '../live-screen.ts';
import { wholeNumber } from '../option-values.ts';
import { ringOption } from '../ring-options.ts';
import { RingReader } from '../ring-reader.ts';
import { tickJson, tickLine } from '../tick-line.ts';
import { SORT_KEYS, TickRows, type SortKey } from '../tick-rows.ts';
import { screenOf } from '../tick-screen.ts';
import { TopicFilter } from '../topic-filter.ts';

interface WatchFlags {
  ring: string;
  filter?: string;
  sort: SortKey;
  reverse?: true;
  depth?: number | true;
  interval: number;
  count?: number;
  from: 'newest' | 'oldest';
  json?: true;
}

const HELP = `
Examples:
  $ openalgo-shm watch                              every instrument, newest figures
  $ openalgo-shm watch RELIANCE TCS --depth         two of them, with their books
  $ openalgo-shm watch 'NFO:*' --sort oi            open interest, largest first
  $ openalgo-shm watch --filter ce --sort change --reverse
  $ openalgo-shm watch RELIANCE --count 10 --json | jq .ltp

Reads shared memory itself, no proxy is needed. On a terminal a live table; in a pipe one line a tick.`;

const DEFAULT_DEPTH = 5;

/** The ticks themselves, straight from the ring. */
export function watchCommand(): Command {
  return createCommand('watch')
    .description('ticks straight from shared memory: a live table, or lines in a pipe')
    .argument('[symbol...]', 'RELIANCE, NSE:RELIANCE, or with wildcards NIFTY* (default: all)')
    .addOption(ringOption())
    .option('--filter <text>', 'only instruments that contain this')
    .addOption(new Option('--sort <column>', 'order of the rows').choices(SORT_KEYS).default('symbol'))
    .option('--reverse', 'the other way round')
    .addOption(new Option('--depth [levels]', 'show books, this many levels (5)').argParser(wholeNumber(1, 200)))
    .addOption(
      new Option('--interval <ms>', 'time between two drawings').default(500).argParser(wholeNumber(50, 60_000)),
    )
    .addOption(new Option('--count <n>', 'end after this many ticks').argParser(wholeNumber(1, 2 ** 31)))
    .addOption(
      new Option('--from <place>', 'begin with ticks to come or with those still there')
        .choices(['newest', 'oldest'])
        .default('newest'),
    )
    .option('--json', 'one line of JSON a tick')
    .addHelpText('after', HELP)
    .action((symbols: string[], flags: WatchFlags) => watch(symbols, flags));
}

async function watch(symbols: readonly string[], flags: WatchFlags): Promise<void> {
  const ending = endingSignal();
  const filter = new TopicFilter(symbols, flags.filter);
  const depth = flags.depth === true ? DEFAULT_DEPTH : (flags.depth ?? 0);
  const enough = new AbortController();
  const live = process.stdout.isTTY && flags.json !== true;
  const view = live ? new LiveView(flags, depth) : new LineView(flags.json === true, depth);
  let seen = 0;
  const reader = new RingReader(flags.ring, flags.from, (tick) => {
    if (enough.signal.aborted || !filter.matches(tick.exchange, tick.symbol)) return;
    view.show(tick);
    if (++seen === flags.count) enough.abort();
  });
  view.begin(reader);
  await Promise.race([aborted(ending), aborted(enough.signal)]);
  const { lost } = reader;
  view.end();
  reader.close();
  if (lost > 0) process.stderr.write(`${counted(lost, 'tick')} came faster than they could be shown\n`);
}

/** One line a tick. */
class LineView {
  readonly #json: boolean;
  readonly #depth: number;

  constructor(json: boolean, depth: number) {
    this.#json = json;
    this.#depth = depth;
  }

  begin(): void {}

  show(tick: TickView): void {
    process.stdout.write(`${this.#json ? tickJson(tick) : tickLine(tick, this.#depth)}\n`);
  }

  end(): void {}
}

/** A table that is drawn again at an interval. */
class LiveView {
  readonly #rows = new TickRows();
  readonly #screen = new LiveScreen();
  readonly #flags: WatchFlags;
  readonly #depth: number;
  #ticks = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(flags: WatchFlags, depth: number) {
    this.#flags = flags;
    this.#depth = depth;
  }

  begin(reader: RingReader): void {
    let before = 0;
    const { ring, sort, reverse, interval } = this.#flags;
    this.#timer = setInterval(() => {
      const rate = ((this.#ticks - before) * 1000) / interval;
      before = this.#ticks;
      const state = reader.attached ? `${count(rate)} ticks/s` : 'the ring was removed; waiting for it to come back';
      const lost = reader.lost > 0 ? `, ${count(reader.lost)} missed` : '';
      this.#screen.draw(
        screenOf(this.#rows.sorted(sort, reverse === true), {
          title: `${ring}: ${counted(this.#rows.size, 'instrument')}, ${state}${lost}`,
          footer: `sorted by ${sort}, Ctrl-C ends`,
          lines: this.#screen.lines,
          columns: this.#screen.columns,
          depth: this.#depth,
          nowNs: Number(process.hrtime.bigint()),
        }),
      );
    }, interval);
  }

  show(tick: TickView): void {
    this.#ticks++;
    this.#rows.update(tick);
  }

  end(): void {
    clearInterval(this.#timer);
    this.#screen.close();
  }
}
