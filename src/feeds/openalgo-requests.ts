import { OpenAlgoShmError } from '../errors.ts';
import type { Mode } from '../message.ts';
import { isRecord, type RawRecord } from './dialect-values.ts';
import { UpstreamRefusal, type OpenAlgoConnection } from './openalgo-connection.ts';
import type { Instrument, Outcome, Outcomes, Upstream } from './upstream.ts';

/** Errors that mean the form of the message: everything else is about what it asks for. */
const FORM_REFUSED: ReadonlySet<string> = new Set(['INVALID_PARAMETERS', 'INVALID_ACTION', 'UNKNOWN']);

/** What adapters say of a symbol while it is they that are not ready. */
const NOT_READY = /not (?:connected|initiali[sz]ed)/i;

type Request = RawRecord & { action: string };

/** Asks one OpenAlgo server for topics: many in a message, or one by one where it takes no more. */
export class OpenAlgoRequests implements Upstream {
  readonly #connection: OpenAlgoConnection;
  readonly #onNoBroker: (reason: string) => void;
  #takesMany = true;
  #isWithdrawn = false;

  /** @param onNoBroker is told that the server has no broker's adapter, before the request rejects. */
  constructor(connection: OpenAlgoConnection, onNoBroker: (reason: string) => void) {
    this.#connection = connection;
    this.#onNoBroker = onNoBroker;
  }

  /** Nothing is asked any more, also not the rest of a list that is asked for one by one. */
  withdraw(): void {
    this.#isWithdrawn = true;
  }

  subscribe(mode: Mode, depth: number, instruments: readonly Instrument[]): Promise<Outcomes> {
    return this.#subscribe({ mode, depth }, instruments);
  }

  refresh(mode: Mode, depth: number, instruments: readonly Instrument[]): Promise<Outcomes> {
    // Another proxy of this kind would send last values once more.
    return this.#subscribe({ mode, depth, snapshot: false }, instruments);
  }

  #subscribe(how: RawRecord, instruments: readonly Instrument[]): Promise<Outcomes> {
    return this.#send(instruments, (some) =>
      some.length > 1
        ? { action: 'subscribe', symbols: some.map(nameOf), ...how }
        : { action: 'subscribe', ...nameOf(some[0] as Instrument), ...how },
    );
  }

  unsubscribe(mode: Mode, instruments: readonly Instrument[]): Promise<Outcomes> {
    return this.#send(instruments, (some) =>
      some.length > 1
        ? { action: 'unsubscribe', symbols: some.map((instrument) => ({ ...nameOf(instrument), mode })), mode }
        : { action: 'unsubscribe', ...nameOf(some[0] as Instrument), mode },
    );
  }

  async #send(
    instruments: readonly Instrument[],
    messageOf: (some: readonly Instrument[]) => Request,
  ): Promise<Outcomes> {
    const outcomes: Outcomes = new Map();
    let left = instruments;
    if (instruments.length > 1 && this.#takesMany)
      left = await this.#ask(messageOf(instruments), instruments, outcomes);
    // What an answer does not speak of is asked for again, alone; a second time nothing is made of its silence.
    for (const instrument of left) await this.#ask(messageOf([instrument]), [instrument], outcomes);
    return outcomes;
  }

  /** Notes the outcomes, and returns those instruments that there is none of. */
  async #ask(message: Request, instruments: readonly Instrument[], outcomes: Outcomes): Promise<readonly Instrument[]> {
    if (this.#isWithdrawn) throw new OpenAlgoShmError('ERR_UPSTREAM', 'what was asked for is asked of another by now');
    let answer: RawRecord;
    try {
      answer = await this.#connection.request(message);
    } catch (error) {
      if (!(error instanceof UpstreamRefusal)) throw error;
      if (error.hasNoBroker) {
        this.#onNoBroker(error.message);
        throw error;
      }
      const isForm = FORM_REFUSED.has(error.upstreamCode);
      if (isForm && instruments.length > 1) {
        this.#takesMany = false;
        return instruments;
      }
      const reason = error.message;
      const isRefused = error.upstreamCode.startsWith('INVALID_');
      const outcome: Outcome = isRefused ? { status: 'refused', reason } : { status: 'failed', reason, isOfAll: true };
      for (const instrument of instruments) outcomes.set(instrument, outcome);
      return [];
    }
    return readAnswer(answer, instruments, outcomes);
  }
}

function readAnswer(answer: RawRecord, instruments: readonly Instrument[], outcomes: Outcomes): readonly Instrument[] {
  const lines = [answer['subscriptions'], answer['successful'], answer['failed']].filter(Array.isArray).flat();
  const byName = new Map<string, RawRecord>();
  for (const line of lines) {
    if (!isRecord(line)) continue;
    const { exchange, symbol } = line;
    if (typeof exchange === 'string' && typeof symbol === 'string') byName.set(`${exchange}\0${symbol}`, line);
  }
  if (byName.size === 0 && answer['status'] === 'success') return [];
  return instruments.filter((instrument) => {
    const line = byName.get(`${instrument.exchange}\0${instrument.symbol}`);
    outcomes.set(instrument, line === undefined ? NO_WORD : outcomeOf(line));
    return line === undefined;
  });
}

const NO_WORD: Outcome = { status: 'failed', reason: 'OpenAlgo says nothing of it' };

function outcomeOf({ status, message, depth }: RawRecord): Outcome {
  if (status !== 'error') {
    const isDepth = typeof depth === 'number' && Number.isInteger(depth) && depth > 0;
    return { status: 'success', ...(isDepth && { depth }) };
  }
  const reason = typeof message === 'string' && message !== '' ? message : 'OpenAlgo gives no reason';
  return { status: NOT_READY.test(reason) ? 'failed' : 'refused', reason };
}

function nameOf({ symbol, exchange }: Instrument): { symbol: string; exchange: string } {
  return { symbol, exchange };
}
