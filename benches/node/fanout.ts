import type { By, Figures } from './figures.ts';
import { PROGRAMS, firstLine, output, start, startBench, stop } from './processes.ts';
import {
  type Launch,
  type Load,
  type Server,
  bareSender,
  bareSenderInStep,
  loadArguments,
  naiveServer,
  natsServer,
  ownProxy,
  uWebSockets,
} from './servers.ts';

interface Seen {
  deliveries_per_second: number;
  /** Share of a core that the server took. */
  cpu: number;
  p50_us: number;
  p99_us: number;
  p999_us: number;
  skipped: number;
  closed: number;
  connect_ms: number;
  subscribe_ms: number;
  /** Ticks that were published and did not come to the clients that read; at a given rate only. */
  missing: number;
  /** Resident memory of the server: at the start, with the connections, with the subscriptions, at the end of each part. */
  memory_kb: [number, number, number, number, ...number[]];
}

interface Contender {
  name: string;
  by: By;
  launch: Launch;
  /** Left out of the largest loads, which it cannot carry in a bounded time. */
  small?: boolean;
  /** Only as fast as it goes, not at a given rate. */
  flat?: boolean;
}

function contenders(): Contender[] {
  const [uws, nats] = [uWebSockets(), natsServer()];
  return [
    { name: 'bare epoll', by: 'limit', launch: bareSender },
    { name: 'bare epoll in step', by: 'limit', launch: bareSenderInStep, flat: true },
    { name: 'proxy', by: 'own', launch: ownProxy },
    ...(uws === undefined ? [] : [{ name: 'uWebSockets', by: 'peer' as const, launch: uws }]),
    ...(nats === undefined ? [] : [{ name: 'nats-server', by: 'peer' as const, launch: nats }]),
    { name: 'naive ws', by: 'peer', launch: naiveServer, small: true },
  ];
}

/** Ten minutes in which one client in ten takes less than it is sent. */
export async function measureEndurance(figures: Figures): Promise<void> {
  const [minutes, what] = [10, '10 minutes, 45 clients beside 5 slow ones'];
  const load = { clients: 45, topics: 10, mode: 1, gather: 1, rate: 2_000 } as const;
  const time = ['--time', minutes * 60_000, '--parts', minutes, '--slow', 5];
  const seen = await measure(ownProxy, load, time, (minutes + 2) * 60_000);
  addLatency(figures, 'own', what, seen);
  figures.add('own', `${what}: ticks that the 45 missed`, '', seen.missing);
  figures.add('own', `${what}: ticks that the slow ones were told they missed`, '', seen.skipped);
  const [, , , ...memory] = seen.memory_kb;
  for (const [minute, kb] of memory.entries()) {
    figures.add('own', `${what}: memory of the proxy after ${minute + 1} min`, 'MB', kb / 1024);
  }
}

/** WebSocket deliveries: the server on one core, the load client on the other. */
export async function measureFanOut(figures: Figures, quick: boolean): Promise<void> {
  const all = contenders();
  await deliveries(figures, all, quick);
  await latencies(figures, all, quick);
  await idleClients(figures, quick);
  await hardClients(figures, quick);
}

const flat = (clients: number, gather: number, topics: number, mode: 1 | 3 = 1): Load => {
  return { clients, gather, topics, mode, rate: 0 };
};

const LOADS: readonly Load[] = [
  flat(1, 1, 1),
  flat(1, 10, 10),
  flat(50, 1, 1),
  flat(50, 10, 10),
  flat(50, 100, 100),
  flat(50, 10, 10, 3),
  flat(500, 1, 1),
  flat(500, 10, 10),
  flat(2000, 10, 10),
];
const QUICK_LOADS = LOADS.filter(({ clients }) => clients === 50 || clients === 500);

async function deliveries(figures: Figures, all: readonly Contender[], quick: boolean): Promise<void> {
  for (const load of quick ? QUICK_LOADS : LOADS) {
    const { clients, gather, mode } = load;
    const what = `${clients} clients, ${gather} gathered, ${mode === 3 ? 'depth' : 'LTP'}`;
    for (const { name, by, launch, small } of all) {
      if (small === true && clients > 500) continue;
      const seen = await measure(launch, load, ['--warm-up', 300, '--time', quick ? 500 : 1000]);
      figures.add(by, `deliveries, ${what}, ${name}`, 'k/s', seen.deliveries_per_second / 1000);
      if (by === 'own') {
        figures.add(by, `deliveries, ${what}, ${name}: CPU`, '%', seen.cpu * 100);
        figures.add(
          by,
          `deliveries, ${what}, ${name}: per second of CPU`,
          'k',
          seen.deliveries_per_second / seen.cpu / 1000,
        );
      }
    }
    for (const { name } of all) {
      if (name === 'proxy') continue;
      figures.addRatio(
        `ratio: deliveries, ${what}, proxy to ${name}`,
        `deliveries, ${what}, proxy`,
        `deliveries, ${what}, ${name}`,
      );
    }
  }
}

