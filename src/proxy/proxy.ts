import type { FastifyBaseLogger, FastifyRequest } from 'fastify';
import type { WebSocket } from 'ws';
import type { Mode } from '../message.ts';
import { Delivery } from '../shm/delivery.ts';
import { closeOnError } from '../shm/native.ts';
import type { RingStats } from '../shm/ring-buffer.ts';
import type { TopicName } from '../shm/topic-words.ts';
import { isHostAllowed, isLoopback, isOriginAllowed } from './addresses.ts';
import type { Answer } from './answers.ts';
import { type Asker, type Authenticator, type Identity, authenticator } from './auth.ts';
import { Brokers } from './brokers.ts';
import { Clients } from './clients.ts';
import { Connections } from './connections.ts';
import { Counters } from './counters.ts';
import { OrderUpdates } from './events.ts';
import { FeedLink } from './feed-link.ts';
import { FeedSources } from './feed-sources.ts';
import { FeedStatus } from './feed-status.ts';
import { payloads } from './frames.ts';
import type { Health, Liveness } from './health.ts';
import { TooManyKeyChecks } from './key-check-limits.ts';
import { KeyTrouble } from './key-trouble.ts';
import { MODES_HIGHEST_FIRST } from './modes.ts';
import { Monitor } from './monitor.ts';
import { marketOf, type ProxyOptions, type Settings, settingsOf } from './options.ts';
import { RefusedOrigins, shown } from './refused-origins.ts';
import type { SnapshotMessage, StatsReport } from './schemas.ts';
import { Stats } from './stats.ts';
import { Subscriber } from './subscriber.ts';
import { Turnstile } from './turnstile.ts';
import { UserNames } from './user-names.ts';
import { type Interest, type InterestListener, Subscriptions } from './subscriptions.ts';
import { UnservedTopics } from './unserved-topics.ts';
import { VerdictDelivery } from './verdict-delivery.ts';
import { Verdicts } from './verdicts.ts';
import { TickedTopics } from './topics.ts';

/** Name of the proxy in the rings. */
const NAME = 'proxy';

/** What a request may not do, in the form of an HTTP answer. */
export interface Rejection {
  statusCode: 401 | 403 | 429 | 503;
  code: 'AUTHENTICATION_ERROR' | 'ORIGIN_NOT_ALLOWED' | 'NOT_LOCAL' | 'RATE_LIMIT_EXCEEDED';
  message: string;
}

/** The proxy without its server: one reader of the ring, and the clients that get its ticks. */
export class Proxy {
  readonly settings: Settings;
  readonly #delivery: Delivery;
  readonly #authenticator: Authenticator;
  readonly #keyTrouble: KeyTrouble;
  readonly #counters = new Counters();
  /** Those that are no clients yet. */
  readonly connections: Connections;
  readonly #userNames = new UserNames();
  readonly #orders = new OrderUpdates();
  readonly #subscriptions: Subscriptions;
  readonly #topics: TickedTopics;
  readonly #monitor: Monitor;
  readonly #clients: Clients;
  readonly #stats: Stats;
  /** A change is told to clients at once: one that is over within a second is one too. */
  readonly #sources = new FeedSources(() => void this.#monitor.health());
  readonly #verdicts: Verdicts;
  readonly #unserved: UnservedTopics;
  readonly #log: FastifyBaseLogger;
  readonly #refusedOrigins: RefusedOrigins;
  #feeds: FeedLink | undefined;
  /** What the delivery thread said that failed last; undefined if none has. */
  lastDeliveryFailure: string | undefined;
  #closed: Promise<void> | undefined;

