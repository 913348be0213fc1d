import type { Figures } from './figures.ts';
import { type Seen, measure } from './load-client.ts';
import { firstLine, startBench, stop } from './processes.ts';
import { type Server, ownProxy } from './servers.ts';

/** What clients and subscriptions cost: memory when nothing comes, time when all subscribe at once. */
export async function measureClients(figures: Figures, quick: boolean): Promise<void> {
  for (const clients of quick ? [1000] : [1000, 5000]) await idle(figures, clients);
  await subscriptions(figures, quick ? 20 : 100);
  await storm(figures, quick ? 100 : 500);
}

async function idle(figures: Figures, clients: number): Promise<void> {
  const load = { clients, topics: 0, mode: 1, gather: 1, rate: 1 } as const;
  const each = ({ memory_kb: [before, connected] }: Seen): number => (connected - before) / clients;
  const time = ['--first', 1000, '--warm-up', 0, '--time', 10, '--feed', 'none'];
  const own = await measure(ownProxy(), load, time);
  figures.add('own', `memory of an idle client of ${clients}, proxy`, 'kB', each(own));
  for (const kind of ['ws', 'fastify']) {
    const seen = await measure(() => idleServer(kind), load, time);
    figures.add('peer', `memory of an idle client of ${clients}, ${kind}`, 'kB', each(seen));
  }
  figures.addRatio(
    `ratio: memory of an idle client of ${clients}, proxy to ws`,
    `memory of an idle client of ${clients}, proxy`,
    `memory of an idle client of ${clients}, ws`,
  );
}

async function subscriptions(figures: Figures, clients: number): Promise<void> {
  const topics = 3000;
  const load = { clients, topics, mode: 1, gather: 1, rate: 1 } as const;
  const [, connected, subscribed] = (await measure(ownProxy(), load, ['--warm-up', 0, '--time', 10])).memory_kb;
  const name = `memory of a subscription, ${clients} clients with ${topics} each`;
  figures.add('own', name, 'bytes', ((subscribed - connected) * 1024) / (clients * topics));
}

async function storm(figures: Figures, clients: number): Promise<void> {
  const topics = 1000;
  const load = { clients, topics, mode: 1, gather: 1, rate: 1 } as const;
  const { subscribe_ms } = await measure(ownProxy(), load, ['--warm-up', 0, '--time', 10]);
  figures.add('own', `subscribe storm, ${clients} clients with ${topics} symbols each`, 'ms', subscribe_ms);
}

async function idleServer(kind: string): Promise<Server> {
  const child = startBench(0, 'idle-server.js', [kind]);
  const port = Number(await firstLine(child, /^\d+$/));
  return { child, port, arguments: ['--protocol', 'plain'], stop: () => stop(child) };
}
