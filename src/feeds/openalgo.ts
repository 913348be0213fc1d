import { OpenAlgoShmError } from '../errors.ts';
import { whenNameIsFree } from '../shm/busy-name.ts';
import { type InterestChange, InterestReader } from '../shm/interest.ts';
import type { RingInfo } from '../shm/ring-buffer.ts';
import { userOfKey } from '../user-of-key.ts';
import { Backoff, type BackoffOptions } from './backoff.ts';
import { isRecord, modeOf, type RawRecord } from './dialect-values.ts';
import type { TickNormaliserOptions } from './dialect.ts';
import { SILENT, isSample, type FeedLog } from './feed-log.ts';
import { PublishingFeed, type FeedOptions } from './feed.ts';
import { LiveEvents, type EventCounters } from './live-events.ts';
import { LiveTicks, liveCounters, type LiveCounters } from './live-ticks.ts';
import { OpenAlgoConnection, UpstreamRefusal } from './openalgo-connection.ts';
import { OpenAlgoRequests } from './openalgo-requests.ts';
import { pause } from './pace.ts';
import { shownUrl } from './shown-url.ts';
import { UpstreamSubscriptions } from './upstream-subscriptions.ts';

export interface OpenAlgoFeedOptions extends FeedOptions, TickNormaliserOptions {
  /** Address of OpenAlgo's WebSocket server. Default `ws://127.0.0.1:8765`. */
  url?: string;
  /** The user's API key. */
  apiKey: string;
  /** How long a topic stays subscribed once no client wants it, ms. Default 5,000. */
  graceMs?: number;
  /** Most symbols of one subscribe. Default 500. */
  batchSize?: number;
  /** Waits between attempts to connect. Default 1 s, twice as long each time, up to 30 s. */
  reconnect?: BackoffOptions;
  /** Waits between attempts to subscribe to what was refused. Default 1 s to 60 s. */
  retry?: BackoffOptions;
  /** Longest time that the server may take for an answer, ms. Default 30,000. */
  answerTimeoutMs?: number;
  /** Time between pings, ms. Default 10,000. */
  pingIntervalMs?: number;
  /** Whether to pass on order updates. Default true. */
  orders?: boolean;
  /** Where to say what happens. Default: nowhere. */
  log?: FeedLog;
}

