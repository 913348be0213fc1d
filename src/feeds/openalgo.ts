import { OpenAlgoShmError } from '../errors.ts';
import { whenNameIsFree } from '../shm/busy-name.ts';
import { type InterestChange, InterestReader } from '../shm/interest.ts';
import type { RingInfo } from '../shm/ring-buffer.ts';
import type { SubscriptionResult } from '../shm/subscription-results.ts';
import { userOfKey } from '../user-of-key.ts';
import { Backoff } from './backoff.ts';
import { isRecord, modeOf, numberOf, type RawRecord } from './dialect-values.ts';
import { SILENT, isSample, type FeedLog } from './feed-log.ts';
import { PublishingFeed } from './feed.ts';
import { LiveEvents } from './live-events.ts';
import { LiveTicks, liveCounters, type CarriedAge } from './live-ticks.ts';
import { OpenAlgoConnection, UpstreamRefusal, type OpenAlgoAccount } from './openalgo-connection.ts';
import type { OpenAlgoCounters, OpenAlgoFeedOptions } from './openalgo-options.ts';
import { OpenAlgoSession } from './openalgo-session.ts';
import { RetryWait } from './retry-wait.ts';
import { shownUrl } from './shown-url.ts';
import { UpstreamSubscriptions } from './upstream-subscriptions.ts';

export type { OpenAlgoCounters, OpenAlgoFeedOptions } from './openalgo-options.ts';

const DEFAULT_URL = 'ws://127.0.0.1:8765';

/**
 * An ordinary client of a running OpenAlgo, for any number of clients here: it subscribes there exactly to what the
 * clients of all proxies want, and publishes what comes under the broker's name.
 */
export class OpenAlgoFeed extends PublishingFeed<OpenAlgoCounters> {
  readonly #options: OpenAlgoFeedOptions & { url: string };
  readonly #log: FeedLog;
  readonly #reconnect: Backoff;
  readonly #subscriptions: UpstreamSubscriptions;
  readonly #untilRetry = new RetryWait();
  #session: OpenAlgoSession | undefined;
  #events: LiveEvents | undefined;
  #isKeyGood = false;
  #wasUp = false;
  #awaySince = performance.now();
  /** The last reason that was logged for having no broker. */
  #mourned: string | undefined;

