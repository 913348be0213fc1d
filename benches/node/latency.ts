import type { Contender } from './contenders.ts';
import type { Figures } from './figures.ts';
import { addLatency, measure } from './load-client.ts';
import { ownProxy } from './servers.ts';

const LATENCY = "publish to client's socket";
const QUIET = [
  { clients: 1, rate: 1_000 },
  { clients: 50, rate: 1_000 },
];
const BUSY = { clients: 50, rate: 20_000 };

/** The age of a tick at the client's socket, at a given rate. */
export async function measureLatency(figures: Figures, all: readonly Contender[], quick: boolean): Promise<void> {
  for (const load of QUIET) await atRate(figures, all, load, quick);
  // At this rate a server that makes its ticks itself makes the next when the last is sent, and none of them is late.
  const fed = all.filter(({ makesTicks }) => makesTicks !== true);
  await atRate(figures, fed, BUSY, quick);
  await nearTheMost(figures, quick);
  await silent(figures, quick);
}

async function atRate(
  figures: Figures,
  all: readonly Contender[],
  { clients, rate }: { clients: number; rate: number },
  quick: boolean,
): Promise<void> {
  const what = `at ${rate.toLocaleString('en')} ticks/s to ${clients} client${clients > 1 ? 's' : ''}`;
  for (const { name, by, launch, makesTicks } of all) {
    const load = { clients, topics: 10, mode: 1, gather: 1, rate } as const;
    const seen = await measure(launch, load, ['--warm-up', 500, '--time', quick ? 1000 : 3000]);
    addLatency(figures, by, `${LATENCY} ${what}, ${name}`, seen);
    figures.add(by, `${LATENCY} ${what}, ${name}: CPU`, '%', seen.cpu * 100);
    if (makesTicks !== true) figures.add(by, `${LATENCY} ${what}, ${name}: ticks lost`, '', seen.missing);
  }
  const compare = (percentile: string, own: string, other: string): void => {
    const of = (who: string): string => `${LATENCY} ${what}, ${who}: ${percentile}`;
    figures.addRatio(`ratio: ${percentile} ${what}, ${own} to ${other}`, of(own), of(other));
  };
  for (const percentile of ['p50', 'p99']) {
    compare(percentile, 'proxy', 'bare epoll in step');
    compare(percentile, 'proxy, spin', 'bare epoll in step, spin');
  }
  for (const peer of ['bare epoll', 'uWebSockets', 'naive ws']) compare('p50', 'proxy', peer);
}

async function nearTheMost(figures: Figures, quick: boolean): Promise<void> {
  const most = figures.median('deliveries, 50 clients, 10 gathered, LTP, proxy');
  if (most === undefined) return;
  const rate = Math.round((0.7 * most * 1000) / 50);
  const load = { clients: 50, topics: 10, mode: 1, gather: 1, rate } as const;
  const seen = await measure(ownProxy(), load, ['--time', quick ? 1000 : 3000]);
  addLatency(figures, 'own', `${LATENCY} at 70 % of the maximum to 50 clients, proxy`, seen);
}

async function silent(figures: Figures, quick: boolean): Promise<void> {
  const load = { clients: 50, topics: 10, mode: 1, gather: 1, rate: 1 } as const;
  const seen = await measure(ownProxy(), load, ['--feed', 'none', '--time', quick ? 1000 : 3000]);
  figures.add('own', 'CPU of the proxy with 50 clients and the feed silent', '%', seen.cpu * 100);
}
