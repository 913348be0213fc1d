import type { Subscriber } from 'zeromq';
import { OpenAlgoShmError } from '../errors.ts';
import { whenNameIsFree } from '../shm/busy-name.ts';
import type { RingInfo } from '../shm/ring-buffer.ts';
import { isRecord, type RawRecord } from './dialect-values.ts';
import type { TickNormaliserOptions } from './dialect.ts';
import { SILENT, type FeedLog } from './feed-log.ts';
import { PublishingFeed, type FeedOptions } from './feed.ts';
import { LiveEvents, type EventCounters } from './live-events.ts';
import { LiveTicks, liveCounters, type LiveCounters } from './live-ticks.ts';
import { giveTurn } from './pace.ts';
import { parsePythonJson } from './python-json.ts';
import { parseTopic, type BusTopic } from './zmq-topic.ts';

export interface ZmqFeedOptions extends FeedOptions, TickNormaliserOptions {
  /** Where the bus is: OpenAlgo's adapters connect to it. Default `tcp://127.0.0.1:5555`. */
  bind?: string;
  /** Where to say what happens. Default: nowhere. */
  log?: FeedLog;
}

/** What this feed counts. */
export interface ZmqCounters extends LiveCounters, EventCounters {
  /** Messages of the bus that are of no concern to clients. */
  cacheInvalidations: number;
  positions: number;
  margins: number;
}

const DEFAULT_BIND = 'tcp://127.0.0.1:5555';
/** A host, an interface or `*`, and a port, of which ZeroMQ chooses one itself for `*` and 0. */
const TCP_ENDPOINT = /^tcp:\/\/(?:\[[\da-f:.%\w]+\]|[\w.*-]+):(\d{1,5}|\*)$/i;
const IPC_ENDPOINT = /^(?:ipc|inproc):\/\/\S+$/;
const LAST_PORT = 65_535;
/** Messages that wait for this process before the adapters' sockets begin to drop them without a word. */
const HIGH_WATER_MARK = 100_000;
/** Messages after which others on the event loop have a turn. */
const SLICE = 256;

/** Takes the place of the SUB side of OpenAlgo's ZeroMQ bus: publishes every tick that its adapters send. */
export class ZmqFeed extends PublishingFeed<ZmqCounters> {
  readonly #options: ZmqFeedOptions;
  readonly #log: FeedLog;
  #endpoint: string | undefined;

  /** @throws OpenAlgoShmError `ERR_INVALID_OPTION` */
  constructor(options: ZmqFeedOptions = {}) {
    super(
      { ...options, publisherName: options.publisherName ?? 'zmq' },
      { ...liveCounters(), orderUpdates: 0, eventsDropped: 0, cacheInvalidations: 0, positions: 0, margins: 0 },
    );
    checkEndpoint(options.bind ?? DEFAULT_BIND);
    this.#options = options;
    this.#log = options.log ?? SILENT;
  }

  /** Where it is bound; undefined before. */
  get endpoint(): string | undefined {
    return this.#endpoint;
  }

  protected async run(ring: RingInfo, signal: AbortSignal): Promise<void> {
    const socket = await subscriber();
    const close = () => socket.close();
    signal.addEventListener('abort', close);
    let events: LiveEvents | undefined;
    try {
      if (signal.aborted) return;
      events = await whenNameIsFree(() => new LiveEvents(ring.name, this.name, this.counters, this.#log));
      await this.#bind(socket);
      events.up(this.name);
      const ticks = new LiveTicks(
        this.counters,
        () => this.depthLevels,
        (tick) => this.offer(tick),
        this.#log,
        this.#options,
      );
      socket.subscribe();
      for await (const frames of socket) {
        this.#receive(frames, ticks, events);
        if (this.counters.received % SLICE === 0) await giveTurn();
        if (signal.aborted) break;
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      signal.removeEventListener('abort', close);
      if (!socket.closed) socket.close();
      events?.close();
    }
  }

  async #bind(socket: Subscriber): Promise<void> {
    const endpoint = this.#options.bind ?? DEFAULT_BIND;
    try {
      await socket.bind(endpoint);
    } catch (cause) {
      const reason = (cause as Error).message;
      if ((cause as { code?: unknown }).code === 'EADDRINUSE') {
        throw new OpenAlgoShmError(
          'ERR_PORT_IN_USE',
          `${endpoint} is taken, perhaps by OpenAlgo's own WebSocket server, whose place this feed takes: stop it, or bind elsewhere`,
          { cause },
        );
      }
      throw new OpenAlgoShmError('ERR_INVALID_OPTION', `bind is '${endpoint}', which cannot be bound: ${reason}`, {
        cause,
      });
    }
    this.#endpoint = socket.lastEndpoint ?? endpoint;
    this.#log.info(`bound to ${this.#endpoint}`);
  }

  #receive(frames: readonly Buffer[], ticks: LiveTicks, events: LiveEvents): void {
    this.counters.received++;
    const [name = '', text = ''] = frames.map(String);
    if (frames.length !== 2) return ticks.malformed(`${frames.length} frames instead of 2`, name);
    const topic = parseTopic(name);
    if (topic === undefined) return ticks.malformed('unknown topic', name);
    if (this.#isSkipped(topic)) return;
    const payload = parse(text);
    if (payload === undefined) return ticks.malformed(`no JSON object under ${name}`, text);
    if (topic.kind === 'tick') ticks.publish(payload, topic);
    else if (topic.kind === 'orders') events.order(orderUpdate(payload, topic), [topic.userId]);
  }

  #isSkipped({ kind }: BusTopic): boolean {
    if (kind === 'cache') this.counters.cacheInvalidations++;
    else if (kind === 'positions') this.counters.positions++;
    else if (kind === 'margins') this.counters.margins++;
    else return false;
    return true;
  }
}

/**
 * A ring is made before the bus is bound, so what cannot be an address is refused before either.
 * @throws OpenAlgoShmError `ERR_INVALID_OPTION`
 */
function checkEndpoint(bind: string): void {
  const [, port] = TCP_ENDPOINT.exec(bind) ?? [];
  if (port === '*' || (port !== undefined && Number(port) <= LAST_PORT) || IPC_ENDPOINT.test(bind)) return;
  throw new OpenAlgoShmError(
    'ERR_INVALID_OPTION',
    `bind is ${JSON.stringify(bind)}, expected an address such as ${DEFAULT_BIND} or ipc:///tmp/bus`,
  );
}

/** As OpenAlgo's server completes what its adapters send. */
function orderUpdate(payload: RawRecord, { userId, mode, broker }: Extract<BusTopic, { kind: 'orders' }>): RawRecord {
  return { mode, ...(broker !== undefined && { broker }), ...payload, type: 'order_update', user_id: userId };
}

function parse(text: string): RawRecord | undefined {
  try {
    const value = parsePythonJson(text);
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** A socket of the `zeromq` package, which only this feed needs and not everybody installs. */
async function subscriber(): Promise<Subscriber> {
  try {
    const { Subscriber } = await import('zeromq');
    return new Subscriber({ receiveHighWaterMark: HIGH_WATER_MARK, linger: 0 });
  } catch (cause) {
    throw new OpenAlgoShmError(
      'ERR_NOT_INSTALLED',
      `the package zeromq is missing or cannot be loaded here: npm install zeromq@6 (${(cause as Error).message})`,
      { cause },
    );
  }
}
