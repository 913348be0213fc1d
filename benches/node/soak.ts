import type { Figures } from './figures.ts';
import { addLatency, conflated, measure } from './load-client.ts';
import { ownProxy } from './servers.ts';

const PART_SECONDS = 10;

/** Four minutes at a high rate with clients that come and go: what grows, what is lost. */
export async function measureSoak(figures: Figures, quick: boolean): Promise<void> {
  const seconds = quick ? 60 : 240;
  const what = `${seconds} s, 20,000 ticks/s to 50 clients, 100 connects a second`;
  const load = { clients: 50, topics: 100, mode: 1, gather: 1, rate: 20_000 } as const;
  const parts = seconds / PART_SECONDS;
  const time = ['--warm-up', 1000, '--time', seconds * 1000, '--parts', parts, '--churn', 100];
  let replaced = 0;
  const seen = await measure(ownProxy(), load, time, {
    timeoutMs: (seconds + 60) * 1000,
    afterwards: async (port) => {
      replaced = await conflated(port);
    },
  });
  addLatency(figures, 'own', what, seen);
  figures.add('own', `${what}: published`, 'k/s', seen.ticks_per_second / 1000);
  figures.add('own', `${what}: ticks lost`, '', seen.missing);
  figures.add('own', `${what}: ticks that newer ones replaced`, '', replaced);
  figures.add('own', `${what}: longest gap of a client`, 'ms', seen.longest_gap_us / 1000);
  figures.add('own', `${what}: CPU`, '%', seen.cpu * 100);
  // The first half minute is the warm-up of heap and buffers.
  const [, , , ...memory] = seen.memory_kb;
  const megabytes = memory.slice(30 / PART_SECONDS - 1).map((kb) => kb / 1024);
  figures.add('own', `${what}: memory after 30 s`, 'MB', megabytes[0]!);
  figures.add('own', `${what}: memory at the end`, 'MB', megabytes.at(-1)!);
  figures.add('own', `${what}: growth of memory`, 'MB/min', slope(megabytes) * (60 / PART_SECONDS));
}

/** Ten minutes in which one client in ten takes less than it is sent. */
export async function measureEndurance(figures: Figures): Promise<void> {
  const [minutes, what] = [10, '10 minutes, 45 clients beside 5 slow ones'];
  const load = { clients: 45, topics: 10, mode: 1, gather: 1, rate: 2_000 } as const;
  const time = ['--time', minutes * 60_000, '--parts', minutes, '--slow', 5];
  const seen = await measure(ownProxy(), load, time, { timeoutMs: (minutes + 2) * 60_000 });
  addLatency(figures, 'own', what, seen);
  figures.add('own', `${what}: ticks that the 45 missed`, '', seen.missing);
  figures.add('own', `${what}: ticks that the slow ones were told they missed`, '', seen.skipped);
  const [, , , ...memory] = seen.memory_kb;
  for (const [minute, kb] of memory.entries()) {
    figures.add('own', `${what}: memory of the proxy after ${minute + 1} min`, 'MB', kb / 1024);
  }
}

/** What a value grows by from one sample to the next, by least squares. */
function slope(values: readonly number[]): number {
  const middle = (values.length - 1) / 2;
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const above = values.reduce((sum, value, index) => sum + (index - middle) * (value - mean), 0);
  const below = values.reduce((sum, _, index) => sum + (index - middle) ** 2, 0);
  return above / below;
}
