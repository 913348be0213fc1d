import { OpenAlgoShmError } from '../errors.ts';
import type { RingOptions } from '../shm/options.ts';
import type { AuthOption } from './auth.ts';
import type { DeliveryPath } from './connection.ts';
import { DEFAULT_TIME_ZONE, MarketHours } from './market-hours.ts';

/** Bounds that keep one client from taking what belongs to all. */
export interface Limits {
  /** Clients at the same time. Default 10,000. More are closed with 1013. */
  clients: number;
  /**
   * Clients of one address at the same time; more are closed with 1008. Default 100, and no bound for this
   * machine's own addresses, since behind a local reverse proxy all clients have those. Of IPv6 the addresses of one /64
   * network count as one.
   */
  clientsPerAddress: number;
  /**
   * Connections of one address at the same time that are no WebSocket clients, or not yet; more are closed at once. Default
   * as many as clients, but at least 100; and for this machine's own addresses, or with `trustProxy`, as many as `clients`,
   * since behind a reverse proxy all have one address. Holds for {@link WebSocketProxy} alone.
   */
  connectionsPerAddress: number;
  /** (topic, mode) pairs of a client. Default 10,000. More are refused one by one in the answer. */
  subscriptionsPerClient: number;
  /**
   * Bytes of a client's message. Default 64 KiB. A longer one closes the connection with 1009; before a client has
   * authenticated, so does one of more than 16 KiB that comes in several reads.
   */
  messageBytes: number;
  /** Bytes of a subscribe or unsubscribe with a list of symbols. Default 1 MiB: some 20,000 symbols. */
  bulkMessageBytes: number;
  /**
   * Messages of a client in a second. Default 1,000. Five times as many may come at once; then the client is read no faster
   * than that.
   */
  messagesPerSecond: number;
  /**
   * Entries of a client's lists, and last values that it asks for, in a second. In a message of more than 4 KiB every 100
   * bytes count as one more entry. Default 20,000. Ten times as many may come at once; then a subscribe, an unsubscribe
   * or a message of more than 4 KiB is refused with RATE_LIMIT_EXCEEDED until that is made up for.
   */
  entriesPerSecond: number;
  /**
   * Instruments of a client that have never ticked. Default 10,000; fewer once all clients together have asked for more
   * than 16,384 of them. More are refused one by one in the answer.
   */
  unknownTopicsPerClient: number;
}

/** Options of the proxy. All are optional. */
export interface ProxyOptions {
  /** The ring to read. Who comes first creates it with these options. */
  ring?: RingOptions;
  /** Who may connect. Default `'none'`: everybody on this machine, and nobody else. */
  auth?: AuthOption;
  /**
   * Origins whose pages may connect, like `https://app.example.com`; `*` for all. They, and no others, may read what
   * is answered over HTTP as well (CORS). A connection without an Origin is no page and always may. Default: with
   * `auth: 'none'` pages of this machine, else all, since a page has to know a key; nothing over HTTP.
   */
  origins?: readonly string[];
  /** Bounds; see {@link Limits} for each one's default. */
  limits?: Partial<Limits>;
  /** Bytes that a client may leave untaken before it gets only the newest tick of each topic. Default 1 MiB. */
  highWaterMark?: number;
  /** Time in ms after which a client that takes nothing is closed with 1013. Default 30,000. */
  slowClientTimeout?: number;
  /** Time in ms that a client has to authenticate in before it is closed with 4401. Default 15,000. */
  authTimeout?: number;
  /**
   * Time in ms that a subscribe waits for the broker's answer, where a feed tells it. Default 1,000; 0 for not at all.
   * What is refused later is told in a notice.
   */
  subscribeTimeout?: number;
  /** Time in ms between pings; a client that does not answer until the next is ended. Default 20,000; 0 for none. */
  pingInterval?: number;
  /** Time in ms that clients have to go in when the server closes. Default 5,000. */
  closeTimeout?: number;
  /** Silence of all feeds in ms after which they count as stale. Default 30,000; 0 for never. */
  staleAfter?: number;
  /**
   * When ticks are expected, as `Mon-Fri 09:00-15:30`: weekdays or a date, and times, separated by commas. At other times
   * silence, and a feed that is not there, are no fault in {@link Health}. A date adds a special session, on a holiday too.
   * Default: at any time.
   */
  marketHours?: string;
  /** Dates as `2026-11-25` on which sessions of weekdays are not held. Default none. */
  marketHolidays?: readonly string[];
  /** Time zone of the market, by its IANA name. Default `Asia/Kolkata`. */
  marketTimeZone?: string;
  /** Time in ms after the market has opened in which ticks may fail to come. Default 60,000. */
  openingGrace?: number;
  /** Whether a client gets the last values at once when it subscribes, unless it says itself what it wants. Default true. */
  snapshot?: boolean;
  /** Age in ms from which a last value is not sent unasked: `"snapshot": true` in a subscribe asks for any. Default 10,000. */
  snapshotMaxAge?: number;
  /** Native threads that bring ticks to clients; each reads the whole ring. Default 1. */
  threads?: number;
  /**
   * How ticks get to clients: `direct` from a native thread to plain sockets, or `ws` through JavaScript to all. Default
   * `direct`; TLS, compression and Windows always take the other way.
   */
  delivery?: DeliveryPath;
  /** Exchange of the short form of subscribe, which names none. Default `NSE`. */
  defaultExchange?: string;
  /** Name in the answers' `broker`. Default: what the key check says, else the first publisher's name. */
  broker?: string;
  /** Answer to `get_supported_brokers`. Default: the names of the publishers. */
  supportedBrokers?: readonly string[];
  /** Whether clients may have their messages compressed. Default false: it costs far more than it saves on a LAN. */
  perMessageDeflate?: boolean;
}

