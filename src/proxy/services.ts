import type { Delivery } from '../shm/delivery.ts';
import type { Authenticator } from './auth.ts';
import type { Brokers } from './brokers.ts';
import type { Connections } from './connections.ts';
import type { Counters } from './counters.ts';
import type { OrderUpdates } from './events.ts';
import type { FeedStatus } from './feed-status.ts';
import type { KeyTrouble } from './key-trouble.ts';
import type { Monitor } from './monitor.ts';
import type { Settings } from './options.ts';
import type { Subscriber } from './subscriber.ts';
import type { Turnstile } from './turnstile.ts';
import type { UserNames } from './user-names.ts';
import type { VerdictDelivery } from './verdict-delivery.ts';
import type { Verdicts } from './verdicts.ts';

/** What every session needs of the proxy. */
export interface Services {
  readonly settings: Settings;
  readonly authenticator: Authenticator;
  readonly brokers: Brokers;
  readonly connections: Connections;
  readonly counters: Counters;
  readonly delivery: Delivery;
  readonly feedStatus: FeedStatus;
  readonly keyTrouble: KeyTrouble;
  readonly monitor: Monitor;
  readonly orders: OrderUpdates;
  readonly subscriber: Subscriber;
  /** Where long messages wait for one another. */
  readonly turnstile: Turnstile;
  readonly userNames: UserNames;
  readonly verdicts: Verdicts;
  readonly verdictDelivery: VerdictDelivery;
}