/** What this feed counts. */
export interface OpenAlgoCounters extends LiveCounters, EventCounters {
  /** Connections that were made and accepted. */
  connections: number;
  /** Attempts to connect that failed. */
  failedAttempts: number;
  /** Time without a connection, ms: what OpenAlgo sent meanwhile is lost. */
  awayMs: number;
  /** Answers that refused a topic. */
  refused: number;
}

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
  #awaySince = performance.now();

  /** @throws OpenAlgoShmError `ERR_INVALID_OPTION` */
  constructor(options: OpenAlgoFeedOptions) {
    const counters = {
      ...liveCounters(),
      orderUpdates: 0,
      eventsDropped: 0,
      connections: 0,
      failedAttempts: 0,
      awayMs: 0,
      refused: 0,
    };
    super({ ...options, publisherName: options.publisherName ?? 'openalgo' }, counters);
    this.#options = { ...options, url: checkUrl(options.url ?? DEFAULT_URL) };
    if (typeof options.apiKey !== 'string' || options.apiKey === '') {
      throw new OpenAlgoShmError('ERR_INVALID_OPTION', 'apiKey is empty: give the API key that OpenAlgo shows');
    }
    this.#log = options.log ?? SILENT;
    this.#reconnect = new Backoff(options.reconnect);
    this.#subscriptions = new UpstreamSubscriptions({
      ...(options.graceMs !== undefined && { graceMs: options.graceMs }),
      ...(options.batchSize !== undefined && { batchSize: options.batchSize }),
      ...(options.retry !== undefined && { retry: options.retry }),
      onRefused: ({ exchange, symbol }, mode, reason) => {
        const count = ++this.counters.refused;
        if (isSample(count))
          this.#log.warn(`${count} refusals so far; ${exchange}:${symbol} in mode ${mode}: ${reason}`);
      },
    });
  }

  /** Topics and modes that clients want, and those that are subscribed upstream. */
  get subscriptions(): { wanted: number; subscribed: number } {
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
    const events = await whenNameIsFree(() => new LiveEvents(ring.name, this.name, this.counters, this.#log));
    let interest: InterestReader | undefined;
    try {
      const listener = {
        subscribe: (change: InterestChange) => this.#subscriptions.want(change),
        unsubscribe: (change: InterestChange) => this.#subscriptions.unwant(change),
      };
      interest = await whenNameIsFree(() => new InterestReader(listener, { name: ring.name, ownerName: this.name }));
      for (let failures = 0; !signal.aborted;) {
        const began = performance.now();
        const outcome = await this.#connectOnce(ticks, events, signal);
        if (signal.aborted) break;
        // A server that takes every connection and soon drops it is waited for like one that takes none.
        const hasLasted = outcome.connected && performance.now() - began > this.#reconnect.longestMs;
        failures = hasLasted ? 1 : failures + 1;
        if (!outcome.connected) this.counters.failedAttempts++;
        const wait = this.#reconnect.waitAfter(failures);
        events.down(outcome.reason);
        this.#log.warn(`${outcome.reason}; trying again in ${(wait / 1000).toFixed(1)} s`);
        await pause(wait, signal);
      }
    } finally {
      interest?.close();
      this.#subscriptions.close();
      events.close();
    }
  }

  /** From one attempt to connect to the end of that connection. */
  async #connectOnce(
    ticks: LiveTicks,
    events: LiveEvents,
    signal: AbortSignal,
  ): Promise<{ connected: boolean; reason: string }> {
    let owners: string[] = [];
    let connection: OpenAlgoConnection;
    try {
      const { url, apiKey, answerTimeoutMs = 30_000, pingIntervalMs = 10_000 } = this.#options;
      const listener = {
        onTick: (message: RawRecord) => this.#publishTick(message, ticks),
        onOrderUpdate: (update: RawRecord) => events.order(update, owners),
        onMalformed: (reason: string, text: string) => ticks.malformed(reason, text),
      };
      connection = await OpenAlgoConnection.open({ url, apiKey, answerTimeoutMs, pingIntervalMs }, listener, signal);
    } catch (error) {
      return this.#notConnected(error);
    }
    const { broker, userId } = connection.account;
    owners = [...(userId === undefined ? [] : [userId]), userOfKey(this.#options.apiKey)];
    if (broker !== undefined && this.#options.publisherName === undefined) this.#takeName(broker);
    this.#greet(connection, events);
    const reason = await connection.closed;
    this.#awaySince = performance.now();
    this.#subscriptions.disconnected();
    return {
      connected: true,
      reason: `the connection to OpenAlgo at ${shownUrl(this.#options.url)} is gone: ${reason}`,
    };
  }

  #notConnected(error: unknown): { connected: boolean; reason: string } {
    if (!(error instanceof OpenAlgoShmError)) throw error;
    const isBadKey = error instanceof UpstreamRefusal && error.upstreamCode === 'AUTHENTICATION_ERROR';
    // A key that was accepted before is not wrong: the server may only not be ready yet.
    if (isBadKey && this.counters.connections === 0) throw error;
    return { connected: false, reason: error.message };
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

  #greet(connection: OpenAlgoConnection, events: LiveEvents): void {
    this.counters.connections++;
    this.counters.awayMs += Math.round(performance.now() - this.#awaySince);
    const { broker = 'unknown' } = connection.account;
    this.#log.info(`connected to OpenAlgo at ${shownUrl(this.#options.url)}, broker ${broker}`);
    events.up(this.name);
    if (this.#options.orders !== false) {
      // Older servers do not know it: then there are none.
      connection.request({ action: 'subscribe_orders' }).catch((error: unknown) => {
        if (error instanceof UpstreamRefusal) this.#log.info(`no order updates: ${error.message}`);
      });
    }
    this.#subscriptions.connected(new OpenAlgoRequests(connection));
  }

  #publishTick(message: RawRecord, ticks: LiveTicks): void {
    this.counters.received++;
    const { symbol, exchange, data } = message;
    const mode = modeOf(message['mode']);
    if (typeof symbol !== 'string' || typeof exchange !== 'string' || mode === undefined || !isRecord(data)) {
      ticks.malformed('market_data without symbol, exchange, mode or data', message);
      return;
    }
    ticks.publish(data, { symbol, exchange, mode });
  }
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
