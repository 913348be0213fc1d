import { availableParallelism } from 'node:os';
import { short } from '../figures.ts';
import type { Figure } from './figure.ts';

/** Ticks a second that the largest of accounts sees: three sessions of 3,000 instruments, each once a second. */
const BUSY_ACCOUNT = 9000;

/** What the figures mean, in words. */
export function verdict(figures: readonly Figure[], clients: number): string[] {
  const valueOf = (beginning: string): number =>
    figures.find(({ name }) => name.startsWith(beginning))?.value ?? Number.NaN;
  const latency = valueOf('ring latency, reader busy, p50');
  const throughput = valueOf('ring throughput');
  const deliveries = valueOf('deliveries');
  return [
    `Ring: ${latencyInWords(latency)}`,
    `Throughput: ${short(throughput)} ticks a second, ${short(throughput / BUSY_ACCOUNT)} times what the busiest account sends (${short(BUSY_ACCOUNT)}).`,
    `Fan-out: enough for ${short(deliveries / clients)} ticks a second to each of ${clients} clients; ${fanOutInWords(deliveries / clients)}`,
  ];
}

function latencyInWords(ns: number): string {
  if (ns < 500) return 'as fast as memory allows; publisher and reader share a cache.';
  if (ns < 3000) return 'fast; the cores may not share a cache, or something else uses them.';
  if (ns < 30_000) return 'usable; the cores are busy, so that processes wait for their turn.';
  const cores = availableParallelism();
  return `slow: processes take turns on ${cores} ${cores === 1 ? 'core' : 'busy cores'}; close other programs, or give it more cores.`;
}

function fanOutInWords(perClient: number): string {
  if (perClient >= 5 * BUSY_ACCOUNT)
    return 'every client can take every tick of the busiest account, with room to spare.';
  if (perClient >= BUSY_ACCOUNT) return 'every client can take every tick of the busiest account.';
  return 'fewer than the busiest account sends: subscribe to what is needed, or run more proxies.';
}
