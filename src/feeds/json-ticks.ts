import { OpenAlgoShmError } from '../errors.ts';
import type { Tick } from '../message.ts';
import type { TickNormaliser } from './dialect.ts';
import { isRecord, type RawRecord } from './dialect-values.ts';
import { parsePythonJson } from './python-json.ts';
import { completeTick, type DefaultInstrument, type TickLines } from './tick-lines.ts';

/** Messages of OpenAlgo's protocol that are no ticks, as a recording of a client's session has them too. */
const OTHER_MESSAGES: ReadonlySet<unknown> = new Set([
  'auth',
  'subscribe',
  'unsubscribe',
  'subscribe_orders',
  'unsubscribe_orders',
  'order_update',
  'broker_info',
  'supported_brokers',
  'pong',
  'error',
  'skipped',
  'feed_status',
]);

/**
 * Ticks as lines of JSON: the dictionaries of OpenAlgo's adapters, or whole `market_data` messages. Other messages of
 * the protocol are passed over.
 */
export class JsonTicks implements TickLines {
  readonly #normaliser: TickNormaliser;
  readonly #instrument: DefaultInstrument;

  constructor(normaliser: TickNormaliser, instrument: DefaultInstrument) {
    this.#normaliser = normaliser;
    this.#instrument = instrument;
  }

  parse(line: string): Tick | undefined {
    const message = parseObject(line);
    // A last value is no tick of the moment at which it came.
    if (message['type'] === 'market_data' && message['snapshot'] === true) return undefined;
    if (message['type'] === 'market_data')
      return completeTick(this.#normaliser.normalise(tickOf(message)), this.#instrument);
    if (OTHER_MESSAGES.has(message['type']) || message['status'] === 'error') return undefined;
    return completeTick(this.#normaliser.normalise(message), this.#instrument);
  }
}

function parseObject(line: string): RawRecord {
  let value: unknown;
  try {
    value = parsePythonJson(line);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new OpenAlgoShmError('ERR_MALFORMED_LINE', `is no JSON: ${reason}`, { cause: error });
  }
  if (isRecord(value)) return value;
  throw new OpenAlgoShmError('ERR_MALFORMED_LINE', 'is JSON, but no object');
}

/**
 * The tick inside a `market_data` message. The message says whose it is; the tick itself says of which mode it was
 * made, since the message has the mode of the subscriber.
 */
function tickOf(message: RawRecord): RawRecord {
  const { symbol, exchange, mode, data } = message;
  if (!isRecord(data)) throw new OpenAlgoShmError('ERR_MALFORMED_LINE', 'is market_data without an object "data"');
  return { mode, ...data, symbol: symbol ?? data['symbol'], exchange: exchange ?? data['exchange'] };
}
