import type { FastifyBaseLogger } from 'fastify';
import { hasCode } from '../errors.ts';
import { EventReader, type RingEvent } from '../shm/events.ts';
import { InterestPublisher } from '../shm/interest.ts';
import { withoutWaiting } from '../shm/options.ts';
import { readResults } from '../shm/subscription-results.ts';
import { isNameOfKey } from '../user-of-key.ts';
import { LOCAL_USER } from './auth.ts';
import type { OrderUpdates } from './events.ts';
import { type Body, isObject } from './protocol.ts';
import { RepeatedUpdates } from './repeated-updates.ts';
import { WILDCARD } from './requests.ts';
import type { FeedSources } from './feed-sources.ts';
import type { Interest } from './subscriptions.ts';
import type { UserNames } from './user-names.ts';
import type { Verdicts } from './verdicts.ts';

/** Time after which a ring that another process was just creating or removing is tried again, ms. */
const RETRY_MS = 1_000;

/** What the link needs of the proxy. */
export interface FeedLinkServices {
  /** Name of the ring of ticks; undefined for the default. */
  ringName: string | undefined;
  /** Name of the proxy in the rings. */
  name: string;
  /** True when all sessions are those of one local user. */
  isOpen: boolean;
  sources: FeedSources;
  userNames: UserNames;
  verdicts: Verdicts;
  orders: OrderUpdates;
  /** What all clients together want now. */
  interests(): Iterable<Interest>;
  log: FastifyBaseLogger;
}

/** The proxy's ends of the two rings beside that of ticks: what clients want goes to the feeds, events come back. */
export class FeedLink {
  readonly #services: FeedLinkServices;
  #interest: InterestPublisher | undefined;
  #events: EventReader | undefined;
  #retry: NodeJS.Timeout | undefined;
  readonly #repeated = new RepeatedUpdates();
  #eventsUnknown = 0;

  constructor(services: FeedLinkServices) {
    this.#services = services;
    this.#open();
  }

  /** Tells the feeds what all clients together want of an instrument. A wildcard stands for what comes anyway. */
  want({ exchange, symbol, modes, depth }: Interest): void {
    if (symbol !== WILDCARD) this.#interest?.set(exchange, symbol, modes, depth);
  }

  /** Events that were not understood, in whole or in part, and those that were overwritten before they were read. */
  eventCounts(): { unknown: number; lost: number } {
    const { eventsLost, eventsMalformed } = this.#events?.getStats() ?? { eventsLost: 0, eventsMalformed: 0 };
    return { unknown: this.#eventsUnknown + eventsMalformed, lost: eventsLost };
  }

  close(): void {
    clearTimeout(this.#retry);
    this.#interest?.close();
    this.#events?.close();
  }

  #open(): void {
    const { ringName, name: ownerName, interests } = this.#services;
    const options = { ownerName, ...(ringName === undefined ? {} : { name: ringName }) };
    this.#retry = undefined;
    if (this.#interest === undefined) {
      this.#interest = this.#opened('feeds do not hear what clients want', () => new InterestPublisher(options));
      for (const interest of interests()) this.want(interest);
    }
    if (this.#events === undefined) {
      this.#events = this.#opened('feeds are not heard', () => new EventReader(options));
      this.#events?.onEvent((event, _publisher, lane) => this.#receive(event, lane));
      this.#events?.onGone((lane) => this.#forget(lane));
    }
  }

  /** Without these rings the proxy still serves what feeds publish of themselves. */
  #opened<T>(consequence: string, open: () => T): T | undefined {
    try {
      return withoutWaiting(open);
    } catch (error) {
      const isBusy = hasCode(error, 'ERR_SHM_BUSY');
      this.#services.log.error(
        { err: error },
        `a ring beside the ticks cannot be opened${isBusy ? ' yet' : ''}: ${consequence}`,
      );
      if (isBusy) this.#retry ??= setTimeout(() => this.#open(), RETRY_MS).unref();
      return undefined;
    }
  }

  #receive(event: RingEvent, lane: number): void {
    try {
      if (event.type === 'order_update' && isObject(event['update']))
        this.#deliver(event['owners'], event['update'], lane);
      else if (event.type === 'feed_source' && typeof event['feed'] === 'string')
        this.#note(event['feed'], event, lane);
      else if (event.type === 'subscription_result') this.#judge(event, lane);
      else this.#eventsUnknown += 1;
    } catch (error) {
      this.#services.log.error({ err: error, type: event.type }, 'an event of a feed could not be served');
    }
  }

  #deliver(told: unknown, update: Body, lane: number): void {
    const { isOpen, userNames, orders } = this.#services;
    const owners: string[] = Array.isArray(told) ? told.filter((owner) => typeof owner === 'string') : [];
    userNames.learn(owners);
    const user = owners.find((owner) => !isNameOfKey(owner)) ?? owners[0] ?? '';
    if (this.#repeated.isRepeated(lane, user, update)) return;
    orders.deliver(isOpen ? [LOCAL_USER.userId, ...owners] : owners, update);
  }

  #note(feed: string, { up, reason, answers, broker, owners }: RingEvent, lane: number): void {
    const { sources, verdicts, userNames } = this.#services;
    if (Array.isArray(owners)) userNames.learn(owners);
    const trouble = up === true ? undefined : String(reason ?? 'its source is away');
    const name = typeof broker === 'string' && broker !== '' ? broker : undefined;
    sources.note(lane, { feed, trouble, broker: name, answers: answers === true });
    if (trouble === undefined && answers === true) verdicts.expect(lane);
    else verdicts.forget(lane);
  }

  /** Results of a feed whose source is away are of no worth: it subscribes again, and tells them again. */
  #judge(event: RingEvent, lane: number): void {
    const { results, malformed } = readResults(event);
    this.#eventsUnknown += malformed;
    if (results.length > 0 && !this.#services.sources.isAway(lane)) this.#services.verdicts.take(lane, results);
  }

  #forget(lane: number): void {
    try {
      this.#services.sources.forget(lane);
      this.#services.verdicts.forget(lane);
    } catch (error) {
      this.#services.log.error({ err: error }, 'a feed that is gone could not be forgotten');
    }
  }
}
