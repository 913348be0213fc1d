import { OpenAlgoShmError } from '../errors.ts';
import { MAX_DEPTH_LEVELS, type Mode, type Tick } from '../message.ts';
import { simulatedInstruments } from './instruments.ts';
import { PricedInstrument } from './priced-instrument.ts';
import { RandomStream } from './random.ts';

export interface SimulatedMarketOptions {
  /** How many instruments, at most 100,000. Default 56: shares, indices, futures and two option chains. */
  symbols?: number;
  /** Levels of each side of a book, 0 to 200. Default 5. */
  depthLevels?: number;
  /** The same seed gives the same market. Default: another market each time. */
  seed?: number;
  /** The market's clock, in ms since 1970. Default `Date.now`. */
  now?: () => number;
}

/** How often an instrument of each kind trades, compared with an option. */
const ACTIVITY = { index: 3, share: 2, future: 2, option: 1 } as const;
/** The modes of one instrument's successive ticks. The first is whole, so that nobody starts blind. */
const MODES: readonly Mode[] = [3, 1, 2];

interface Quoted {
  readonly priced: PricedInstrument;
  ticks: number;
}

/**
 * A market that nobody trades in: prices walk at random, contracts follow their underlyings, books, volumes and the
 * figures of the day agree with the prices. Prices are multiples of 0.05.
 */
export class SimulatedMarket {
  readonly #now: () => number;
  readonly #quoted: readonly Quoted[];
  /** Who trades when: each instrument once, then each as often as it is active, over and over. */
  readonly #schedule: readonly Quoted[];
  #position = 0;

  /** @throws OpenAlgoShmError `ERR_INVALID_OPTION` */
  constructor(options: SimulatedMarketOptions = {}) {
    const { depthLevels = 5, seed = Date.now(), now = Date.now } = options;
    if (!Number.isInteger(depthLevels) || depthLevels < 0 || depthLevels > MAX_DEPTH_LEVELS) {
      throw new OpenAlgoShmError(
        'ERR_INVALID_OPTION',
        `depthLevels must be a whole number from 0 to ${MAX_DEPTH_LEVELS}, got ${depthLevels}`,
      );
    }
    if (!Number.isInteger(seed)) {
      throw new OpenAlgoShmError('ERR_INVALID_OPTION', `seed must be a whole number, got ${seed}`);
    }
    const random = new RandomStream(seed);
    this.#now = now;
    this.#quoted = priceAll(simulatedInstruments(now(), options.symbols), depthLevels, random);
    this.#schedule = random.shuffle(this.#quoted.flatMap((quoted) => timesActive(quoted)));
  }

  /** Symbol and exchange of every instrument. */
  get instruments(): readonly { readonly symbol: string; readonly exchange: string }[] {
    return this.#quoted.map(({ priced }) => priced.instrument);
  }

  /** The next tick of the market. The first ones are a whole tick of each instrument. */
  next(): Tick {
    const quoted = this.#whoTrades();
    const mode = MODES[quoted.ticks % MODES.length] as Mode;
    quoted.ticks++;
    quoted.priced.step();
    return quoted.priced.tick(mode, this.#now());
  }

  /** The next `count` ticks. */
  take(count: number): Tick[] {
    return Array.from({ length: count }, () => this.next());
  }

  #whoTrades(): Quoted {
    const opening = this.#quoted[this.#position];
    const position = this.#position++;
    if (opening !== undefined) return opening;
    return this.#schedule[(position - this.#quoted.length) % this.#schedule.length] as Quoted;
  }
}

function priceAll(
  instruments: ReturnType<typeof simulatedInstruments>,
  depthLevels: number,
  random: RandomStream,
): Quoted[] {
  const bySymbol = new Map<string, PricedInstrument>();
  return instruments.map((instrument) => {
    const underlying = 'underlying' in instrument ? bySymbol.get(instrument.underlying.symbol) : undefined;
    const priced = new PricedInstrument(instrument, underlying, depthLevels, random);
    bySymbol.set(instrument.symbol, priced);
    return { priced, ticks: 0 };
  });
}

function timesActive(quoted: Quoted): Quoted[] {
  return Array.from({ length: ACTIVITY[quoted.priced.instrument.kind] }, () => quoted);
}
