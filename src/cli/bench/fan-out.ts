import { setTimeout as sleep } from 'node:timers/promises';
import type { StatsReport } from '../../proxy/schemas.ts';
import { SharedMemoryPublisher } from '../../shm/publisher.ts';
import type { ChildCommand } from '../child-process.ts';
import { fetchStats } from '../proxy-figures.ts';
import type { Figure } from './figure.ts';
import { Measurement } from './measurement.ts';
import { tradedTicks } from './ticks.ts';

/** A rate that the liveliest of accounts see. */
const CALM_RATE = 1000;
/** How long the ring may stay full before it is tried again, ms. */
const FULL_RING_MS = 1;
/** Ticks that are published before the event loop has a turn. */
const SLICE = 512;

/**
 * Ticks from a publisher through a proxy to WebSocket clients, each in a process of its own.
 *
 * @param ending ends it early: then it rejects with the signal's reason
 */
export async function fanOut(ring: string, clients: number, seconds: number, ending: AbortSignal): Promise<Figure[]> {
  const shape = ['--policy=lossless', '--buffer-size=4MiB', '--no-snapshot', '--log-level=error'];
  const measurement = new Measurement([ring], ending);
  const publisher = new SharedMemoryPublisher({ name: ring });
  try {
    const { said } = await measurement.start('proxy', ['serve', '--port=0', `--ring=${ring}`, ...shape]);
    const url = String(said['url']);
    const receiver = await measurement.inRole('receive', url, String(clients));
    publisher.start();
    const ticks = tradedTicks();
    const flood = async (duration: number): Promise<number> => {
      const end = performance.now() + duration * 1000;
      while (performance.now() < end) {
        let taken = 0;
        for (let slice = 0; slice < SLICE && taken === slice; slice += ticks.length)
          taken += publisher.publishBatch(ticks);
        await sleep(taken < SLICE ? FULL_RING_MS : 0);
        measurement.throwIfEnding();
      }
      return framesOf(receiver);
    };
    const trickle = async (duration: number): Promise<StatsReport> => {
      const end = performance.now() + duration * 1000;
      for (let published = 0, began = performance.now(); performance.now() < end; await sleep(1)) {
        const due = Math.floor(((performance.now() - began) * CALM_RATE) / 1000);
        measurement.throwIfEnding();
        for (; published < due; published++) publisher.publishBatch([ticks[published % ticks.length]!]);
      }
      return fetchStats(url.replace('ws:', 'http:'));
    };
    const calm = await trickle(seconds);
    const before = await flood(seconds / 4);
    const began = performance.now();
    const delivered = (await flood(seconds)) - before;
    const perSecond = delivered / ((performance.now() - began) / 1000);
    const { p50, p99 } = calm.delivery_latency_ns;
    return [
      { name: `publish to socket, ${clients} clients, ${CALM_RATE} ticks/s, p50`, value: p50, unit: 'ns' },
      { name: `publish to socket, ${clients} clients, ${CALM_RATE} ticks/s, p99`, value: p99, unit: 'ns' },
      { name: `deliveries to ${clients} clients`, value: perSecond, unit: '1/s' },
    ];
  } finally {
    publisher.stop();
    await measurement.end();
  }
}

async function framesOf(receiver: ChildCommand): Promise<number> {
  const { frames } = await receiver.ask({ question: 'frames' });
  return Number(frames);
}
