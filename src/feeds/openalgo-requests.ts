import type { Mode } from '../message.ts';
import { isRecord, type RawRecord } from './dialect-values.ts';
import { UpstreamRefusal, type OpenAlgoConnection } from './openalgo-connection.ts';
import type { Instrument, Upstream } from './upstream-subscriptions.ts';

/** Refusals that mean the form of the message: everything else is about what it asks for. */
const FORM_REFUSED: ReadonlySet<string> = new Set(['INVALID_PARAMETERS', 'INVALID_ACTION', 'SERVER_ERROR', 'UNKNOWN']);

/** Asks one OpenAlgo server for topics: many in a message, or one by one where it takes no more. */
export class OpenAlgoRequests implements Upstream {
  readonly #connection: OpenAlgoConnection;
  #takesMany = true;

  constructor(connection: OpenAlgoConnection) {
    this.#connection = connection;
  }

  /** Whether the server takes many instruments in a message, as far as is known. */
  get takesMany(): boolean {
    return this.#takesMany;
  }

  subscribe(mode: Mode, depth: number, instruments: readonly Instrument[]): Promise<Map<Instrument, string>> {
    return this.#send(instruments, (some) =>
      some.length > 1
        ? { action: 'subscribe', symbols: some.map(nameOf), mode, depth }
        : { action: 'subscribe', ...nameOf(some[0] as Instrument), mode, depth },
    );
  }

  unsubscribe(mode: Mode, instruments: readonly Instrument[]): Promise<Map<Instrument, string>> {
    return this.#send(instruments, (some) =>
      some.length > 1
        ? { action: 'unsubscribe', symbols: some.map((instrument) => ({ ...nameOf(instrument), mode })), mode }
        : { action: 'unsubscribe', ...nameOf(some[0] as Instrument), mode },
    );
  }

  async #send(
    instruments: readonly Instrument[],
    messageOf: (some: readonly Instrument[]) => RawRecord,
  ): Promise<Map<Instrument, string>> {
    const failed = new Map<Instrument, string>();
    let left = instruments;
    if (instruments.length > 1 && this.#takesMany) {
      const answer = await this.#asMany(messageOf(instruments));
      if (answer !== undefined) left = readAnswer(answer, instruments, failed);
    }
    for (const instrument of left) {
      const reason = await this.#asOne(messageOf([instrument]), instrument);
      if (reason !== undefined) failed.set(instrument, reason);
    }
    return failed;
  }

  async #asMany(message: RawRecord): Promise<RawRecord | undefined> {
    try {
      return await this.#connection.request(message);
    } catch (error) {
      if (!(error instanceof UpstreamRefusal) || !FORM_REFUSED.has(error.upstreamCode)) throw error;
      this.#takesMany = false;
      return undefined;
    }
  }

  /** Why it failed, or undefined. */
  async #asOne(message: RawRecord, instrument: Instrument): Promise<string | undefined> {
    try {
      const failed = new Map<Instrument, string>();
      readAnswer(await this.#connection.request(message), [instrument], failed);
      return failed.get(instrument);
    } catch (error) {
      if (error instanceof UpstreamRefusal) return error.message;
      throw error;
    }
  }
}

/** Notes what failed, and returns those that a list of lines does not speak of. */
function readAnswer(
  answer: RawRecord,
  instruments: readonly Instrument[],
  failed: Map<Instrument, string>,
): readonly Instrument[] {
  const lines = [answer['subscriptions'], answer['successful'], answer['failed']].filter(Array.isArray).flat();
  if (lines.length === 0) return [];
  const outcomes = new Map<string, RawRecord>();
  for (const line of lines)
    if (isRecord(line)) outcomes.set(`${String(line['exchange'])}\0${String(line['symbol'])}`, line);
  return instruments.filter((instrument) => {
    const outcome = outcomes.get(`${instrument.exchange}\0${instrument.symbol}`);
    if (outcome === undefined) return true;
    if (outcome['status'] === 'error') failed.set(instrument, String(outcome['message'] ?? 'no message'));
    return false;
  });
}

function nameOf({ symbol, exchange }: Instrument): { symbol: string; exchange: string } {
  return { symbol, exchange };
}