async function latencies(figures: Figures, all: readonly Contender[], quick: boolean): Promise<void> {
  for (const clients of [1, 50]) {
    const what = `at 1,000 ticks/s to ${clients} client${clients > 1 ? 's' : ''}`;
    for (const { name, by, launch } of all.filter(({ flat }) => flat !== true)) {
      const load = { clients, topics: 10, mode: 1, gather: 1, rate: 1000 } as const;
      const seen = await measure(launch, load, ['--warm-up', 500, '--time', quick ? 1000 : 3000]);
      addLatency(figures, by, `publish to client's socket ${what}, ${name}`, seen);
    }
    for (const name of ['bare epoll', 'uWebSockets', 'naive ws']) {
      const of = (who: string): string => `publish to client's socket ${what}, ${who}: p50`;
      figures.addRatio(`ratio: p50 ${what}, proxy to ${name}`, of('proxy'), of(name));
    }
  }
  const most = figures.median('deliveries, 50 clients, 10 gathered, LTP, proxy');
  if (most === undefined) return;
  const rate = Math.round((0.7 * most * 1000) / 50);
  const seen = await measure(ownProxy, { clients: 50, topics: 10, mode: 1, gather: 1, rate }, [
    '--time',
    quick ? 1000 : 3000,
  ]);
  addLatency(figures, 'own', "publish to client's socket at 70 % of the maximum to 50 clients, proxy", seen);
}

async function idleClients(figures: Figures, quick: boolean): Promise<void> {
  for (const clients of quick ? [1000] : [1000, 5000]) {
    const idle = { clients, topics: 0, mode: 1, gather: 1, rate: 1 } as const;
    const each = ({ memory_kb: [before, connected] }: Seen): number => (connected - before) / clients;
    const time = ['--first', 1000, '--warm-up', 0, '--time', 10, '--feed', 'none', '--topics', 0];
    figures.add(
      'own',
      `memory of an idle client of ${clients}, proxy`,
      'kB',
      each(await measure(ownProxy, idle, time)),
    );
    for (const kind of ['ws', 'fastify']) {
      const seen = await measure(() => idleServer(kind), idle, time);
      figures.add('peer', `memory of an idle client of ${clients}, ${kind}`, 'kB', each(seen));
    }
    figures.addRatio(
      `ratio: memory of an idle client of ${clients}, proxy to ws`,
      `memory of an idle client of ${clients}, proxy`,
      `memory of an idle client of ${clients}, ws`,
    );
  }
  const [clients, topics] = quick ? [20, 3000] : [100, 3000];
  const many = await measure(ownProxy, { clients, topics, mode: 1, gather: 1, rate: 1 }, [
    '--warm-up',
    0,
    '--time',
    10,
  ]);
  const [, connected, subscribed] = many.memory_kb;
  figures.add(
    'own',
    `memory of a subscription, ${clients} clients with ${topics} each`,
    'bytes',
    ((subscribed - connected) * 1024) / (clients * topics),
  );
}

async function hardClients(figures: Figures, quick: boolean): Promise<void> {
  const load = { clients: 50, topics: 10, mode: 1, gather: 1, rate: 1000 } as const;
  const time = ['--warm-up', 500, '--time', quick ? 1500 : 4000];
  const alone = await measure(ownProxy, load, time);
  addLatency(figures, 'own', '50 clients alone', alone);
  const stalled = await measure(ownProxy, load, [...time, '--stalled', 1]);
  addLatency(figures, 'own', '50 clients beside a stalled one', stalled);
  figures.addRatio(
    'ratio: p99 beside a stalled client to alone',
    '50 clients beside a stalled one: p99',
    '50 clients alone: p99',
  );
  const slow = await measure(ownProxy, { ...load, clients: 45, rate: 10_000 }, [...time, '--slow', 5]);
  addLatency(figures, 'own', '45 clients at 10,000 ticks/s beside 5 slow ones', slow);
  const [, , before, after] = slow.memory_kb;
  figures.add('own', 'memory that 5 slow clients of 50 add', 'MB', (after - before) / 1024);
  const churn = await measure(ownProxy, load, [...time, '--churn', 100]);
  addLatency(figures, 'own', '50 clients with 100 connects a second', churn);
  const [clients, topics] = quick ? [100, 1000] : [500, 1000];
  const storm = await measure(ownProxy, { clients, topics, mode: 1, gather: 1, rate: 1 }, [
    '--warm-up',
    0,
    '--time',
    10,
  ]);
  figures.add('own', `subscribe storm, ${clients} clients with ${topics} symbols each`, 'ms', storm.subscribe_ms);
}

async function idleServer(kind: string): Promise<Server> {
  const child = startBench(0, 'idle-server.js', [kind]);
  const port = Number(await firstLine(child, /^\d+$/));
  return { child, port, arguments: ['--protocol', 'plain'], stop: () => stop(child) };
}

function addLatency(figures: Figures, by: By, name: string, seen: Seen): void {
  figures.add(by, `${name}: p50`, 'µs', seen.p50_us);
  figures.add(by, `${name}: p99`, 'µs', seen.p99_us);
  figures.add(by, `${name}: p99.9`, 'µs', seen.p999_us);
}

async function measure(
  launch: Launch,
  load: Load,
  further: readonly (string | number)[],
  timeoutMs?: number,
): Promise<Seen> {
  const server = await launch(load);
  try {
    const client = start(1, `${PROGRAMS}fanout-load`, [
      '--port',
      server.port,
      '--pid',
      server.child.pid!,
      ...loadArguments(load),
      ...server.arguments,
      ...further,
    ]);
    const seen = JSON.parse(await output(client, timeoutMs)) as Seen;
    if (seen.closed > 0) throw new Error(`${seen.closed} connections were closed`);
    return seen;
  } finally {
    await server.stop();
  }
}
