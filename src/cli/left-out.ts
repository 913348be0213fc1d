import { count, counted } from './figures.ts';

const SHOWN_KEYS = 3;

/** For a feed's last line: `, 12 values left out (volume 9, oi 2, ltt 1)`, the most frequent keys first; empty where there are none. */
export function leftOut(unreadableKeys: Readonly<Record<string, number>>): string {
  const keys = Object.entries(unreadableKeys).toSorted(([, one], [, other]) => other - one);
  if (keys.length === 0) return '';
  const sum = keys.reduce((before, [, times]) => before + times, 0);
  const shown = keys.slice(0, SHOWN_KEYS).map(([key, times]) => `${key} ${count(times)}`);
  const more = keys.length > SHOWN_KEYS ? ', …' : '';
  return `, ${counted(sum, 'value')} left out (${shown.join(', ')}${more})`;
}
