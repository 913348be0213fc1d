import type { Answer } from './answers.ts';
import type { Health } from './health.ts';

/** A session as the feed's status sees it. */
export interface StatusSubscriber {
  notify(notice: Answer): void;
}

/** Tells the sessions that asked for it (`status: true`) when the feed falls silent, and when it is back. */
export class FeedStatus {
  readonly #subscribers = new Set<StatusSubscriber>();

  subscribe(session: StatusSubscriber): void {
    this.#subscribers.add(session);
  }

  unsubscribe(session: StatusSubscriber): void {
    this.#subscribers.delete(session);
  }

  /** Tells all of them. */
  announce(health: Health): void {
    const notice = feedStatus(health);
    for (const session of this.#subscribers) session.notify(notice);
  }
}

/** The notice of a feed's health. */
export function feedStatus({ reasons, lastTickAgeMs, market }: Health): Answer {
  return {
    type: 'feed_status',
    status: reasons.length === 0 ? 'live' : 'down',
    ...(market !== undefined && { market }),
    ...(reasons[0] && { reason: reasons[0].code, message: reasons[0].message }),
    ...(lastTickAgeMs !== null && { age_ms: Math.round(lastTickAgeMs) }),
  };
}
