import type { Mode } from '../message.ts';

/** A topic (or wildcard) and a mode as one number. */
export function subscriptionKey(topic: number, mode: Mode): number {
  return topic * 4 + mode;
}

/** The topic of a {@link subscriptionKey}. */
export function topicOfKey(key: number): number {
  return Math.floor(key / 4);
}

/** The mode of a {@link subscriptionKey}. */
export function modeOfKey(key: number): Mode {
  return (key % 4) as Mode;
}
