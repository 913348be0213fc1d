import { randomInt } from 'node:crypto';
import { CompanionReader, CompanionWriter } from './companion-ring.ts';
import { WishReader, WishWriter, type Round, type Wish } from './interest-message.ts';
import { InterestUnion, type InterestChange, type InterestListener } from './interest-union.ts';

export type { InterestChange, InterestListener } from './interest-union.ts';

/** Options of both ends of the interest. */
export interface InterestOptions {
  /** Name of the ring of ticks; the interest goes through `NAME.interest`. Default `ws_proxy_buffer`. */
  name?: string;
  /** Name that monitors see, at most 48 bytes. Default `proxy` for who wants, `feed` for who listens. */
  ownerName?: string;
}

/** A proxy repeats its whole interest this often, and a feed looks as often whether the proxies live, ms. */
export const INTEREST_INTERVAL_MS = 1000;
/** Messages of a repetition that go out before others on the event loop have a turn. */
const SLICE = 1024;

/**
 * Says what the clients of one proxy want. Repeats it every second, so that a feed that starts late or
 * has lost messages is right again.
 *
 * @example
 * const interest = new InterestPublisher({ name: 'ws_proxy_buffer' });
 * interest.set('NSE', 'RELIANCE', 1 << MODE.QUOTE, 0);
 * interest.close();
 */
export class InterestPublisher {
  readonly #writer: CompanionWriter;
  readonly #wishes = new Map<string, Wish>();
  /** Changed since they were published. */
  readonly #changed = new Map<string, Wish>();
  readonly #message = new WishWriter();
  readonly #session = randomInt(1, 2 ** 32);
  readonly #timer: NodeJS.Timeout;
  #round = 0;
  #repeating = false;
  #closed = false;

  /** @throws `ERR_NO_FREE_LANE` and those of opening a ring */
  constructor(options: InterestOptions = {}) {
    this.#writer = new CompanionWriter('interest', options.name, options.ownerName ?? 'proxy');
    this.#endRound();
    this.#timer = setInterval(() => this.#repeat(), INTEREST_INTERVAL_MS).unref();
  }

  /** Topics that are wanted. */
  get size(): number {
    return this.#wishes.size;
  }

  /**
   * Sets what is wanted of a topic; feeds hear of it with the next turn of the event loop.
   *
   * @param modes bit m (`1 << m`) for mode m; 0: nothing any more
   * @param depth deepest book wanted, levels a side
   * @throws `ERR_INVALID_SYMBOL`
   */
  set(exchange: string, symbol: string, modes: number, depth: number): void {
    if (this.#closed) return;
    this.#message.check(exchange, symbol);
    const wish = { exchange, symbol, modes, depth };
    const key = `${exchange}\0${symbol}`;
    const before = this.#wishes.get(key);
    if ((before?.modes ?? 0) === modes && (modes === 0 || before?.depth === depth)) return;
    if (modes === 0) this.#wishes.delete(key);
    else this.#wishes.set(key, wish);
    // What was withdrawn and is wanted again at once is asked for anew: feeds have to see both.
    const pending = this.#changed.get(key);
    if (pending !== undefined && (modes & ~pending.modes) !== 0) this.#write(pending);
    // Clients subscribe to thousands of topics in one message: their answer comes first, and these go out together.
    if (this.#changed.size === 0) setImmediate(() => this.#publishChanges());
    this.#changed.set(key, wish);
  }

  /** Says that nothing is wanted any more, and gives the lane back. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#timer);
    this.#changed.clear();
    for (const { exchange, symbol } of this.#wishes.values()) this.#write({ exchange, symbol, modes: 0, depth: 0 });
    this.#wishes.clear();
    this.#endRound();
    this.#writer.close();
  }

  #repeat(): void {
    if (this.#repeating) return;
    this.#writer.follow();
    this.#round++;
    this.#repeating = true;
    this.#repeatFrom(this.#wishes.values());
  }

  #repeatFrom(wishes: Iterator<Wish>): void {
    if (this.#closed) return;
    for (let i = 0; i < SLICE; i++) {
      const next = wishes.next();
      if (next.done) {
        this.#repeating = false;
        this.#endRound();
        return;
      }
      this.#write(next.value);
    }
    this.#writer.flush();
    setImmediate(() => this.#repeatFrom(wishes));
  }

  #endRound(): void {
    this.#writer.write((buffer, at) => this.#message.writeEnd(buffer, at, this.#stamp()));
    this.#writer.flush();
  }

  #write(wish: Wish): void {
    this.#writer.write((buffer, at) => this.#message.write(buffer, at, wish, this.#stamp()));
  }

  #publishChanges(): void {
    if (this.#closed) return;
    for (const wish of this.#changed.values()) this.#write(wish);
    this.#changed.clear();
    this.#writer.flush();
  }

  #stamp(): Round {
    return { round: this.#round, session: this.#session };
  }
}

/**
 * Hears what the clients of all living proxies want together, each (topic, mode) once. A proxy that dies
 * is forgotten within a second; one that is only slow is not.
 *
 * @example
 * const interest = new InterestReader({
 *   subscribe: ({ exchange, symbol, mode, depth }) => broker.subscribe(exchange, symbol, mode, depth),
 *   unsubscribe: ({ exchange, symbol, mode }) => broker.unsubscribe(exchange, symbol, mode),
 * });
 * interest.close();
 */
export class InterestReader {
  readonly #union: InterestUnion;
  readonly #message = new WishReader();
  readonly #reader: CompanionReader;
  readonly #timer: NodeJS.Timeout;

  /** @throws those of opening a ring */
  constructor(listener: InterestListener, options: InterestOptions = {}) {
    this.#union = new InterestUnion(listener);
    this.#reader = new CompanionReader('interest', options.name, options.ownerName ?? 'feed', (buffer, at, lane) => {
      const round = this.#message.round(buffer, at);
      const wish = this.#message.wish(buffer, at);
      if (wish === undefined) this.#union.endRound(lane, round);
      else this.#union.apply(lane, wish, round);
    });
    this.#timer = setInterval(() => this.#forgetTheDead(), INTEREST_INTERVAL_MS).unref();
  }

  /** Every (topic, mode) that is wanted now. */
  wanted(): InterestChange[] {
    return [...this.#union.wanted()];
  }

  /** Stops listening. Idempotent. */
  close(): void {
    clearInterval(this.#timer);
    this.#reader.close();
  }

  #forgetTheDead(): void {
    const isNewRing = this.#reader.follow();
    const alive = new Set(
      this.#reader
        .ringStats()
        .publishers.filter((owner) => owner.alive)
        .map(({ lane }) => lane),
    );
    for (const lane of [...this.#union.lanes]) if (isNewRing || !alive.has(lane)) this.#union.drop(lane);
  }
}
