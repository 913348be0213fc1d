import type { Figures } from './figures.ts';
import { measure } from './load-client.ts';
import { blockingApp } from './servers.ts';

const [BLOCK_MS, EVERY_MS] = [2000, 3000];

/** The plugin in an application that blocks its event loop, beside the same application that does not. */
export async function measureBlocking(figures: Figures, quick: boolean): Promise<void> {
  const load = { clients: 50, topics: 100, mode: 1, gather: 1, rate: 20_000 } as const;
  // Whole periods, and longer patience than a block: a tick that comes late is not lost.
  const time = ['--warm-up', 1000, '--time', EVERY_MS * (quick ? 2 : 4), '--patience', BLOCK_MS + EVERY_MS];
  for (const blockMs of [0, BLOCK_MS]) {
    const app = blockMs === 0 ? 'that does not block its loop' : 'that blocks its loop for 2 s every 3 s';
    const name = `plugin in an application ${app}`;
    const seen = await measure(blockingApp(blockMs, EVERY_MS), load, time);
    figures.add('own', `${name}: longest gap of a client`, 'ms', seen.longest_gap_us / 1000);
    figures.add('limit', `${name}: longest gap of the load client itself`, 'ms', seen.own_gap_us / 1000);
    figures.add('own', `${name}: ticks lost`, '%', (100 * seen.missing) / seen.owed);
    figures.add('own', `${name}: p99`, 'ms', seen.p99_us / 1000);
  }
}
