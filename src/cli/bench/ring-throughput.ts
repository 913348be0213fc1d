import { setImmediate as turn } from 'node:timers/promises';
import { SharedMemorySubscriber } from '../../shm/subscriber.ts';
import type { Figure } from './figure.ts';
import { Measurement } from './measurement.ts';

const BUSY_ROUNDS = 2000;

/**
 * LTP ticks a second from one process to another, in batches, none lost.
 *
 * @param ending ends it early: then it rejects with the signal's reason
 */
export async function ringThroughput(ring: string, seconds: number, ending: AbortSignal): Promise<Figure[]> {
  const measurement = new Measurement([ring], ending);
  const subscriber = new SharedMemorySubscriber({ name: ring, preset: 'spsc', bufferSize: 16 * 1024 * 1024 });
  try {
    subscriber.start();
    await measurement.inRole('publish', ring);
    const read = async (duration: number): Promise<{ received: number; elapsed: number }> => {
      const began = performance.now();
      let received = 0;
      while (performance.now() - began < duration * 1000) {
        for (let round = 0; round < BUSY_ROUNDS; round++) received += subscriber.poll().length;
        await turn();
        measurement.throwIfEnding();
      }
      return { received, elapsed: (performance.now() - began) / 1000 };
    };
    await read(seconds / 4);
    const { received, elapsed } = await read(seconds);
    return [{ name: 'ring throughput, LTP ticks in batches', value: received / elapsed, unit: '1/s' }];
  } finally {
    subscriber.close();
    await measurement.end();
  }
}
