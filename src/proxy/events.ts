import { isNameOfKey } from '../user-of-key.ts';
import type { Answer } from './answers.ts';

/** A session as order updates see it. */
export interface OrderSubscriber {
  /** Its user, by the user's own name where it is known; undefined until it has authenticated. */
  readonly userId: string | undefined;
  /** Its user, as the check of its key says. */
  readonly checkedUserId: string | undefined;
  notify(notice: Answer): void;
}

/** Passes order updates to the sessions that asked for them and own their user. */
export class OrderUpdates {
  readonly #subscribers = new Set<OrderSubscriber>();

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
   * Sends an order update to every session of a user that asked for them. Where its feed tells whose key it is of, a name
   * that was learned of another key counts no more: users of two servers may be called the same.
   *
   * @param owners the names of its user.
   * @param payload the fields of OpenAlgo's `order_update`; type and user are set here.
   * @returns the number of sessions that it went to.
   */
  deliver(owners: readonly string[], payload: Answer): number {
    const areOfKey = owners.some(isNameOfKey);
    let delivered = 0;
    for (const session of this.#subscribers) {
      const { userId, checkedUserId } = session;
      if (userId === undefined || checkedUserId === undefined) continue;
      const isOwner = owners.includes(checkedUserId) || (!areOfKey && owners.includes(userId));
      if (!isOwner) continue;
      session.notify({ ...payload, type: 'order_update', user_id: userId });
      delivered += 1;
    }
    return delivered;
  }
}
