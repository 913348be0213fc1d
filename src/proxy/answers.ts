import { MODE_NAMES, type Mode } from '../message.ts';
import type { ProtocolErrorCode } from './protocol.ts';

/** An answer or a notice on its way to a client: a JSON object. */
export type Answer = Readonly<Record<string, unknown>>;

/** Characters of a broker's reason that each line of an answer has. */
const MOST_OF_REASON = 200;

/** One line of a subscribe's answer. */
export interface SubscriptionLine {
  symbol: string;
  exchange: string;
  status: 'success' | 'error';
  mode?: string;
  depth?: number;
  message?: string;
  broker: string;
}

/** One line of an unsubscribe's answer. */
export interface LeaveLine {
  symbol: string;
  exchange: string;
  status: 'success' | 'error';
  message?: string;
  broker: string;
}

/** The answer to a key that was accepted. */
export function authenticated(broker: string, userId: string): Answer {
  return {
    type: 'auth',
    status: 'success',
    message: 'Authentication successful',
    broker,
    user_id: userId,
    supported_features: { ltp: true, quote: true, depth: true },
  };
}

/** The answer to a key that was not accepted. OpenAlgo leaves out the type, and its clients then wait in vain. */
export function authenticationFailed(message: string, code: ProtocolErrorCode, requestId: unknown): Answer {
  return withRequestId(requestId, { type: 'auth', status: 'error', code, message });
}

/** Any other refusal; the connection stays open. */
export function failed(code: ProtocolErrorCode, message: string, requestId: unknown): Answer {
  return withRequestId(requestId, { type: 'error', status: 'error', code, message });
}

/** An instrument that was subscribed to. */
export function subscribedLine(
  instrument: { symbol: string; exchange: string },
  mode: Mode,
  depth: number,
  broker: string,
): SubscriptionLine {
  const { symbol, exchange } = instrument;
  return { symbol, exchange, status: 'success', mode: MODE_NAMES[mode], depth, broker };
}

/** An instrument that could not be subscribed to, or left. */
export function failedLine(
  instrument: { symbol: string; exchange: string },
  message: string,
  broker: string,
): SubscriptionLine & LeaveLine {
  const { symbol, exchange } = instrument;
  return { symbol, exchange, status: 'error', message, broker };
}

/** An instrument that was left. */
export function leftLine(instrument: { symbol: string; exchange: string }, broker: string): LeaveLine {
  const { symbol, exchange } = instrument;
  return { symbol, exchange, status: 'success', broker };
}

/**
 * The answer to a subscribe: `partial` as soon as one instrument failed.
 *
 * @param trouble why the broker is away; undefined if it is there.
 */
export function subscribed(
  lines: readonly SubscriptionLine[],
  broker: string,
  requestId: unknown,
  trouble: string | undefined,
): Answer {
  const complete = lines.every((line) => line.status === 'success');
  return withRequestId(requestId, {
    type: 'subscribe',
    status: complete ? 'success' : 'partial',
    subscriptions: trouble === undefined ? lines : lines.map((line) => whileAway(line, trouble)),
    message: 'Subscription processing complete',
    broker,
  });
}

/** The answer to an unsubscribe of either kind: `error` when nothing succeeded and something failed. */
export function unsubscribed(
  successful: readonly LeaveLine[],
  failures: readonly LeaveLine[],
  broker: string,
  requestId: unknown,
): Answer {
  return withRequestId(requestId, {
    type: 'unsubscribe',
    status: leaveStatus(successful.length, failures.length),
    message: 'Unsubscription processing complete',
    successful,
    failed: failures,
    broker,
  });
}

/** The answer to `subscribe_orders`. */
export function ordersSubscribed(requestId: unknown): Answer {
  const message = 'Subscribed to order updates';
  return withRequestId(requestId, { type: 'subscribe_orders', status: 'success', message });
}

/** The answer to `unsubscribe_orders`. */
export function ordersUnsubscribed(requestId: unknown): Answer {
  const message = 'Unsubscribed from order updates';
  return withRequestId(requestId, { type: 'unsubscribe_orders', status: 'success', message });
}

/** The answer to `get_broker_info`. */
export function brokerInfo(broker: string, connected: boolean, userId: string): Answer {
  const status = connected ? 'connected' : 'disconnected';
  return { type: 'broker_info', status: 'success', broker, adapter_status: status, user_id: userId };
}

/** The answer to `get_supported_brokers`. */
export function supportedBrokers(brokers: readonly string[]): Answer {
  return { type: 'supported_brokers', status: 'success', brokers, count: brokers.length };
}

/**
 * The answer to `ping`.
 *
 * @param now ms since 1970.
 */
export function pong(now: number, clientTimestamp: unknown, pingId: unknown): Answer {
  return {
    type: 'pong',
    status: 'success',
    server_timestamp: now,
    ...(isGiven(clientTimestamp) && { client_timestamp: clientTimestamp }),
    ...(isGiven(pingId) && { _pingId: pingId }),
  };
}

/** Tells a client that a subscription which it believed to have has ended, because the broker refused it. */
export function subscriptionRefused(
  { symbol, exchange }: { symbol: string; exchange: string },
  mode: Mode,
  message: string,
  broker: string,
): Answer {
  return { type: 'subscription_refused', symbol, exchange, mode: MODE_NAMES[mode], message, broker };
}

/** Tells a client that has caught up how many ticks newer ones have replaced. */
export function skipped(count: number): Answer {
  return { type: 'skipped', count };
}

// The subscription holds, and ticks come once the broker is back.
function whileAway(line: SubscriptionLine, trouble: string): SubscriptionLine {
  if (line.status !== 'success') return line;
  return { ...line, message: `subscribed; the broker is away: ${trouble.slice(0, MOST_OF_REASON)}` };
}

function leaveStatus(successful: number, failures: number): 'success' | 'partial' | 'error' {
  if (failures === 0) return 'success';
  return successful === 0 ? 'error' : 'partial';
}

function withRequestId(requestId: unknown, answer: Answer): Answer {
  return isGiven(requestId) ? { ...answer, request_id: requestId } : answer;
}

function isGiven(value: unknown): boolean {
  return value !== undefined && value !== null;
}
