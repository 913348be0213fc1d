import type { Figures } from './figures.ts';
import { type Seen, addLatency, conflated, measure } from './load-client.ts';
import { type Load, ownProxy } from './servers.ts';

/** Enough bytes that the buffers of a client that does not read are full when the warm-up is over. */
const LOAD: Load = { clients: 50, topics: 10, mode: 1, gather: 1, rate: 5_000 };
const WARM_UP = ['--warm-up', 4000, '--warm-up-rate', 10_000];
const FIFTY = '50 clients at 5,000 ticks/s';

const BESIDE: readonly [string, readonly (string | number)[]][] = [
  [`${FIFTY} beside a stalled one`, ['--stalled', 1]],
  [`${FIFTY} beside one that reads 1 byte/s`, ['--slow', 1, '--slow-read', 1, '--slow-every', 1000]],
];

/** What the others notice of clients that read little, and of clients that come and go. */
export async function measureHardClients(figures: Figures, quick: boolean): Promise<void> {
  // A host that stands still for a moment changes a 99th percentile by half: the runs take turns, and often.
  for (let turn = 0; turn < (quick ? 1 : 3); turn++) await besideUnread(figures, quick);
  await besideSlow(figures, quick);
  await besideChurn(figures, quick);
}

async function besideUnread(figures: Figures, quick: boolean): Promise<void> {
  const time = [...WARM_UP, '--time', quick ? 1500 : 3000];
  addLatency(figures, 'own', `${FIFTY} alone`, await measure(ownProxy(), LOAD, time));
  for (const [name, clients] of BESIDE) {
    let replaced = 0;
    const seen = await measure(ownProxy(), LOAD, [...time, ...clients], {
      afterwards: async (port) => {
        replaced = await conflated(port);
      },
    });
    addLatency(figures, 'own', name, seen);
    figures.add('own', `${name}: ticks that it did not take in time`, '', replaced);
    figures.addRatio(`ratio: p99, ${name} to alone`, `${name}: p99`, `${FIFTY} alone: p99`);
  }
}

async function besideSlow(figures: Figures, quick: boolean): Promise<void> {
  const load = { ...LOAD, clients: 45, rate: 10_000 };
  const seen: Seen = await measure(ownProxy(), load, [
    ...['--warm-up', 500, '--time', quick ? 1500 : 4000],
    ...['--slow', 5],
  ]);
  addLatency(figures, 'own', '45 clients at 10,000 ticks/s beside 5 slow ones', seen);
  const [, , before, after] = seen.memory_kb;
  figures.add('own', 'memory that 5 slow clients of 50 add', 'MB', (after - before) / 1024);
}

async function besideChurn(figures: Figures, quick: boolean): Promise<void> {
  const load = { ...LOAD, rate: 1000 };
  const seen = await measure(ownProxy(), load, ['--time', quick ? 1500 : 4000, '--churn', 100]);
  addLatency(figures, 'own', '50 clients at 1,000 ticks/s with 100 connects a second', seen);
}
