/** Why a client, a message or a request was refused. */
export const REFUSALS = [
  'authentication',
  'authentication_timeout',
  'not_authenticated',
  'revoked_key',
  'origin',
  'not_local',
  'too_many_clients',
  'delivery_failed',
  'too_many_clients_of_address',
  'too_many_connections',
  'slow_request',
  'too_many_subscriptions',
  'too_many_unknown_topics',
  'work_budget',
  'too_many_key_checks',
  'message_too_big',
  'unfinished_message',
  'malformed_message',
  'broken_frame',
  'slow_client',
  'unresponsive_client',
] as const;

/** One of {@link REFUSALS}. */
export type Refusal = (typeof REFUSALS)[number];

/** What has happened since the start. */
export class Counters {
  /** Messages from clients. */
  received = 0;
  /** Times that a client was not read for a moment, since it had sent more messages than it may. */
  heldBack = 0;
  /** Clients that have ever connected. */
  connected = 0;
  /** Subscriptions that ended because the broker refused them. */
  subscriptionsRefused = 0;
  /** Notices of a refusal, to clients that had been told that they are subscribed. */
  refusalNotices = 0;
  readonly refused: Record<Refusal, number>;

  constructor() {
    this.refused = Object.fromEntries(REFUSALS.map((refusal) => [refusal, 0])) as Record<Refusal, number>;
  }

  refuse(why: Refusal): void {
    this.refused[why] += 1;
  }

  get refusedTotal(): number {
    return Object.values(this.refused).reduce((sum, count) => sum + count, 0);
  }
}
