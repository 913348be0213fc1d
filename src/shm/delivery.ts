import { NativeDelivery, NativeRing } from './native-binding.ts';
import { OpenAlgoShmError } from '../errors.ts';
import type { Mode } from '../message.ts';
import { closeOnError, native } from './native.ts';
import { nativeOptions, type RingOptions, withoutWaiting } from './options.ts';
import { ringStats, type RingInfo, type RingStats } from './ring-buffer.ts';
import type { TopicName } from './topic-words.ts';

/** Options of delivery. */
export interface DeliveryOptions {
  /** The ring to read; the first process creates it with these options. */
  ring: RingOptions;
  /** Name of its readers that monitors see; with several threads their numbers are added. */
  name: string;
  /** Threads, at least 1. */
  threads: number;
  /** Unsent bytes of a client beyond which only the newest tick of each of its topics and modes is kept. */
  highWaterMark: number;
  /** Time in ms without progress after which a client with unsent bytes is stuck. */
  slowClientTimeout: number;
  /** Up to which age last values of another proxy, which a feed passes on, go to subscribers, ms. */
  carriedMaxAge: number;
}

/** What delivery tells, on the event loop. Clients are given by their numbers. */
export interface DeliveryEvents {
  /** A client's connection has failed, or the thread that served it has. */
  failed(client: number): void;
  /** A client has taken nothing for `slowClientTimeout`. */
  stuck(client: number): void;
  /** Whole frames for clients that are not served through a socket. */
  handed(clients: Uint32Array, frames: Buffer): void;
  /** A thread has panicked; it is started again, its clients are among the failed ones. */
  panicked(message: string): void;
}

/** What a client has got. */
export interface DeliveredToClient {
  id: number;
  /** From 0. */
  thread: number;
  /** Ticks handed to its connection. */
  sent: number;
  /** Ticks that newer ones took the place of. */
  conflated: number;
  /** Bytes that the system has not taken. */
  backlog: number;
  isConflated: boolean;
}

/** Figures of one thread. Counts are those since the start, also of the threads that it was started anew for. */
export interface DeliveryThreadFigures {
  /** Name of its reader in the ring. */
  name: string;
  clients: number;
  received: number;
  lost: number;
  corrupt: number;
  lag: number;
  dropped: number;
  batches: number;
  sent: number;
  conflated: number;
  conflatedClients: number;
  audiences: number;
  restarts: number;
  /** False from its failure until it runs again. */
  isRunning: boolean;
}

/** Percentiles, ns. */
export interface LatencyPercentiles {
  count: number;
  p50: number;
  p99: number;
  p999: number;
  max: number;
}

/** Latencies since the threads have started, at most 0.1 s old. */
export interface DeliveryLatencies {
  /** From the publishers' stamps to the read. */
  read: LatencyPercentiles;
  /** From the publishers' stamps until the ticks were written to the last client; sampled. */
  delivery: LatencyPercentiles;
  /** Upper bounds of the buckets but the last, ns. */
  boundsNs: number[];
  /** Deliveries in each bucket. */
  counts: number[];
  /** Sum of all deliveries' latencies, ns. */
  sumNs: number;
}

/** `interval_ms` of a change that ends a subscription. */
export const LEAVE = -1;
/** Symbol of a topic that stands for all of its exchange. */
export const WILDCARD = '*';

/**
 * Brings a ring's ticks to clients, in threads of its own: they read, encode and write; a busy event loop holds no
 * tick up. All bytes to a client that is served through its socket go through here, in the order of the calls.
 */
export class Delivery {
  readonly #options: DeliveryOptions;
  readonly #events: DeliveryEvents;
  readonly #delivery: NativeDelivery;
  readonly #asked = new Map<number, (frame: Buffer | undefined) => void>();
  /** What is called once a request is fulfilled. */
  readonly #requests = new Map<number, { client: number; callback: () => void }>();
  #ring: NativeRing;

