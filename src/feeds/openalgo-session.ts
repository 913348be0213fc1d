import { OpenAlgoShmError } from '../errors.ts';
import { Backoff, type BackoffOptions } from './backoff.ts';
import { type OpenAlgoAccount, type OpenAlgoConnection, UpstreamRefusal } from './openalgo-connection.ts';
import { OpenAlgoRequests } from './openalgo-requests.ts';
import { RetryWait } from './retry-wait.ts';
import { RefreshPace } from './refresh-pace.ts';
import type { Upstream } from './upstream.ts';

export interface OpenAlgoSessionOptions {
  apiKey: string;
  /** Time without a tick after which OpenAlgo is asked whether it has a broker's adapter, ms; 0 for never. */
  brokerCheckMs: number;
  /** Time after which what is subscribed is asked for once more, ms; 0 for never. */
  refreshMs: number;
  /** Waits between attempts to log in. */
  login: BackoffOptions;
}

/** Hears how a session goes. */
export interface OpenAlgoSessionListener {
  /** OpenAlgo has a broker's adapter: nothing is subscribed yet. Comes for the first time, and after each `onDown`. */
  onUp(account: OpenAlgoAccount): void;
  /** There is no broker's adapter, or none any more; again whenever an attempt to log in fails. */
  onDown(reason: string): void;
  /** Ticks may be asked of this from now on; undefined: not any more. */
  onUpstream(upstream: Upstream | undefined): void;
  /** What is subscribed may be lost: it has to be asked for once more. */
  onRefresh(): void;
  /** An attempt to log in was refused. What this throws ends the session. */
  onRefused(refusal: UpstreamRefusal): void;
}

/** Longest wait after the broker itself would not have the login, ms: brokers lock accounts for less. */
const LONGEST_AT_BROKER_MS = 10_000;
/** The same wait however many clients want something, ms. */
const SHORTEST_AT_BROKER_MS = 5_000;
/** A broker's adapter that is gone sooner and has brought no tick is not asked for again at once, ms. */
const LASTING_MS = 10_000;

/**
 * One connection's sessions with a broker, one after the other. OpenAlgo drops its broker's adapter with every new login
 * (each morning) and makes another one only for a client that authenticates: this does, again and again, on the same
 * connection.
 *
 * Another client of the user may be first to authenticate, as OpenAlgo's own pages are. The new adapter knows nothing then
 * of what is subscribed here, and nobody is told. So all of that is asked for once more: now and then, and when ticks are
 * missing.
 */
export class OpenAlgoSession {
  readonly #connection: OpenAlgoConnection;
  readonly #options: OpenAlgoSessionOptions;
  readonly #listener: OpenAlgoSessionListener;
  readonly #pace: Backoff;
  readonly #paceAtBroker: Backoff;
  readonly #untilLogin = new RetryWait();
  readonly #untilCheck = new RetryWait();
  /** Logins, and attempts to log in, that have brought nothing yet. */
  #attempts = 0;
  #wasRefusedByBroker = false;
  #tickedAt = -Infinity;
  /** What ticks are asked of now, and since when. */
  #upstream: OpenAlgoRequests | undefined;
  #askedSince = 0;
  /** Why there is no broker's adapter behind the upstream of now any more. */
  #loss: string | undefined;

  constructor(connection: OpenAlgoConnection, options: OpenAlgoSessionOptions, listener: OpenAlgoSessionListener) {
    this.#connection = connection;
    this.#options = options;
    this.#listener = listener;
    this.#pace = new Backoff({ firstMs: 500, longestMs: 3_000, ...options.login });
    this.#paceAtBroker = new Backoff({ firstMs: 500, longestMs: LONGEST_AT_BROKER_MS, ...options.login });
  }

  /** A tick has come. */
  noteTick(): void {
    this.#tickedAt = performance.now();
  }

  /** Somebody wants something new: a wait for the next login is cut short. */
  hurry(): void {
    this.#untilLogin.hurry();
  }