  /**
   * @throws {OpenAlgoShmError} `ERR_INVALID_OPTION`, `ERR_FILE` (keys), and those of attaching to the ring.
   */
  constructor(options: ProxyOptions, log: FastifyBaseLogger) {
    const settings = settingsOf(options);
    this.settings = settings;
    this.#log = log;
    this.#refusedOrigins = new RefusedOrigins(log);
    this.connections = new Connections(settings.limits, this.#counters);
    this.#keyTrouble = new KeyTrouble(log);
    const onTrouble = (error: unknown): void => log.warn({ err: error }, 'keys could not be checked again');
    this.#authenticator = authenticator(settings.auth, settings.ring.name, onTrouble);
    this.#delivery = closeOnError(this.#authenticator, () => this.#openDelivery());
    this.#topics = new TickedTopics(this.#delivery);
    this.#subscriptions = new Subscriptions(this.#delivery);
    const feedStatus = new FeedStatus();
    this.#monitor = new Monitor(
      this.#delivery,
      { staleAfterMs: settings.staleAfter, market: marketOf(settings), openingGraceMs: settings.openingGrace },
      this.#sources,
      { onHealthChanged: (health) => feedStatus.announce(health) },
      log,
    );
    const subscriber = new Subscriber(this.#subscriptions, this.#delivery, this.#counters, {
      maxSubscriptions: settings.limits.subscriptionsPerClient,
      maxUnknownTopics: settings.limits.unknownTopicsPerClient,
    });
    const verdictDelivery = new VerdictDelivery(this.#subscriptions, this.#counters);
    this.#verdicts = new Verdicts(verdictDelivery, () => this.#areAllTelling());
    this.#unserved = new UnservedTopics(this.#subscriptions, this.#verdicts, this.#sources);
    const services = {
      settings,
      authenticator: this.#authenticator,
      brokers: new Brokers(this.#monitor, this.#sources, settings.broker, settings.supportedBrokers),
      connections: this.connections,
      counters: this.#counters,
      delivery: this.#delivery,
      feedStatus,
      keyTrouble: this.#keyTrouble,
      monitor: this.#monitor,
      orders: this.#orders,
      subscriber,
      turnstile: new Turnstile(),
      userNames: this.#userNames,
      verdicts: this.#verdicts,
      verdictDelivery,
    };
    this.#clients = new Clients(services, log);
    this.#stats = new Stats({
      delivery: this.#delivery,
      monitor: this.#monitor,
      clients: this.#clients,
      subscriptions: this.#subscriptions,
      orders: this.#orders,
      counters: this.#counters,
      sources: this.#sources,
      unserved: this.#unserved,
      feedEvents: () => this.#feeds?.eventCounts() ?? { unknown: 0, lost: 0 },
    });
  }

  /** Starts to watch the ring and the clients. */
  start(): void {
    this.#monitor.start();
    this.#clients.start();
    this.#linkFeeds();
  }

  /** Why this request may not become a WebSocket; undefined if it may. */
  rejectionOf(request: FastifyRequest): Rejection | undefined {
    const { open } = this.#authenticator;
    if (open && !isLoopback(request.raw.socket.remoteAddress)) {
      this.#counters.refuse('not_local');
      const message = 'Without authentication only clients of this machine may connect; set the option auth';
      return { statusCode: 403, code: 'NOT_LOCAL', message };
    }
    const { origin } = request.headers;
    if (isOriginAllowed(origin, this.settings.origins, open)) return undefined;
    this.#counters.refuse('origin');
    this.#refusedOrigins.note('origin', String(origin));
    const message = `Pages of ${shown(String(origin))} may not connect; add it to the option origins`;
    return { statusCode: 403, code: 'ORIGIN_NOT_ALLOWED', message };
  }

  /** Why this request may not see figures and prices; undefined if it may. */
  async httpRejectionOf(request: FastifyRequest): Promise<Rejection | undefined> {
    if (this.#authenticator.open) return this.rejectionOf(request) ?? this.#hostRejectionOf(request);
    const key = keyOf(request);
    let identity: Identity | undefined;
    try {
      identity = key === undefined ? undefined : await this.#authenticator.verify(key, askerOf(request));
    } catch (error) {
      if (error instanceof TooManyKeyChecks) {
        this.#counters.refuse('too_many_key_checks');
        return { statusCode: 429, code: 'RATE_LIMIT_EXCEEDED', message: error.message };
      }
      this.#keyTrouble.note(error);
      const message = 'The API key could not be checked; try again';
      return { statusCode: 503, code: 'AUTHENTICATION_ERROR', message };
    }
    if (identity !== undefined) return undefined;
    this.#counters.refuse('authentication');
    return {
      statusCode: 401,
      code: 'AUTHENTICATION_ERROR',
      message: 'Send a valid API key in the header X-API-Key, or as a bearer token',
    };
  }

  // A WebSocket of a page always comes with its Origin; without one it is no page's, and its Host says nothing.
  #hostRejectionOf({ headers }: FastifyRequest): Rejection | undefined {
    const { origin } = headers;
    // In HTTP/2 browsers send the name as the authority, and no Host.
    const host = headers[':authority']?.toString() ?? headers.host;
    if (origin !== undefined || isHostAllowed(host, this.settings.origins)) return undefined;
    this.#counters.refuse('origin');
    this.#refusedOrigins.note('host', String(host));
    const message = `${shown(String(host))} is no name of this machine; add its origin to the option origins`;
    return { statusCode: 403, code: 'ORIGIN_NOT_ALLOWED', message };
  }

  /** Takes over a WebSocket. */
  admit(webSocket: WebSocket, request: FastifyRequest): void {
    this.#clients.admit(webSocket, request);
  }

  /** The figures of `GET /stats`. */
  stats(): StatsReport {
    return this.#stats.report();
  }

  /** Times that a delivery thread has failed and was started anew. */
  deliveryRestarts(): number {
    return this.#delivery.threads().reduce((sum, { restarts }) => sum + restarts, 0);
  }

  /** Instruments that clients want and no feed has taken; null while no feed tells. */
  symbolsWithoutSource(): number | null {
    return this.#unserved.count();
  }

  /** Subscriptions that ended because the broker refused them, since the start. */
  subscriptionsRefused(): number {
    return this.#counters.subscriptionsRefused;
  }

  /** Whether ticks come as they should; at any hour, or at those of the option `marketHours`. */
  health(): Health {
    return this.#monitor.health();
  }

  /** Whether the process itself works, whatever the feeds do: what a restart may mend. */
  liveness(): Liveness {
    return this.#monitor.liveness();
  }

  /** True while the market is open, and without the option `marketHours`. */
  isMarketOpen(): boolean {
    return this.#monitor.isMarketOpen();
  }

  /** The last values of an instrument, of any age, as a client would get them on subscribing; without a mode in the richest form there is. Undefined if there was no tick. */
  async lastTick(exchange: string, symbol: string, mode?: Mode): Promise<SnapshotMessage | undefined> {
    const modes = mode === undefined ? MODES_HIGHEST_FIRST : [mode];
    const frame = await this.#delivery.snapshot(exchange, symbol, modes);
    const [payload] = frame === undefined ? [] : payloads(frame);
    return payload && (JSON.parse(payload.bytes.toString('utf8')) as SnapshotMessage);
  }

  /** Instruments that have ticked, by words of their names; `total` counts those beyond `most` too. */
  searchTopics(query: string, most: number): { found: TopicName[]; total: number } {
    return this.#topics.search(query, most);
  }

  /** The ring and all that use it; undefined while it cannot be looked at. */
  ring(): RingStats | undefined {
    return this.#monitor.ring();
  }

  /** Calls back whenever what all clients together want changes. */
  onInterest(listener: InterestListener): void {
    this.#subscriptions.onInterest((interest) => {
      try {
        listener(interest);
      } catch (error) {
        this.#log.error({ err: error }, 'a listener of what clients want has failed');
      }
    });
  }

  /** What all clients together want now. */
  interests(): Interest[] {
    return [...this.#subscriptions.interests()];
  }

  /**
   * Sends an order update to the sessions of its user that asked for them.
   *
   * @returns the number of sessions that it went to.
   */
  deliverOrderUpdate(userId: string, payload: Answer): number {
    return this.#orders.deliver([userId], payload);
  }

  /** Sees the clients off and leaves the ring. Idempotent. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  /** Whether all that publish now tell what their brokers take and refuse. */
  #areAllTelling(): boolean {
    const publishers = this.#monitor.ring()?.publishers ?? [];
    return publishers.every(({ alive, publisher }) => !alive || this.#sources.tellsResults(publisher));
  }

  #openDelivery(): Delivery {
    const { ring, threads, highWaterMark, slowClientTimeout, snapshot, snapshotMaxAge } = this.settings;
    const carriedMaxAge = snapshot ? snapshotMaxAge : 0;
    return new Delivery(
      { ring, name: NAME, threads, highWaterMark, slowClientTimeout, carriedMaxAge },
      {
        failed: (client) => this.#clients.failed(client),
        stuck: (client) => this.#clients.stuck(client),
        handed: (clients, frames) => this.#clients.handed(clients, frames),
        panicked: (message) => {
          this.lastDeliveryFailure = message;
          this.#log.error(
            { message },
            'a delivery thread has failed and is started anew; its clients lose their connections',
          );
        },
      },
    );
  }

  #linkFeeds(): void {
    const feeds = new FeedLink({
      ringName: this.settings.ring.name,
      name: NAME,
      isOpen: this.#authenticator.open,
      sources: this.#sources,
      userNames: this.#userNames,
      verdicts: this.#verdicts,
      orders: this.#orders,
      interests: () => this.#subscriptions.interests(),
      log: this.#log,
    });
    this.onInterest((interest) => feeds.want(interest));
    this.#feeds = feeds;
  }

  async #close(): Promise<void> {
    this.#monitor.stop();
    await this.#clients.closeAll();
    this.#feeds?.close();
    this.#stats.stop();
    this.#authenticator.close();
    this.#delivery.close();
  }
}

/** The key of a request: scrapers of metrics can send bearer tokens more easily than headers of another name. */
function keyOf({ headers }: FastifyRequest): string | undefined {
  const own = headers['x-api-key'];
  return typeof own === 'string' ? own : /^Bearer +(\S+)$/i.exec(headers.authorization ?? '')?.[1];
}

function askerOf({ ip, raw: { socket } }: FastifyRequest): Asker {
  return {
    address: ip,
    get isGone() {
      return socket.destroyed;
    },
  };
}
