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
  'synonyms',
  'members',
]);

/**
 * A tick to publish: the same one, its instrument completed by the default.
 * @throws OpenAlgoShmError `ERR_MALFORMED_LINE` for a tick of no instrument or without any value
 */
export function completeTick(tick: NormalisedTick, instrument: DefaultInstrument): Tick {
  if (!hasValue(tick)) {
    throw new OpenAlgoShmError('ERR_MALFORMED_LINE', 'holds no value of a tick, such as ltp');
  }
  if (tick.exchange === undefined && instrument.exchange !== undefined) tick.exchange = instrument.exchange;
  if (tick.symbol === undefined && instrument.symbol !== undefined) tick.symbol = instrument.symbol;
  if (hasSymbol(tick)) return tick;
  throw new OpenAlgoShmError('ERR_MALFORMED_LINE', 'names no symbol, and no default is given by the symbol option');
}

function hasValue(tick: NormalisedTick): boolean {
  for (const name in tick) if (!NAMES_AND_TIMES.has(name)) return true;
  return false;
}

/** True for a tick that says which symbol it is of. */
export function hasSymbol(tick: NormalisedTick): tick is Tick {
  return tick.symbol !== undefined;
}
