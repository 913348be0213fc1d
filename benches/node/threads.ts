import { availableParallelism } from 'node:os';
import type { Figures } from './figures.ts';
import { measure } from './load-client.ts';
import { type Load, ownProxy, proxyTakes } from './servers.ts';

const LOADS: readonly Load[] = [
  { clients: 50, topics: 10, mode: 1, gather: 10, rate: 0 },
  { clients: 500, topics: 1, mode: 1, gather: 1, rate: 0 },
  { clients: 500, topics: 10, mode: 1, gather: 10, rate: 0 },
];

/**
 * Two delivery threads beside one. With three cores the server has two and the load client one of its own. With two cores
 * all share both, with one thread and with two: then the sum is bounded by what the load client takes, and deliveries per
 * second of the server's processor time say what two threads would reach with cores of their own.
 */
export async function measureThreads(figures: Figures, quick: boolean): Promise<void> {
  if (!proxyTakes('--threads')) return;
  const hasOwnCore = availableParallelism() > 2;
  const [server, client] = hasOwnCore ? ['0,1', '2'] : ['0,1', '0,1'];
  const where = hasOwnCore ? 'load client on a third core' : 'load client on the same two cores';
  for (const load of LOADS) {
    const what = `threads, ${where}, ${load.clients} clients, ${load.gather} gathered`;
    for (const threads of [1, 2]) {
      const seen = await measure(
        ownProxy({ threads, cores: server }),
        load,
        ['--warm-up', 300, '--time', quick ? 500 : 2000],
        { cores: client },
      );
      const name = `${what}, ${threads} thread${threads > 1 ? 's' : ''}`;
      figures.add('own', name, 'k/s', seen.deliveries_per_second / 1000);
      figures.add('own', `${name}: per second of CPU`, 'k', seen.deliveries_per_second / seen.cpu / 1000);
      figures.add('own', `${name}: CPU of the server`, '%', seen.cpu * 100);
      figures.add('own', `${name}: CPU of the load client`, '%', seen.own_cpu * 100);
    }
    for (const kind of ['', ': per second of CPU']) {
      figures.addRatio(
        `ratio: ${what}${kind}, 2 threads to 1`,
        `${what}, 2 threads${kind}`,
        `${what}, 1 thread${kind}`,
      );
    }
  }
}
