import { OpenAlgoShmError } from '../errors.ts';
import { MAX_DEPTH_LEVELS } from '../message.ts';
import type { NativeRingOptions } from './native-binding.ts';

/** What a full lane does: overwrite its oldest message, or refuse the new one while a registered subscriber still needs its room. */
export type Policy = 'overwrite' | 'lossless';

/** How a subscriber waits: `spin` takes a core for the lowest latency, `adaptive` spins about 20 µs and then sleeps, `sleep` sleeps at once. */
export type Wait = 'spin' | 'adaptive' | 'sleep';

/** What a ring is made with. The first process creates the ring; later ones attach and ignore their size options. */
export interface RingOptions {
  /** Name of the segment: letters, digits, `.`, `_`, `-`. Default `ws_proxy_buffer`. */
  name?: string;
  /**
   * Bytes of one lane, in lines of 64 bytes, rounded down to a power of two. An LTP tick takes one line, two
   * with names or forms of a broker's adapter that are kept, a quote about three, a book of five levels about eight.
   * Default 1 MiB: 16,384 LTP ticks of one line.
   */
  bufferSize?: number;
  /** Topics that one publisher can name, 1 to 262,144; 64 bytes each once it is used. Default 32,768. */
  topics?: number;
  /** Depth levels a side, 0 to 200. Default 5. */
  depthLevels?: number;
  /** Publishers at the same time, 1 to 64. Default 8, with preset `spsc` 1. */
  lanes?: number;
  /** Subscribers that can register, 1 to 256. Default 64, with preset `spsc` 1. */
  consumers?: number;
  /** Default `overwrite`, with preset `spsc` `lossless`. */
  policy?: Policy;
  /** `mpmc`: many publishers, any number of subscribers, overwriting (default). `spsc`: one each, lossless. */
  preset?: 'mpmc' | 'spsc';
  /** How subscribers wait. Default `adaptive`. */
  wait?: Wait;
}

/** Default name of the ring of ticks. */
export const DEFAULT_RING_NAME = 'ws_proxy_buffer';
/** Default bytes of one lane: 16,384 LTP ticks. */
export const DEFAULT_BUFFER_SIZE = 1024 * 1024;
/** Default depth levels a side. */
export const DEFAULT_DEPTH_LEVELS = 5;
/** Default topics that one publisher can name. The busiest broker account has 25,000 symbols. */
export const DEFAULT_TOPICS = 32_768;
/** Most topics that one publisher can name. */
export const MAX_TOPICS = 262_144;

/**
 * How long a call waits for another process that is just creating or removing the same ring, ms; the event loop stands
 * still meanwhile. Creating takes a fraction of one.
 */
let nameWaitMs = 100;

/**
 * Runs a call that does not wait for a process which is just creating or removing the same ring: it throws `ERR_SHM_BUSY`
 * at once. For whatever tries again later.
 */
export function withoutWaiting<T>(call: () => T): T {
  const before = nameWaitMs;
  nameWaitMs = 0;
  try {
    return call();
  } finally {
    nameWaitMs = before;
  }
}

const PRESETS = {
  mpmc: { lanes: 8, consumers: 64, policy: 'overwrite' },
  spsc: { lanes: 1, consumers: 1, policy: 'lossless' },
} as const;

/** The options with their defaults, checked. `kind` says which messages the ring carries. */
export function nativeOptions(
  options: RingOptions,
  kind: 'ticks' | 'interest' | 'events' = 'ticks',
): NativeRingOptions {
  const preset = oneOf('preset', options.preset ?? 'mpmc', ['mpmc', 'spsc']);
  oneOf('wait', options.wait ?? 'adaptive', ['spin', 'adaptive', 'sleep']);
  const defaults = PRESETS[preset];
  const name = options.name ?? DEFAULT_RING_NAME;
  if (typeof name !== 'string') throw invalid('name', name, 'a string');
  return {
    name,
    kind,
    lanes: wholeNumber('lanes', options.lanes ?? defaults.lanes, 1, 64),
    consumers: wholeNumber('consumers', options.consumers ?? defaults.consumers, 1, 256),
    bufferSize: wholeNumber('bufferSize', options.bufferSize ?? DEFAULT_BUFFER_SIZE, 1, 2 ** 32),
    topics: wholeNumber('topics', options.topics ?? DEFAULT_TOPICS, 1, MAX_TOPICS),
    depthLevels: wholeNumber('depthLevels', options.depthLevels ?? DEFAULT_DEPTH_LEVELS, 0, MAX_DEPTH_LEVELS),
    policy: oneOf('policy', options.policy ?? defaults.policy, ['overwrite', 'lossless']),
    waitMs: nameWaitMs,
  };
}

function wholeNumber(name: string, value: unknown, least: number, most: number): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < least || value > most) {
    throw invalid(name, value, `a whole number from ${least} to ${most}`);
  }
  return value;
}

function oneOf<T extends string>(name: string, value: T, allowed: readonly T[]): T {
  if (!allowed.includes(value)) throw invalid(name, value, allowed.join(' or '));
  return value;
}

function invalid(name: string, value: unknown, expected: string): OpenAlgoShmError {
  const found = typeof value === 'string' ? `'${value}'` : String(value);
  return new OpenAlgoShmError('ERR_INVALID_OPTION', `option ${name} is ${found}, expected ${expected}`);
}