  /**
   * Attaches to the ring as it is, or creates it, and starts the threads.
   *
   * @throws `ERR_NO_FREE_CONSUMER`, `ERR_INVALID_OPTION`, and those of a ring
   */
  constructor(options: DeliveryOptions, events: DeliveryEvents) {
    this.#options = options;
    this.#events = events;
    this.#ring = native(() => NativeRing.createOrAttach(nativeOptions(options.ring)));
    const { name, threads, highWaterMark, slowClientTimeout, carriedMaxAge } = options;
    const nativeDeliveryOptions = {
      name,
      threads,
      wait: options.ring.wait ?? 'adaptive',
      highWaterMark,
      slowClientTimeoutMs: slowClientTimeout,
      carriedMaxAgeMs: carriedMaxAge,
    };
    this.#delivery = closeOnError(
      this.#ring,
      () => new NativeDelivery(this.#ring, nativeDeliveryOptions, () => this.#takeEvents()),
    );
  }

  /**
   * The number of a topic that is about to be wanted: its own until it has been let go by {@link releaseTopic} as often
   * as it was asked for. With the symbol `*` it stands for all of an exchange, with exchange and symbol `*` for everything.
   *
   * @throws `ERR_INVALID_SYMBOL`; `ERR_INVALID_ARGUMENT` when 262,144 topics are wanted that never ticked
   */
  holdTopic(exchange: string, symbol: string): number {
    const topic = native(() => this.#delivery.holdTopic(exchange, symbol));
    if (topic < 0) throw new OpenAlgoShmError('ERR_INVALID_ARGUMENT', 'too many topics: this name is not kept');
    return topic;
  }

  /** Holds a topic once more whose number is held already. */
  holdAgain(topic: number): void {
    this.#delivery.holdAgain(topic);
  }

  /** Lets go of a topic's number. After the last time it is forgotten once no thread has it, unless the topic has ticked. */
  releaseTopic(topic: number): void {
    this.#delivery.releaseTopic(topic);
  }

  /** The number of a topic that has ticked or is wanted; undefined of any other. */
  findTopic(exchange: string, symbol: string): number | undefined {
    const topic = native(() => this.#delivery.findTopic(exchange, symbol));
    return topic < 0 ? undefined : topic;
  }

  /** Exchange and symbol of a topic whose number is held; undefined for any other. */
  topicName(topic: number): TopicName | undefined {
    return this.#delivery.topicName(topic) ?? undefined;
  }

  /** Whether a topic whose number is held has ever ticked. */
  hasTicked(topic: number): boolean {
    return this.#delivery.hasTicked(topic);
  }

  /** Number of topics that have ticked. */
  tickedCount(): number {
    return native(() => this.#delivery.tickedCount());
  }

  /** Topics that have ticked, in the order of their first ticks: at most `most`, without the first `from`. */
  ticked(from: number, most: number): TopicName[] {
    return native(() => this.#delivery.ticked(from, most));
  }

  /** Attaches a client whose bytes all go to this socket from now on; undefined where the system does not allow it. */
  attach(descriptor: number, messagePack: boolean): number | undefined {
    const client = native(() => this.#delivery.attach(descriptor, messagePack));
    return client < 0 ? undefined : client;
  }

  /** Attaches a client whose frames are handed over, and to be acknowledged. */
  attachHanded(messagePack: boolean): number {
    return native(() => this.#delivery.attachHanded(messagePack));
  }

  /** Ends all of a client, and closes the descriptor that was made for it. */
  detach(client: number): void {
    this.#delivery.detach(client);
  }

  /** Sends whole frames to a client that is served through its socket. Nothing follows a close frame. */
  send(client: number, frames: Uint8Array): void {
    native(() => this.#delivery.send(client, frames));
  }

  /** Changes what a client wants: three numbers a change, topic, mode and interval in ms, or {@link LEAVE}. */
  change(client: number, changes: Int32Array): void {
    native(() => this.#delivery.change(client, changes));
  }

  /** Makes one of all that is told to delivery within the call: no tick comes in between. */
  together(call: () => void): void {
    native(() => this.#delivery.gather());
    try {
      call();
    } finally {
      this.#delivery.releaseGathered();
    }
  }

  /** Ends all that a client wants. */
  release(client: number): void {
    this.#delivery.release(client);
  }

  /** Sends last values of what a client has subscribed to: two numbers each, topic and mode; with `oldestMs` none that is older. */
  sendSnapshots(client: number, wanted: Int32Array, oldestMs: number | undefined): void {
    native(() => this.#delivery.sendSnapshots(client, wanted, oldestMs));
  }

  /** Ends the ticks of a client, and calls back once it has got what is on its way or kept, or is gone. */
  finish(client: number, callback: () => void): void {
    this.#await(
      client,
      native(() => this.#delivery.finish(client)),
      callback,
    );
  }

  /** Calls back once the system has taken all that was said to a client before, or the client is gone. */
  whenFlushed(client: number, callback: () => void): void {
    this.#await(
      client,
      native(() => this.#delivery.tellWhenFlushed(client)),
      callback,
    );
  }

  /** Whether any thread runs: else nobody would serve a new client. */
  isRunning(): boolean {
    return this.#delivery.isRunning();
  }

  /** So many bytes of the frames that were handed over for a client were passed on. */
  acknowledge(client: number, bytes: number): void {
    this.#delivery.acknowledge(client, bytes);
  }

  /** The last value of a topic as a frame, in the first of these modes that has one; undefined if there is none. */
  async snapshot(exchange: string, symbol: string, modes: readonly Mode[]): Promise<Buffer | undefined> {
    const query = native(() => this.#delivery.askSnapshot(exchange, symbol, [...modes]));
    if (query === 0) return undefined;
    return new Promise((resolve) => this.#asked.set(query, resolve));
  }

  /** Bytes of a client that the system has not taken. */
  backlog(client: number): number {
    return this.#delivery.backlog(client);
  }

  /** The clients with the most untaken bytes, then the most conflated ticks, then the most ticks. */
  furthestBehind(most: number): DeliveredToClient[] {
    return this.#delivery.furthestBehind(most);
  }

  /** Figures of each thread. */
  threads(): DeliveryThreadFigures[] {
    return native(() => this.#delivery.threads());
  }

  /** Latencies of a thread (from 0), or of all together. */
  latencies(thread?: number): DeliveryLatencies {
    return native(() => this.#delivery.latencies(thread));
  }

  /** False once the ring was removed or created anew: time to {@link reattach}. */
  isCurrent(): boolean {
    return native(() => this.#ring.isCurrent());
  }

  /**
   * Joins the ring that has the name now (created if need be), from its oldest message on. Clients, topics, last values
   * and counts stay; what was not read before is lost.
   *
   * @throws `ERR_SHM_BUSY` while another process creates or removes it, and those of a ring: try again later
   */
  reattach(): void {
    const ring = withoutWaiting(() => native(() => NativeRing.createOrAttach(nativeOptions(this.#options.ring))));
    closeOnError(ring, () => this.#delivery.reattach(ring));
    this.#ring.close();
    this.#ring = ring;
  }

  ringInfo(): RingInfo {
    return native(() => this.#ring.info()) as RingInfo;
  }

  ringStats(): RingStats {
    return ringStats(native(() => this.#ring.stats()));
  }

  /** Makes a thread panic, for tests of what follows. */
  panic(thread: number): void {
    native(() => this.#delivery.panic(thread));
  }

  /** Ends the threads and all clients' delivery. Idempotent; most calls after it throw `ERR_CLOSED`. */
  close(): void {
    this.#delivery.close();
    this.#ring.close();
    for (const answer of this.#asked.values()) answer(undefined);
    this.#asked.clear();
  }

  #takeEvents(): void {
    let events;
    try {
      events = this.#delivery.takeEvents();
    } catch {
      // Closed while the call was on its way, which is the one thing that it fails for.
      return;
    }
    const { fulfilled, failed, stuck, handed, snapshots, panics } = events;
    for (const { clients, frames } of handed) this.#events.handed(clients, frames);
    for (const request of fulfilled) this.#fulfil(request);
    for (const client of stuck) this.#events.stuck(client);
    for (const message of panics) this.#events.panicked(message);
    for (const client of failed) {
      // Those of a thread that has panicked are not fulfilled.
      for (const [request, { client: of }] of this.#requests) if (of === client) this.#requests.delete(request);
      this.#events.failed(client);
    }
    for (const { query, frame } of snapshots) {
      this.#asked.get(query)?.(frame ?? undefined);
      this.#asked.delete(query);
    }
  }

  #await(client: number, request: number, callback: () => void): void {
    if (request === 0) setImmediate(callback);
    else this.#requests.set(request, { client, callback });
  }

  #fulfil(request: number): void {
    const callback = this.#requests.get(request)?.callback;
    this.#requests.delete(request);
    callback?.();
  }
}
