import { OpenAlgoShmError } from '../errors.ts';
import type { Tick } from '../message.ts';
import type { NormalisedTick } from './dialect.ts';

/** Reads one file, in order, some lines at a time. What holds no tick is told to the report of the file. */
export interface TickReader {
  /** The ticks that are complete with these lines, the first of which has the number `firstLine`. */
  read(lines: readonly string[], firstLine: number): Iterable<Tick>;
  /** Those that are left when the last line was read. */
  end(): Iterable<Tick>;
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