  /** Follows the connection to its end. @returns why it is gone */
  async follow(): Promise<string> {
    try {
      while (!this.#connection.gone.aborted) await this.#followLogin();
    } catch (error) {
      const isGone = error instanceof OpenAlgoShmError && !(error instanceof UpstreamRefusal);
      if (!isGone) throw error;
    } finally {
      this.#withdrawUpstream();
    }
    return this.#connection.closed;
  }

  async #followLogin(): Promise<void> {
    const account = await this.#logIn();
    if (account === undefined) return;
    // What had to be given up while logging in takes no more requests.
    if (this.#loss !== undefined) this.#withdrawUpstream();
    const hasBroker = await this.#connection.hasBroker();
    const ticks = this.#upstream !== undefined && this.#tickedAt > this.#askedSince;
    if (hasBroker === false && !ticks) return this.#askAnyway();
    this.#withdrawUpstream();
    this.#listener.onUp(account);
    this.#offerUpstream();
    const reason = await this.#watch();
    this.#withdrawUpstream();
    if (reason !== undefined) this.#listener.onDown(reason);
  }

  /**
   * It has accepted the key and says that it has no broker. Another proxy of this kind does, until its own feed has
   * something to publish: for that it has to hear what is wanted.
   */
  async #askAnyway(): Promise<void> {
    this.#listener.onDown('OpenAlgo says that its broker is disconnected');
    this.#offerUpstream();
    await this.#untilCheck.wait(this.#options.brokerCheckMs, this.#connection.gone, 0);
    if (this.#loss !== undefined) this.#withdrawUpstream();
  }

  /** The account, or undefined once the connection is gone. */
  async #logIn(): Promise<OpenAlgoAccount | undefined> {
    for (;;) {
      if (this.#attempts > 0) {
        const pace = this.#wasRefusedByBroker ? this.#paceAtBroker : this.#pace;
        const shortestMs = this.#wasRefusedByBroker ? SHORTEST_AT_BROKER_MS : undefined;
        await this.#untilLogin.wait(pace.waitAfter(this.#attempts), this.#connection.gone, shortestMs);
      }
      if (this.#connection.gone.aborted) return undefined;
      this.#attempts++;
      try {
        const account = await this.#connection.authenticate(this.#options.apiKey);
        this.#wasRefusedByBroker = false;
        return account;
      } catch (error) {
        if (!(error instanceof UpstreamRefusal)) throw error;
        this.#wasRefusedByBroker = error.upstreamCode === 'BROKER_CONNECTION_ERROR';
        this.#listener.onRefused(error);
        this.#listener.onDown(error.message);
      }
    }
  }

  /** Why the broker's adapter is gone, or undefined once the connection is. Silence alone says nothing: it may be night. */
  async #watch(): Promise<string | undefined> {
    const { brokerCheckMs } = this.#options;
    const { gone } = this.#connection;
    const began = performance.now();
    let checkedAt = began;
    const refresh = new RefreshPace(this.#options.refreshMs, began);
    for (;;) {
      const quietMs = performance.now() - Math.max(this.#tickedAt, checkedAt);
      if (quietMs < brokerCheckMs || brokerCheckMs === 0) {
        const waitMs = brokerCheckMs === 0 ? LASTING_MS : brokerCheckMs - quietMs;
        await this.#untilCheck.wait(waitMs, gone, 0);
      } else {
        checkedAt = performance.now();
        if ((await this.#connection.hasBroker()) === false) this.#loss ??= 'OpenAlgo has dropped its broker';
        else if (this.#tickedAt < checkedAt) refresh.noteSilence();
      }
      if (this.#tickedAt > checkedAt) refresh.noteTicks();
      if (this.#tickedAt > began || performance.now() - began > LASTING_MS) this.#attempts = 0;
      if (gone.aborted) return undefined;
      if (this.#loss !== undefined) return this.#loss;
      if (refresh.isDue(performance.now())) this.#listener.onRefresh();
    }
  }

  #offerUpstream(): void {
    if (this.#upstream !== undefined) return;
    const upstream = new OpenAlgoRequests(this.#connection, (reason) => {
      if (this.#upstream !== upstream) return;
      this.#loss = reason;
      this.#untilCheck.hurry();
    });
    this.#upstream = upstream;
    this.#askedSince = performance.now();
    this.#listener.onUpstream(upstream);
  }

  #withdrawUpstream(): void {
    this.#loss = undefined;
    if (this.#upstream === undefined) return;
    this.#upstream.withdraw();
    this.#upstream = undefined;
    this.#listener.onUpstream(undefined);
  }
}
