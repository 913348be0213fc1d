import { LivingProcess, until } from '../shm/living.ts';

/** What the client for Python gave to the callbacks, as counts. */
export interface Received {
  ltp: number;
  quote: number;
  depth: number;
}

/** Its attempts to connect again come after 1, 8, 18 and 33 seconds. */
const RECONNECT_PATIENCE_MS = 100_000;

/** A strategy with OpenAlgo's official client for Python, in a process of its own. */
export class Strategy {
  readonly process: LivingProcess;

  /** @param args `--once` not to try again where it cannot connect */
  constructor(python: string, webSocketUrl: string, key: string, ...args: string[]) {
    const script = new URL('strategy.py', import.meta.url).pathname;
    this.process = new LivingProcess(python, [script, webSocketUrl, key, ...args]);
  }

  /** Whether it could connect. */
  async connected(): Promise<{ ok: boolean }> {
    return (await this.#details('connected')) as { ok: boolean };
  }

  tell(command: string): void {
    this.process.tell(command);
  }

  /** What it gave the callback of a mode first. */
  async first(kind: keyof Received): Promise<unknown> {
    return this.#details(`first ${kind}`);
  }

  /** What the client's own getters give. */
  async values(): Promise<{ ltp: unknown; quotes: unknown; depth: unknown }> {
    this.tell('get');
    return {
      ltp: await this.#details('ltp'),
      quotes: await this.#details('quotes'),
      depth: await this.#details('depth'),
    };
  }

  /**
   * Waits until its callbacks get ticks of every mode, counted from now on.
   *
   * @param publish makes some
   */
  async receivesAll(publish: () => void = () => {}): Promise<void> {
    this.tell('reset');
    const receives = async (): Promise<boolean> => {
      publish();
      const { ltp, quote, depth } = await this.count();
      return ltp > 0 && quote > 0 && depth > 0;
    };
    await until('the strategy to receive in every mode', receives, RECONNECT_PATIENCE_MS);
  }

  /** How many of each the callbacks got since `reset`. */
  async count(): Promise<Received> {
    const earlier = this.#counts().length;
    this.tell('count');
    await until('the strategy has counted', () => this.#counts().length > earlier || this.process.ended);
    return JSON.parse(this.#counts().at(-1) as string) as Received;
  }

  /** Asks for order updates; false where this client is too old to know any. */
  async subscribeOrders(): Promise<boolean> {
    this.tell('orders');
    const isKnown = (await this.#details('knows orders')) as boolean;
    if (isKnown) await this.process.says('subscribe_orders | Status: success');
    return isKnown;
  }

  async order(): Promise<unknown> {
    return this.#details('order');
  }

  end(): Promise<unknown> {
    return this.process.end();
  }

  #counts(): string[] {
    return Array.from(this.process.output.matchAll(/^count (.*)\n/gm), ([, counts = '']) => counts);
  }

  async #details(what: string): Promise<unknown> {
    const line = new RegExp(`^${what} (.*)\n`, 'm');
    await this.process.says(line);
    return JSON.parse(line.exec(this.process.output)?.[1] ?? 'null');
  }
}
