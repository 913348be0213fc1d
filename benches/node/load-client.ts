import type { By, Figures } from './figures.ts';
import { PROGRAMS, output, start } from './processes.ts';
import { type Launch, type Load, loadArguments } from './servers.ts';

/** What the load client saw in one measurement. */
export interface Seen {
  deliveries_per_second: number;
  /** Ticks that the load client published. */
  ticks_per_second: number;
  /** Share of a core that the server took. */
  cpu: number;
  /** Share of a core that the load client took. */
  own_cpu: number;
  p50_us: number;
  p99_us: number;
  p999_us: number;
  /** Longest time between two ticks of a client that reads; at a given rate only. */
  longest_gap_us: number;
  /** Longest time in which the load client itself did not come to its work: part of a gap that no server is to blame for. */
  own_gap_us: number;
  /** Deliveries that all ticks that were published should have become, the warm-up's included. */
  owed: number;
  /** Deliveries of the measured time. */
  delivered: number;
  skipped: number;
  closed: number;
  connect_ms: number;
  subscribe_ms: number;
  /** Ticks that were published and did not come to the clients that read; at a given rate only. */
  missing: number;
  /** Resident memory of the server: at the start, with the connections, with the subscriptions, at the end of each part. */
  memory_kb: [number, number, number, number, ...number[]];
}

/** How a measurement is made, apart from its load. */
export interface Measuring {
  /** Cores of the load client. Default: the second. */
  cores?: string;
  timeoutMs?: number;
  /** Asks the server something when the load client has done, before it is stopped. */
  afterwards?: (port: number) => Promise<void>;
}

/** A load client that was kept from its core for longer measured the host, not the server. */
const STOOD_STILL_US = 100_000;

/** Starts a server, lets the load client at it, and stops it. */
export async function measure(
  launch: Launch,
  load: Load,
  further: readonly (string | number)[],
  { cores = '1', timeoutMs, afterwards }: Measuring = {},
): Promise<Seen> {
  const server = await launch(load);
  try {
    const client = start(cores, `${PROGRAMS}fanout-load`, [
      ...['--port', server.port, '--pid', server.child.pid!],
      ...loadArguments(load),
      ...server.arguments,
      ...further,
    ]);
    const seen = JSON.parse(await output(client, timeoutMs)) as Seen;
    if (seen.own_gap_us > STOOD_STILL_US) {
      console.error(`disturbed: the load client stood still for ${Math.round(seen.own_gap_us / 1000)} ms`);
    }
    if (seen.closed > 0) throw new Error(`${seen.closed} connections were closed`);
    await afterwards?.(server.port);
    return seen;
  } finally {
    await server.stop();
  }
}

/** The three percentiles of a measurement. */
export function addLatency(figures: Figures, by: By, name: string, seen: Seen): void {
  figures.add(by, `${name}: p50`, 'µs', seen.p50_us);
  figures.add(by, `${name}: p99`, 'µs', seen.p99_us);
  figures.add(by, `${name}: p99.9`, 'µs', seen.p999_us);
}

/** The proxy's count of ticks that newer ones took the place of, for clients that were behind. */
export async function conflated(port: number): Promise<number> {
  const stats = (await (await fetch(`http://127.0.0.1:${port}/stats`)).json()) as { messages: { conflated: number } };
  return stats.messages.conflated;
}
