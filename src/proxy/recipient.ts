import type { Connection } from './connection.ts';
import type { Refusal } from './verdicts.ts';

const NOTHING: ReadonlyMap<number, number> = new Map();

/** The client's session, which a recipient belongs to. It tells the client what has to be said in words. */
export interface RecipientOwner {
  /** A broker has refused what the client had subscribed to. @param key by `subscriptionKey` */
  hearRefusal(key: number, refusal: Refusal): void;
}

/** A client as subscriptions see it. */
export class Recipient {
  readonly connection: Connection;
  /** The session; undefined before it begins. */
  owner: RecipientOwner | undefined;
  /** Topics that it wants and that had not ticked when it asked for them; those that have ticked since may be among them. */
  unknownTopics = 0;
  /** When these were last counted anew, ms. */
  unknownCountedAt = -Infinity;
  #subscriptions: Map<number, number> | undefined;

  constructor(connection: Connection) {
    this.connection = connection;
  }

  /** The interval in ms of each of its subscriptions, by `subscriptionKey`. */
  get subscriptions(): ReadonlyMap<number, number> {
    return this.#subscriptions ?? NOTHING;
  }

  /** Sets the interval of a subscription; undefined ends it. */
  set(key: number, intervalMs: number | undefined): void {
    if (intervalMs === undefined) this.#subscriptions?.delete(key);
    else (this.#subscriptions ??= new Map()).set(key, intervalMs);
  }

  /** Forgets all subscriptions. */
  clear(): void {
    this.#subscriptions = undefined;
    this.unknownTopics = 0;
  }
}