/** Options that have no default. */
type OptionalName = 'origins' | 'broker' | 'supportedBrokers' | 'marketHours';

/** The options with their defaults. */
export type Settings = Required<Omit<ProxyOptions, OptionalName | 'limits'>> &
  Pick<ProxyOptions, OptionalName> & {
    limits: Omit<Limits, PerAddress> & Partial<Pick<Limits, PerAddress>>;
  };

/** Limits whose default depends on the address. */
type PerAddress = 'clientsPerAddress' | 'connectionsPerAddress';

/** Clients of one address that is not this machine's. */
export const CLIENTS_OF_OTHER_ADDRESS = 100;

const LIMITS = {
  clients: 10_000,
  subscriptionsPerClient: 10_000,
  messageBytes: 64 * 1024,
  bulkMessageBytes: 1024 * 1024,
  messagesPerSecond: 1_000,
  entriesPerSecond: 20_000,
  unknownTopicsPerClient: 10_000,
};

const PER_ADDRESS: ReadonlySet<string> = new Set<PerAddress>(['clientsPerAddress', 'connectionsPerAddress']);

const DEFAULTS = {
  ring: {},
  auth: 'none',
  highWaterMark: 1024 * 1024,
  slowClientTimeout: 30_000,
  authTimeout: 15_000,
  subscribeTimeout: 1_000,
  pingInterval: 20_000,
  closeTimeout: 5_000,
  staleAfter: 30_000,
  marketHolidays: [],
  marketTimeZone: DEFAULT_TIME_ZONE,
  openingGrace: 60_000,
  snapshot: true,
  snapshotMaxAge: 10_000,
  threads: 1,
  delivery: 'direct',
  defaultExchange: 'NSE',
  perMessageDeflate: false,
} as const;

const OPTIONAL = ['origins', 'broker', 'supportedBrokers', 'marketHours', 'limits'];
/** Those of the plugin alone. */
const OF_PLUGIN = ['name', 'prefix', 'anyPath', 'dashboard'];
const TIMES = [
  'slowClientTimeout',
  'authTimeout',
  'subscribeTimeout',
  'pingInterval',
  'closeTimeout',
  'staleAfter',
  'openingGrace',
  'snapshotMaxAge',
] as const;
const MAY_BE_ZERO: ReadonlySet<string> = new Set([
  'subscribeTimeout',
  'pingInterval',
  'staleAfter',
  'openingGrace',
  'closeTimeout',
]);
/** Most threads: each needs a place among the ring's readers. */
export const MOST_THREADS = 64;
/** Longest time that a timer of Node.js can wait for. */
const LONGEST_MS = 2 ** 31 - 1;

/**
 * Checks the options and fills in the defaults.
 *
 * @throws {OpenAlgoShmError} `ERR_INVALID_OPTION`, which names the option, what it was and what it may be.
 */
