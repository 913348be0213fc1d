import type { Contender } from './contenders.ts';
import type { Figures } from './figures.ts';
import { measure } from './load-client.ts';
import type { Load } from './servers.ts';

const flat = (clients: number, gather: number, mode: 1 | 3 = 1): Load => {
  return { clients, gather, topics: gather, mode, rate: 0 };
};

const LOADS: readonly Load[] = [
  flat(1, 1),
  flat(1, 10),
  flat(50, 1),
  flat(50, 10),
  flat(50, 100),
  flat(50, 10, 3),
  flat(500, 1),
  flat(500, 10),
  flat(2000, 10),
];
const QUICK_LOADS = LOADS.filter(({ clients }) => clients === 1 || clients === 50 || clients === 500);

/** What each variant of the proxy is compared with. `undefined`: with all. */
const COMPARED: ReadonlyMap<string, readonly string[] | undefined> = new Map([
  ['proxy', undefined],
  ['proxy, spin', ['bare epoll in step, spin', 'uWebSockets']],
]);

/** The most that a server delivers, one round at a time. */
export async function measureDeliveries(figures: Figures, all: readonly Contender[], quick: boolean): Promise<void> {
  for (const load of quick ? QUICK_LOADS : LOADS) {
    const { clients, gather, mode } = load;
    const what = `${clients} clients, ${gather} gathered, ${mode === 3 ? 'depth' : 'LTP'}`;
    for (const { name, by, launch, small } of all) {
      if (small === true && clients > 500) continue;
      const { deliveries_per_second, cpu } = await measure(launch, load, [
        ...['--warm-up', 300, '--time', quick ? 500 : 1000],
      ]);
      figures.add(by, `deliveries, ${what}, ${name}`, 'k/s', deliveries_per_second / 1000);
      if (by === 'own') {
        figures.add(by, `deliveries, ${what}, ${name}: CPU`, '%', cpu * 100);
        figures.add(by, `deliveries, ${what}, ${name}: per second of CPU`, 'k', deliveries_per_second / cpu / 1000);
      }
    }
    for (const [own, compared] of COMPARED) {
      for (const { name } of all) {
        if (COMPARED.has(name) || compared?.includes(name) === false) continue;
        figures.addRatio(
          `ratio: deliveries, ${what}, ${own} to ${name}`,
          `deliveries, ${what}, ${own}`,
          `deliveries, ${what}, ${name}`,
        );
      }
    }
  }
}
