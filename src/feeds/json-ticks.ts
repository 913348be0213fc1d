import { OpenAlgoShmError } from '../errors.ts';
import type { Tick } from '../message.ts';
import type { TickNormaliser } from './dialect.ts';
import { isRecord, type RawRecord } from './dialect-values.ts';
import type { FileReport } from './file-report.ts';
import { JsonObjects, type JsonObject } from './json-objects.ts';
import { parseLooseJson } from './loose-json.ts';
import { OVERLONG_LINE } from './text-lines.ts';
import { completeTick, type DefaultInstrument, type TickReader } from './tick-lines.ts';

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
 * Ticks as JSON: the dictionaries of OpenAlgo's adapters, or whole `market_data` messages, as JSON or as Python prints
 * them. Other messages of the protocol are passed over. A value a line, or objects in an array or over several lines.
 */
export class JsonTicks implements TickReader {
  readonly #normaliser: TickNormaliser;
  readonly #instrument: DefaultInstrument;
  readonly #report: FileReport;
  readonly #objects = new JsonObjects();

  constructor(normaliser: TickNormaliser, instrument: DefaultInstrument, report: FileReport) {
    this.#normaliser = normaliser;
    this.#instrument = instrument;
    this.#report = report;
  }

  /** A line is a tick, or a list of them. */
  *read(lines: readonly string[], firstLine: number): Generator<Tick> {
    for (const [index, line] of lines.entries()) {
      const number = firstLine + index;
      const value = this.#report.attempt(number, line, () => valueOn(line));
      if (value === undefined) continue;
      if (Array.isArray(value) && value.length === 0) this.#report.progress.passedOver++;
      for (const message of Array.isArray(value) ? value : [value]) {
        const tick = this.#report.take(number, line, () => this.#tickOf(message));
        if (tick !== undefined) yield tick;
      }
    }
  }

  *end(): Generator<Tick> {}

  /** The ticks of a piece of a text whose objects do not keep to lines. Objects are counted as lines. */
  readPiece(piece: string): Generator<Tick> {
    return this.#ticksOf(this.#objects.read(piece));
  }

  endPieces(): Generator<Tick> {
    return this.#ticksOf(this.#objects.end());
  }

  *#ticksOf(objects: Iterable<JsonObject>): Generator<Tick> {
    for (const { line, text, isClosed } of objects) {
      this.#report.progress.lines++;
      const tick = this.#report.take(line, text ?? '', () => {
        if (!isClosed) throw malformed('is never closed: what follows it up to the end of the file is lost with it');
        if (text === undefined) throw tooLong();
        return this.#tickOf(parseLooseJson(text));
      });
      if (tick !== undefined) yield tick;
    }
  }

  #tickOf(message: unknown): Tick | undefined {
    if (!isRecord(message)) throw malformed('is JSON, but no object');
    // A last value is no tick of the moment at which it came.
    if (message['type'] === 'market_data' && message['snapshot'] === true) return undefined;
    if (message['type'] === 'market_data')
      return completeTick(this.#normaliser.normalise(dataOf(message)), this.#instrument);
    if (OTHER_MESSAGES.has(message['type']) || message['status'] === 'error') return undefined;
    return completeTick(this.#normaliser.normalise(message), this.#instrument);
  }
}

/** The value on a line; for a blank line, a list without any. */
function valueOn(line: string): unknown {
  if (line === OVERLONG_LINE) throw tooLong();
  return line.trim() === '' ? [] : parseLooseJson(line);
}

/**
 * The tick inside a `market_data` message. The message says whose it is; the tick itself says of which mode it was
 * made, since the message has the mode of the subscriber.
 */
function dataOf(message: RawRecord): RawRecord {
  const { symbol, exchange, mode, data } = message;
  if (!isRecord(data)) throw malformed('is market_data without an object "data"');
  return { mode, ...data, symbol: symbol ?? data['symbol'], exchange: exchange ?? data['exchange'] };
}

function tooLong(): OpenAlgoShmError {
  return malformed('is longer than 1 Mi characters');
}

function malformed(message: string): OpenAlgoShmError {
  return new OpenAlgoShmError('ERR_MALFORMED_LINE', message);
}