export function settingsOf(options: ProxyOptions): Settings {
  const known = new Set([...Object.keys(DEFAULTS), ...OPTIONAL, ...OF_PLUGIN]);
  for (const name of Object.keys(options)) {
    if (!known.has(name)) throw invalid(`unknown option ${name}; known are ${[...known].join(', ')}`);
  }
  const settings: Settings = {
    ...DEFAULTS,
    ...defined(options),
    limits: { ...LIMITS, ...defined(options.limits ?? {}) },
  };
  for (const name of TIMES) wholeNumber(name, settings[name], MAY_BE_ZERO.has(name) ? 0 : 1, LONGEST_MS);
  wholeNumber('highWaterMark', settings.highWaterMark, 1, 2 ** 40);
  wholeNumber('threads', settings.threads, 1, MOST_THREADS);
  if (settings.delivery !== 'direct' && settings.delivery !== 'ws') {
    throw invalid(`delivery is ${String(settings.delivery)}, expected direct or ws`);
  }
  for (const [name, value] of Object.entries(settings.limits)) {
    if (!PER_ADDRESS.has(name) && !(name in LIMITS)) throw invalid(`unknown option limits.${name}`);
    wholeNumber(`limits.${name}`, value, 1, 2 ** 40);
  }
  for (const name of ['snapshot', 'perMessageDeflate'] as const) {
    if (typeof settings[name] !== 'boolean')
      throw invalid(`${name} is ${String(settings[name])}, expected true or false`);
  }
  if (typeof settings.defaultExchange !== 'string' || settings.defaultExchange === '') {
    throw invalid('defaultExchange must be the name of an exchange, like NSE');
  }
  checkMarket(settings);
  checkOrigins(settings.origins);
  checkAuth(settings.auth);
  return settings;
}

/** When ticks are expected; undefined for at any time. @throws {OpenAlgoShmError} `ERR_INVALID_OPTION` */
export function marketOf({ marketHours, marketHolidays, marketTimeZone }: Settings): MarketHours | undefined {
  return marketHours === undefined ? undefined : new MarketHours(marketHours, marketHolidays, marketTimeZone);
}

function checkMarket(settings: Settings): void {
  const { marketHours, marketHolidays, marketTimeZone } = settings;
  if (marketHours !== undefined && typeof marketHours !== 'string') {
    throw invalid('marketHours must be a text like "Mon-Fri 09:00-15:30"');
  }
  if (!Array.isArray(marketHolidays) || !marketHolidays.every((date) => typeof date === 'string')) {
    throw invalid('marketHolidays must be a list like ["2026-11-25"]');
  }
  if (typeof marketTimeZone !== 'string') throw invalid('marketTimeZone must be a name like Asia/Kolkata');
  if (marketHours === undefined && marketHolidays.length > 0) {
    throw invalid('marketHolidays is set without marketHours: say when the market is open on other days');
  }
  marketOf(settings);
}

function checkOrigins(origins: unknown): void {
  if (origins === undefined) return;
  if (!Array.isArray(origins)) throw invalid('origins must be a list like ["https://app.example.com"]');
  for (const origin of origins) checkOrigin(origin);
}

// As browsers send it: with a path behind it, or in capitals, it would never be found.
function checkOrigin(origin: unknown): void {
  if (origin === '*' || origin === 'null') return;
  const url = typeof origin === 'string' && URL.canParse(origin) ? new URL(origin) : undefined;
  if (url === undefined)
    throw invalid(`origins has ${String(origin)}, expected an origin like https://app.example.com`);
  // Those of other schemes, of extensions for instance, have no form that is known here.
  if (url.origin !== 'null' && url.origin !== origin) {
    throw invalid(`origins has ${String(origin)}, expected ${url.origin}`);
  }
}

function checkAuth(auth: unknown): void {
  if (auth === 'none' || typeof auth === 'function') return;
  if (typeof auth === 'object' && auth !== null) {
    if ('socket' in auth && auth.socket !== true && (typeof auth.socket !== 'string' || auth.socket === '')) {
      throw invalid('auth.socket must be the path of the socket, or true for that of the ring');
    }
    if (['keys', 'file', 'env', 'verify', 'openalgo', 'socket'].some((name) => name in auth)) return;
  }
  throw invalid('auth must be "none", a function, or an object with keys, file, env, verify, openalgo or socket');
}

function wholeNumber(name: string, value: unknown, least: number, most: number): void {
  if (Number.isInteger(value) && (value as number) >= least && (value as number) <= most) return;
  throw invalid(`${name} is ${String(value)}, expected a whole number from ${least} to ${most}`);
}

function defined<T extends object>(options: T): T {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as T;
}

function invalid(message: string): OpenAlgoShmError {
  return new OpenAlgoShmError('ERR_INVALID_OPTION', message);
}
