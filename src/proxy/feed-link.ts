import type { FastifyBaseLogger } from 'fastify';
import { EventReader, type RingEvent } from '../shm/events.ts';
import { InterestPublisher } from '../shm/interest.ts';
import type { Answer } from './answers.ts';
import { LOCAL_USER } from './auth.ts';
import { type Body, isObject } from './protocol.ts';
import { WILDCARD } from './requests.ts';
import type { FeedSources } from './feed-sources.ts';
import type { Interest } from './subscriptions.ts';

/** What the link needs of the proxy. */
export interface FeedLinkServices {
  /** Name of the ring of ticks; undefined for the default. */
  ringName: string | undefined;
  /** Name of the proxy in the rings. */
  name: string;
  /** True when all sessions are those of one local user. */
  isOpen: boolean;
  sources: FeedSources;
  deliverOrderUpdate(userId: string, update: Answer): number;
  log: FastifyBaseLogger;
}

/** The proxy's ends of the two rings beside that of ticks: what clients want goes to the feeds, events come back. */
export class FeedLink {
  readonly #services: FeedLinkServices;
  readonly #interest: InterestPublisher | undefined;
  readonly #events: EventReader | undefined;
  /** Events whose type or form is not known. */
  eventsUnknown = 0;

  constructor(services: FeedLinkServices) {
    this.#services = services;
    const { ringName, name: ownerName } = services;
    const options = { ownerName, ...(ringName === undefined ? {} : { name: ringName }) };
    this.#interest = this.#opened('feeds will not hear what clients want', () => new InterestPublisher(options));
    this.#events = this.#opened('no order updates will come', () => new EventReader(options));
    this.#events?.onEvent((event) => this.#receive(event));
  }

  /** Tells the feeds what all clients together want of an instrument. A wildcard stands for what comes anyway. */
  want({ exchange, symbol, modes, depth }: Interest): void {
    if (symbol !== WILDCARD) this.#interest?.set(exchange, symbol, modes, depth);
  }

  close(): void {
    this.#interest?.close();
    this.#events?.close();
  }

  /** Without these rings the proxy still serves what feeds publish of themselves. */
  #opened<T>(consequence: string, open: () => T): T | undefined {
    try {
      return open();
    } catch (error) {
      this.#services.log.error({ err: error }, `a ring beside the ticks cannot be opened: ${consequence}`);
      return undefined;
    }
  }

  #receive(event: RingEvent): void {
    if (event.type === 'order_update' && isObject(event['update'])) this.#deliver(event['owners'], event['update']);
    else if (event.type === 'feed_source') this.#note(event);
    else this.eventsUnknown += 1;
  }

  #deliver(owners: unknown, update: Body): void {
    const users = new Set<unknown>(Array.isArray(owners) ? owners : []);
    if (this.#services.isOpen) users.add(LOCAL_USER.userId);
    for (const user of users) if (typeof user === 'string') this.#services.deliverOrderUpdate(user, update);
  }

  #note({ feed, up, reason }: RingEvent): void {
    if (typeof feed !== 'string') return;
    this.#services.sources.note(feed, up === true ? undefined : String(reason ?? 'its source is away'));
  }
}
