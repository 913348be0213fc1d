import type { Mode } from '../message.ts';
import type { Instrument, Outcome } from './upstream.ts';

/** OpenAlgo wants a depth in every mode; this is its default. */
export const PLAIN_DEPTH = 5;

/** Failures in a row that count as a refusal. */
const MOST_FAILURES = 6;
/** Requests that fail as a whole, after which each of their topics goes alone. */
const FAILURES_TOGETHER = 2;

/** An instrument in a mode, and where it stands upstream. */
export interface UpstreamTopic extends Instrument {
  readonly key: string;
  readonly mode: Mode;
  wanted: boolean;
  /** Deepest book wanted, levels a side. */
  depth: number;
  /** Depth that it is subscribed with; undefined while it is not. */
  heldDepth: number | undefined;
  /** Levels a side that come; undefined in modes without a book, and while it is not subscribed. */
  levels: number | undefined;
  /** Most levels that can come whatever the upstream says, since it would not give up a shallower book. */
  mostLevels: number | undefined;
  /** Depth to go back to: if it cannot be left, or a deeper book is refused. */
  fallbackDepth: number | undefined;
  /** Deepest that the upstream takes, after it has refused a deeper one. */
  depthLimit: number | undefined;
  /** The upstream's reason, once it was told. */
  refusal: string | undefined;
  /** Whether a result was told that still counts. */
  isTold: boolean;
  /** Whether it was subscribed before, at this upstream or at the same one before it was away, and not refused since. */
  wasTaken: boolean;
  /** Refusals in a row. */
  refusals: number;
  /** Times in a row that it could not be asked for, or left. */
  failures: number;
  /** Goes alone: whole requests with it have failed, and it may be why. */
  isSuspect: boolean;
  /** True while a request about it is under way. */
  asked: boolean;
  /** The end of its grace, or the next attempt. */
  timer: NodeJS.Timeout | undefined;
  /** When the timer ends, on the clock of `performance.now`, ms. */
  due: number;
}

export function topicKey({ exchange, symbol, mode }: Instrument & { mode: Mode }): string {
  return `${mode}\0${exchange}\0${symbol}`;
}

export function newTopic({ exchange, symbol, mode }: Instrument & { mode: Mode }): UpstreamTopic {
  const key = topicKey({ exchange, symbol, mode });
  const topic = {
    key,
    exchange,
    symbol,
    mode,
    wanted: true,
    depth: PLAIN_DEPTH,
    asked: false,
    wasTaken: false,
    timer: undefined,
    due: 0,
  };
  return { ...topic, ...NOTHING_HELD };
}

/** The upstream is another one, or has forgotten everything. The timer is the caller's. */
export function forgetUpstream(topic: UpstreamTopic): void {
  Object.assign(topic, NOTHING_HELD, { asked: false });
}

const NOTHING_HELD = {
  heldDepth: undefined,
  levels: undefined,
  mostLevels: undefined,
  fallbackDepth: undefined,
  depthLimit: undefined,
  refusal: undefined,
  isTold: false,
  refusals: 0,
  failures: 0,
  isSuspect: false,
};

/** Depth to subscribe with, levels a side. */
export function askedDepth({ depth, depthLimit }: UpstreamTopic): number {
  return Math.min(depth, depthLimit ?? Infinity);
}

/** Whether it is subscribed, and deep enough: a deeper book than anybody wants does no harm. */
export function isHeld(topic: UpstreamTopic): boolean {
  return topic.heldDepth !== undefined && topic.heldDepth >= askedDepth(topic);
}

/** Counts that it could not be asked for, or was not taken. @returns whether the same may be tried again */
export function mayTryAgain(topic: UpstreamTopic, outcome: Exclude<Outcome, { status: 'success' }>): boolean {
  const isOfAll = outcome.status === 'failed' && outcome.isOfAll === true;
  topic.failures++;
  topic.isSuspect = isOfAll && topic.failures >= FAILURES_TOGETHER;
  return topic.failures < MOST_FAILURES;
}
