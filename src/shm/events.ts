import { OpenAlgoShmError } from '../errors.ts';
import { CompanionReader, CompanionWriter } from './companion-ring.ts';

/** Options of both ends of the events. */
export interface EventOptions {
  /** Name of the ring of ticks; the events go through `NAME.events`. Default `ws_proxy_buffer`. */
  name?: string;
  /** Name that monitors see, at most 48 bytes. Default `feed` for who publishes, `proxy` for who reads. */
  ownerName?: string;
}

/** A small JSON object with a `type`, such as an order update. */
export interface RingEvent {
  readonly type: string;
  readonly [key: string]: unknown;
}

/** Longest event, in bytes of UTF-8 as JSON. */
export const MAX_EVENT_BYTES = 2016;

/** Words of an event; the ring crate's `event.rs` is the source. */
const LENGTH_WORD = 0;
const TEXT_WORD = 1;
/** How often both ends look whether the ring was created anew, and a reader whether the feeds live, ms. */
const FOLLOW_INTERVAL_MS = 1000;
/** How long a look at who owns the lanes holds, ms. */
const FRESH_MS = 5;

/** Publishes events to all proxies. They are rare; each goes out at once. */
export class EventPublisher {
  readonly #writer: CompanionWriter;
  readonly #timer: NodeJS.Timeout;

  /** @throws `ERR_NO_FREE_LANE` and those of opening a ring */
  constructor(options: EventOptions = {}) {
    this.#writer = new CompanionWriter('events', options.name, options.ownerName ?? 'feed');
    this.#timer = setInterval(() => this.#writer.follow(), FOLLOW_INTERVAL_MS).unref();
  }

  /** @throws `ERR_MESSAGE_TOO_LONG` for more than 2016 bytes */
  publish(event: RingEvent): void {
    const text = JSON.stringify(event);
    const length = Buffer.byteLength(text);
    if (length > MAX_EVENT_BYTES) {
      throw new OpenAlgoShmError(
        'ERR_MESSAGE_TOO_LONG',
        `an event of type ${event.type} is ${length} bytes long as JSON, at most ${MAX_EVENT_BYTES} fit`,
      );
    }
    // An event is not repeated: none may go into a ring that nobody reads any more.
    this.#writer.follow();
    this.#writer.write((buffer, at) => {
      buffer.u32[(at + LENGTH_WORD) * 2] = length;
      buffer.u32[(at + LENGTH_WORD) * 2 + 1] = 0;
      buffer.bytes.write(text, (at + TEXT_WORD) * 8);
      return TEXT_WORD + Math.ceil(length / 8);
    });
    this.#writer.flush();
  }

  /** Gives the lane back. Idempotent. */
  close(): void {
    clearInterval(this.#timer);
    this.#writer.close();
  }
}

/** Reads the events of all feeds, from now on. */
export class EventReader {
  readonly #reader: CompanionReader;
  readonly #timer: NodeJS.Timeout;
  readonly #listeners: ((event: RingEvent, publisher: string, lane: number) => void)[] = [];
  readonly #goneListeners: ((lane: number) => void)[] = [];
  /** The processes of the lanes that events have come from. */
  readonly #owners = new Map<number, number>();
  #lookedAt = -Infinity;
  #eventsMalformed = 0;

  /** @throws those of opening a ring */
  constructor(options: EventOptions = {}) {
    this.#reader = new CompanionReader('events', options.name, options.ownerName ?? 'proxy', (buffer, at, lane) => {
      const length = Math.min(buffer.u32[(at + LENGTH_WORD) * 2]!, MAX_EVENT_BYTES);
      const from = (at + TEXT_WORD) * 8;
      this.#deliver(buffer.bytes.toString('utf8', from, from + length), lane);
    });
    this.#timer = setInterval(() => this.#look(), FOLLOW_INTERVAL_MS).unref();
  }

  /** Calls back for every event with the name and the lane of the feed that published it. */
  onEvent(listener: (event: RingEvent, publisher: string, lane: number) => void): void {
    this.#listeners.push(listener);
  }

  /** Calls back with the lane of a feed that has published events and is gone, however it ended: within a second. */
  onGone(listener: (lane: number) => void): void {
    this.#goneListeners.push(listener);
  }

  /** Events that were overwritten before they were read, and those that were no JSON object with a type. */
  getStats(): { eventsLost: number; eventsMalformed: number } {
    return { eventsLost: this.#reader.messagesLost, eventsMalformed: this.#eventsMalformed };
  }

  /** Leaves the ring. Idempotent. */
  close(): void {
    clearInterval(this.#timer);
    this.#reader.close();
  }

  #deliver(text: string, lane: number): void {
    const event = parse(text);
    if (event === undefined) {
      this.#eventsMalformed++;
      return;
    }
    this.#noteOwner(lane);
    const publisher = this.#reader.ownerOf(lane);
    for (const listener of this.#listeners) listener(event, publisher, lane);
  }

  #noteOwner(lane: number): void {
    if (this.#owners.has(lane) && performance.now() - this.#lookedAt < FRESH_MS) return;
    const owners = this.#forgetTheGone();
    this.#owners.set(lane, owners.get(lane) ?? 0);
  }

  #look(): void {
    if (this.#reader.follow()) this.#forget([...this.#owners.keys()]);
    else if (this.#owners.size > 0) this.#forgetTheGone();
  }

  /** The living owners of all lanes, after those that are gone have been told. */
  #forgetTheGone(): Map<number, number> {
    this.#lookedAt = performance.now();
    const { publishers } = this.#reader.ringStats();
    const owners = new Map(publishers.filter(({ alive }) => alive).map(({ lane, pid }) => [lane, pid]));
    this.#forget([...this.#owners].filter(([lane, pid]) => owners.get(lane) !== pid).map(([lane]) => lane));
    return owners;
  }

  #forget(lanes: readonly number[]): void {
    for (const lane of lanes) {
      this.#owners.delete(lane);
      for (const listener of this.#goneListeners) listener(lane);
    }
  }
}

/** Another process may have written anything. */
function parse(text: string): RingEvent | undefined {
  try {
    const value: unknown = JSON.parse(text);
    const isEvent =
      typeof value === 'object' && value !== null && typeof (value as { type?: unknown }).type === 'string';
    return isEvent ? (value as RingEvent) : undefined;
  } catch {
    return undefined;
  }
}
