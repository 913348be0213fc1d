import type { BackoffOptions } from './backoff.ts';
import type { TickNormaliserOptions } from './dialect.ts';
import type { FeedLog } from './feed-log.ts';
import type { FeedOptions } from './feed.ts';
import type { EventCounters } from './live-events.ts';
import type { LiveCounters } from './live-ticks.ts';

export interface OpenAlgoFeedOptions extends FeedOptions, TickNormaliserOptions {
  /** Address of OpenAlgo's WebSocket server. Default `ws://127.0.0.1:8765`. */
  url?: string;
  /** The user's API key. */
  apiKey: string;
  /** How long a topic stays subscribed once no client wants it, ms. Default 5,000. */
  graceMs?: number;
  /** Most symbols of one subscribe. Default 500. */
  batchSize?: number;
  /**
   * Waits between attempts to connect. Default 0.2 s, twice as long each time, up to 10 s; a client's subscribe cuts a
   * wait short to 1 s.
   */
  reconnect?: BackoffOptions;
  /**
   * Waits between attempts to log in while OpenAlgo has no broker. Default 0.5 s, twice as long each time, up to 3 s, so
   * that ticks come within 5 s of the login; up to 10 s where the broker itself refuses the connection.
   */
  login?: BackoffOptions;
  /**
   * Time without a tick after which OpenAlgo is asked whether it has a broker, and again as often, ms; 0 for never.
   * Default 3,000: it writes a line into its log for each question, and ticks have to be back within 5 s of a login.
   */
  brokerCheckMs?: number;
  /**
   * Time after which OpenAlgo is asked once more for all that is subscribed, ms; 0 for never. Default 60,000, and sooner
   * when ticks cease to come, unless they often do: if another client is first to log in, OpenAlgo has a new broker's
   * adapter that knows nothing of it, and does not say so. Its pool of adapters answers what it has without a word to the
   * broker.
   */
  refreshMs?: number;
  /** Waits between attempts to subscribe to what was refused and is still wanted. Default 1 s to 60 s. */
  retry?: BackoffOptions;
  /**
   * Longest time that the server may take for an answer, ms; twice as long for a login. Default 30,000: OpenAlgo asks
   * its broker for the symbols of a list one after the other, and may try twice to reach it.
   */
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
  /** Attempts to connect or to log in that failed. */
  failedAttempts: number;
  /** Times that OpenAlgo was left without a broker on a connection that stayed, as by the login of every morning. */
  brokerLosses: number;
  /** Time without a connection or without a broker behind it, ms: what the market did meanwhile is lost. */
  awayMs: number;
  /** Refusals of a topic that were told to the proxies. */
  refused: number;
}