  /** @throws OpenAlgoShmError `ERR_INVALID_OPTION` */
  constructor(options: OpenAlgoFeedOptions) {
    const counters = {
      ...liveCounters(),
      orderUpdates: 0,
      eventsDropped: 0,
      connections: 0,
      failedAttempts: 0,
      brokerLosses: 0,
      awayMs: 0,
      refused: 0,
    };
    super({ ...options, publisherName: options.publisherName ?? 'openalgo' }, counters);
    this.#options = { ...options, url: checkUrl(options.url ?? DEFAULT_URL) };
    if (typeof options.apiKey !== 'string' || options.apiKey === '') {
      throw new OpenAlgoShmError('ERR_INVALID_OPTION', 'apiKey is empty: give the API key that OpenAlgo shows');
    }
    this.#log = options.log ?? SILENT;
    this.#reconnect = new Backoff({ firstMs: 200, longestMs: 10_000, ...options.reconnect });
    this.#subscriptions = new UpstreamSubscriptions({
      ...(options.graceMs !== undefined && { graceMs: options.graceMs }),
      ...(options.batchSize !== undefined && { batchSize: options.batchSize }),
      ...(options.retry !== undefined && { retry: options.retry }),
      onResult: (result) => this.#note(result),
    });
  }

  /** Topics and modes that clients want, those that are subscribed upstream, and those that it refuses. */
  get subscriptions(): { wanted: number; subscribed: number; refused: number } {
    return this.#subscriptions.counts;
  }

  protected async run(ring: RingInfo, signal: AbortSignal): Promise<void> {
    const ticks = new LiveTicks(
      this.counters,
      () => this.depthLevels,
      (tick) => this.offer(tick),
      this.#log,
      this.#options,
    );
    const events = await whenNameIsFree(
      () => new LiveEvents(ring.name, this.name, this.counters, this.#log, { answers: true }),
    );
    this.#events = events;
    let interest: InterestReader | undefined;
    try {
      const listener = {
        subscribe: (change: InterestChange) => this.#want(change),
        unsubscribe: (change: InterestChange) => this.#subscriptions.unwant(change),
        wantToo: (change: InterestChange) => this.#subscriptions.wantToo(change),
      };
      interest = await whenNameIsFree(() => new InterestReader(listener, { name: ring.name, ownerName: this.name }));
      for (let failures = 0; !signal.aborted;) {
        const began = performance.now();
        const { isConnected, reason } = await this.#connectOnce(ticks, events, signal);
        if (signal.aborted) break;
        // A server that takes every connection and soon drops it is waited for like one that takes none.
        const hasLasted = isConnected && performance.now() - began > this.#reconnect.longestMs;
        failures = hasLasted ? 1 : failures + 1;
        const wait = this.#reconnect.waitAfter(failures);
        events.down(reason);
        this.#log.warn(`${reason}; trying again in ${(wait / 1000).toFixed(1)} s`);
        await this.#untilRetry.wait(wait, signal);
      }
    } finally {
      interest?.close();
      this.#subscriptions.close();
      events.close();
    }
  }

  /** Somebody waits for it: no moment to wait for the next attempt. */
  #want(change: InterestChange): void {
    this.#subscriptions.want(change);
    this.#untilRetry.hurry();
    this.#session?.hurry();
  }

  /** From one attempt to connect to the end of that connection. */
  async #connectOnce(
    ticks: LiveTicks,
    events: LiveEvents,
    signal: AbortSignal,
  ): Promise<{ isConnected: boolean; reason: string }> {
    const { url, apiKey, answerTimeoutMs = 30_000, pingIntervalMs = 10_000 } = this.#options;
    let owners: string[] = [];
    const listener = {
      onTick: (message: RawRecord) => this.#publishTick(message, ticks),
      onOrderUpdate: (update: RawRecord) => events.order(update, owners),
      onRefused: (notice: RawRecord) => this.#endedUpstream(notice),
      onMalformed: (reason: string, text: string) => ticks.malformed(reason, text),
    };
    let connection: OpenAlgoConnection;
    try {
      connection = await OpenAlgoConnection.open({ url, answerTimeoutMs, pingIntervalMs }, listener, signal);
    } catch (error) {
      if (!(error instanceof OpenAlgoShmError)) throw error;
      this.counters.failedAttempts++;
      return { isConnected: false, reason: error.message };
    }
    let isNew = true;
    const { brokerCheckMs = 3_000, refreshMs = 60_000, login = {} } = this.#options;
    const session = new OpenAlgoSession(
      connection,
      { apiKey, brokerCheckMs, refreshMs, login },
      {
        onUp: (account) => {
          owners = [...(account.userId === undefined ? [] : [account.userId]), userOfKey(apiKey)];
          if (isNew) this.counters.connections++;
          isNew = false;
          this.#greet(connection, account, events, owners);
        },
        onDown: (reason) => this.#mourn(reason, events),
        onUpstream: (upstream) => {
          if (upstream === undefined) this.#subscriptions.disconnected();
          else this.#subscriptions.connected(upstream);
        },
        onRefresh: () => this.#subscriptions.refresh(),
        onRefused: (refusal) => this.#countRefusal(refusal),
      },
    );
    this.#session = session;
    try {
      const why = await session.follow();
      const reason = `the connection to OpenAlgo at ${shownUrl(url)} is gone: ${why}`;
      this.#isUp(false);
      return { isConnected: true, reason };
    } finally {
      this.#session = undefined;
      connection.close();
    }
  }

  /** @throws UpstreamRefusal for a key that never was good */
  #countRefusal(refusal: UpstreamRefusal): void {
    this.counters.failedAttempts++;
    if (refusal.upstreamCode !== 'AUTHENTICATION_ERROR') this.#isKeyGood = true;
    // A key that was accepted before is not wrong: the server may only not be ready yet.
    else if (!this.#isKeyGood) throw refusal;
  }

  /** Ticks under another name are better than none. */
  #takeName(broker: string): void {
    try {
      this.rename(broker);
    } catch (error) {
      if (!(error instanceof OpenAlgoShmError)) throw error;
      this.#log.warn(`OpenAlgo's broker cannot be the name of a publisher, which stays ${this.name}: ${error.message}`);
    }
  }

  #greet(
    connection: OpenAlgoConnection,
    { broker }: OpenAlgoAccount,
    events: LiveEvents,
    owners: readonly string[],
  ): void {
    this.#isKeyGood = true;
    if (broker !== undefined && this.#options.publisherName === undefined) this.#takeName(broker);
    this.#isUp(true);
    this.#log.info(`connected to OpenAlgo at ${shownUrl(this.#options.url)}, broker ${broker ?? 'unknown'}`);
    events.up(this.name, owners);
    if (this.#options.orders !== false) {
      // Older servers do not know it: then there are none.
      connection.request({ action: 'subscribe_orders' }).catch((error: unknown) => {
        if (error instanceof UpstreamRefusal) this.#log.info(`no order updates: ${error.message}`);
      });
    }
  }

  /** OpenAlgo has no broker, or none any more; again with every attempt to log in. */
  #mourn(reason: string, events: LiveEvents): void {
    events.down(reason);
    if (this.#wasUp) this.counters.brokerLosses++;
    if (this.#wasUp || reason !== this.#mourned) this.#log.warn(`${reason}; logging in again until it is back`);
    this.#mourned = reason;
    this.#isUp(false);
  }

  /** Counts the time without a broker. */
  #isUp(isUp: boolean): void {
    if (isUp === this.#wasUp) return;
    this.#wasUp = isUp;
    if (isUp) this.counters.awayMs += Math.round(performance.now() - this.#awaySince);
    else this.#awaySince = performance.now();
  }

  #note(result: SubscriptionResult): void {
    this.#events?.results([result]);
    if (result.status !== 'error') return;
    const count = ++this.counters.refused;
    if (!isSample(count)) return;
    const { exchange, symbol, mode, message = '' } = result;
    this.#log.warn(`${count} refusals so far; ${exchange}:${symbol} in mode ${mode}: ${message}`);
  }

  #endedUpstream({ exchange, symbol, mode, message }: RawRecord): void {
    const known = modeOf(mode);
    if (typeof exchange !== 'string' || typeof symbol !== 'string' || known === undefined) return;
    const reason = typeof message === 'string' ? message : 'OpenAlgo has ended the subscription';
    this.#subscriptions.endedUpstream({ exchange, symbol, mode: known }, reason);
  }

  #publishTick(message: RawRecord, ticks: LiveTicks): void {
    this.counters.received++;
    this.#session?.noteTick();
    const { symbol, exchange, data } = message;
    const mode = modeOf(message['mode']);
    if (typeof symbol !== 'string' || typeof exchange !== 'string' || mode === undefined || !isRecord(data)) {
      ticks.malformed('market_data without symbol, exchange, mode or data', message);
      return;
    }
    ticks.publish(data, { symbol, exchange, mode }, message['snapshot'] === true ? ageOf(message) : undefined);
  }
}

/** Of a last value of another proxy. One that does not say how old it is may be of any age. */
function ageOf(message: RawRecord): CarriedAge {
  const newestMs = numberOf(message['age_ms']) ?? Number.POSITIVE_INFINITY;
  return { newestMs, oldestMs: numberOf(message['oldest_age_ms']) ?? newestMs };
}

function checkUrl(url: string): string {
  try {
    const { protocol, hash } = new URL(url);
    if ((protocol === 'ws:' || protocol === 'wss:') && hash === '') return url;
  } catch {
    // It is none at all; said below.
  }
  throw new OpenAlgoShmError('ERR_INVALID_OPTION', `url is '${url}', expected one as ws://127.0.0.1:8765`);
}
