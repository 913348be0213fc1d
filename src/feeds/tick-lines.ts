import { OpenAlgoShmError } from '../errors.ts';
import type { Tick } from '../message.ts';
import type { NormalisedTick } from './dialect.ts';

/** Reads the lines of one file, in order. */
export interface TickLines {
  /**
   * The tick on a line, or undefined where the line holds none and is right so: a header, a message of another kind.
   * @throws OpenAlgoShmError for a line that is malformed; `ERR_INVALID_OPTION` where no line can be read without
   *   another option
   */
  parse(line: string): Tick | undefined;
}

/** Which instrument a tick is of where its line does not say. */
export interface DefaultInstrument {
  symbol?: string;
  exchange?: string;
}

const NAMES_AND_TIMES: ReadonlySet<string> = new Set([
  'symbol',
  'exchange',
  'type',
  'timestamp',
  'exchangeTimestamp',
  'ltt',
  'seq',
]);

/**
 * A tick to publish, its instrument completed by the default.
 * @throws OpenAlgoShmError `ERR_MALFORMED_LINE` for a tick of no instrument or without any value
 */
export function completeTick(tick: NormalisedTick, instrument: DefaultInstrument): Tick {
  const symbol = tick.symbol ?? instrument.symbol;
  if (symbol === undefined) {
    throw new OpenAlgoShmError('ERR_MALFORMED_LINE', 'names no symbol, and no default is given by the symbol option');
  }
  if (!Object.keys(tick).some((name) => !NAMES_AND_TIMES.has(name))) {
    throw new OpenAlgoShmError('ERR_MALFORMED_LINE', 'holds no value of a tick, such as ltp');
  }
  const exchange = tick.exchange ?? instrument.exchange;
  return exchange === undefined ? { ...tick, symbol } : { ...tick, symbol, exchange };
}
