import type { By, Figures } from './figures.ts';
import { type Seen, measure } from './load-client.ts';
import { type Launch, type Load, bareSenderInStep, ownProxy } from './servers.ts';

/** Which of a client's topics the others have, too. */
const SHARING = ['equal', 'half', 'different'] as const;

/** A place in the space of loads. */
interface Point {
  clients: number;
  /** Topics of each client. */
  topics: number;
  subscriptions: (typeof SHARING)[number];
  /** Ticks a second. */
  rate: number;
}

/** One property of the load, which grows while the others stay. */
export interface Axis {
  title: string;
  points: readonly Point[];
  /** A point's place on the axis, in words. */
  label(point: Point): string;
  /** A point's place on a logarithmic axis; undefined where places have no measure. */
  place?(point: Point): number;
}

const MIDDLE: Point = { clients: 50, topics: 100, subscriptions: 'equal', rate: 1000 };

export const AXES: readonly Axis[] = [
  {
    title: 'clients',
    points: [1, 10, 50, 200, 1000, 5000].map((clients) => ({ ...MIDDLE, clients })),
    label: ({ clients }) => clients.toLocaleString('en'),
    place: ({ clients }) => clients,
  },
  {
    title: 'topics of a client',
    points: [1, 10, 100, 1000, 9000].map((topics) => ({ ...MIDDLE, topics })),
    label: ({ topics }) => topics.toLocaleString('en'),
    place: ({ topics }) => topics,
  },
  {
    title: 'topics that clients share',
    points: SHARING.map((subscriptions) => ({ ...MIDDLE, subscriptions })),
    label: ({ subscriptions }) => ({ equal: 'all', half: 'half', different: 'none' })[subscriptions],
  },
  {
    title: 'ticks a second',
    points: [100, 1000, 10_000, 100_000].map((rate) => ({ ...MIDDLE, rate })),
    label: ({ rate }) => rate.toLocaleString('en'),
    place: ({ rate }) => rate,
  },
];

/** The servers of the picture. The limit sends every tick to all, so it has no place where subscriptions differ. */
export const GROWING: readonly { name: string; by: By; launch: Launch; all: boolean }[] = [
  { name: 'proxy', by: 'own', launch: ownProxy(), all: true },
  { name: 'bare epoll in step', by: 'limit', launch: bareSenderInStep('adaptive'), all: false },
];

/** Less than this share of the deliveries asked for: the load was more than server or load client carry. */
export const CARRIED = 0.95;

/** Clients that come before memory is looked at. The limit counts its clients, and takes no more. */
const FIRST = ['--first', 200];

/** How cost grows: one property of the load at a time, around one middle. */
export async function measureGrowth(figures: Figures, quick: boolean): Promise<void> {
  const done = new Set<string>();
  for (const axis of AXES) {
    for (const point of axis.points) {
      for (const { name, by, launch, all } of GROWING) {
        const what = growthName(point, name);
        if (done.has(what) || (!all && point.subscriptions !== 'equal')) continue;
        done.add(what);
        const seen = await measurePoint(point, launch, by === 'own' ? FIRST : [], quick);
        add(figures, by, what, point, seen);
      }
    }
  }
}

/** What the figures of a server at a point begin with. */
export function growthName({ clients, topics, subscriptions, rate }: Point, server: string): string {
  const shared = { equal: 'all shared', half: 'half shared', different: 'none shared' }[subscriptions];
  return `growth, ${clients} clients × ${topics} topics, ${shared}, ${rate} ticks/s, ${server}`;
}

function measurePoint(
  point: Point,
  launch: Launch,
  first: readonly (string | number)[],
  quick: boolean,
): Promise<Seen> {
  const { clients, topics, subscriptions, rate } = point;
  // From 1,000 ticks a second on they come a thousand times a second.
  const load: Load = { clients, topics, mode: 1, gather: Math.max(1, rate / 1000), rate };
  // Every topic ticks before the measurement begins.
  const names = { equal: topics, half: topics * clients, different: topics * clients }[subscriptions];
  return measure(launch, load, [
    ...['--subscriptions', subscriptions],
    ...first,
    ...['--warm-up', 1000, '--warm-up-rate', Math.max(rate, names)],
    ...['--time', quick ? 700 : 2000],
  ]);
}

function add(figures: Figures, by: By, what: string, point: Point, seen: Seen): void {
  const { deliveries_per_second, cpu, p50_us, p99_us, memory_kb } = seen;
  figures.add(by, `${what}: CPU per million deliveries`, 's', (cpu / deliveries_per_second) * 1e6);
  figures.add(by, `${what}: CPU`, '%', cpu * 100);
  figures.add(by, `${what}: p50`, 'µs', p50_us);
  figures.add(by, `${what}: p99`, 'µs', p99_us);
  const asked = deliveriesPerTick(point) * point.rate;
  figures.add(by, `${what}: deliveries that came`, '%', (100 * deliveries_per_second) / asked);
  if (by !== 'own') return;
  const [before, connected, subscribed] = memory_kb;
  const subscriptions = point.clients * point.topics;
  // Of fewer, pages of 4 KiB would be counted and not what each takes.
  if (point.clients >= 200) figures.add(by, `${what}: memory of a client`, 'kB', (connected - before) / point.clients);
  if (subscriptions >= 20_000) {
    figures.add(by, `${what}: memory of a subscription`, 'bytes', ((subscribed - connected) * 1024) / subscriptions);
  }
}

function deliveriesPerTick({ clients, subscriptions }: Point): number {
  // Half of the ticks are of topics that all share, where clients share half of their topics.
  return { equal: clients, half: (clients + 1) / 2, different: 1 }[subscriptions];
}
