import type { Answer } from './answers.ts';
import type { UserNames } from './user-names.ts';

/** A session as order updates see it. */
export interface OrderSubscriber {
  /** Its user; undefined until it has authenticated. */
  readonly userId: string | undefined;
  notify(notice: Answer): void;
}

/** Passes order updates to the sessions that asked for them and own their user. */
export class OrderUpdates {
  readonly #subscribers = new Set<OrderSubscriber>();
  readonly #names: UserNames;

  constructor(names: UserNames) {
    this.#names = names;
  }

  /** Number of sessions that asked. */
  get size(): number {
    return this.#subscribers.size;
  }

  subscribe(session: OrderSubscriber): void {
    this.#subscribers.add(session);
  }

  unsubscribe(session: OrderSubscriber): void {
    this.#subscribers.delete(session);
  }

  /**
   * Sends an order update to every session of a user that asked for them.
   *
   * @param payload the fields of OpenAlgo's `order_update`; type and user are set here.
   * @returns the number of sessions that it went to.
   */
  deliver(userId: string, payload: Answer): number {
    const name = this.#names.of(userId);
    const update = { ...payload, type: 'order_update', user_id: name };
    let delivered = 0;
    for (const session of this.#subscribers) {
      if (session.userId !== name) continue;
      session.notify(update);
      delivered += 1;
    }
    return delivered;
  }
}
