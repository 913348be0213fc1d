import { SharedMemoryPublisher } from '../../src/shm/publisher.ts';
import { LockFreeRingBuffer } from '../../src/shm/ring-buffer.ts';
import { SharedMemorySubscriber } from '../../src/shm/subscriber.ts';
import { type Figures, middle } from './figures.ts';
import { firstLine, output, startBench, stop } from './processes.ts';
import { SHAPES, batch } from './ticks.ts';

interface Seen {
  perSecond: number;
  cpu: number;
  p50: number;
  p99: number;
}

/** Consuming in JavaScript: alone, from another process, idle and loaded. */
export async function measureConsume(figures: Figures, quick: boolean): Promise<void> {
  measurePoll(figures, quick);
  const ms = quick ? 600 : 1500;
  for (const wait of ['spin', 'adaptive', 'sleep'] as const) {
    const silent = await twoProcesses(wait, ms, []);
    figures.add('own', `CPU of a subscriber with the feed silent, ${wait}`, '%', silent.cpu * 100);
    const paced = await twoProcesses(wait, ms, ['paced', 1000]);
    figures.add('own', `onBatch p50 at 1,000 ticks/s, ${wait}`, 'µs', paced.p50 / 1000);
    figures.add('own', `onBatch p99 at 1,000 ticks/s, ${wait}`, 'µs', paced.p99 / 1000);
    figures.add('own', `CPU of a subscriber at 1,000 ticks/s, ${wait}`, '%', paced.cpu * 100);
  }
  const loaded = await twoProcesses('adaptive', ms, ['paced', 200_000]);
  figures.add('own', 'onBatch p50 at 200,000 ticks/s', 'µs', loaded.p50 / 1000);
  figures.add('own', 'onBatch p99 at 200,000 ticks/s', 'µs', loaded.p99 / 1000);
  const flooded = await twoProcesses('spin', ms, ['flood']);
  figures.add('own', 'onBatch with the feed flat out, received', 'M/s', flooded.perSecond / 1e6);
}

function measurePoll(figures: Figures, quick: boolean): void {
  const name = `bench-${process.pid}`;
  const publisher = new SharedMemoryPublisher({ name }).start();
  const subscriber = new SharedMemorySubscriber({ name }).start();
  const ticks = batch(SHAPES.LTP);
  const [bare, read] = [[] as number[], [] as number[]];
  let sum = 0;
  const measured = (blocks: number[], use: () => void): void => {
    publisher.publishBatch(ticks);
    const start = process.hrtime.bigint();
    use();
    blocks.push(Number(process.hrtime.bigint() - start) / ticks.length);
  };
  for (let i = 0; i < (quick ? 5_000 : 20_000); i++) {
    measured(bare, () => (sum += subscriber.poll(64).length));
    measured(read, () => {
      const polled = subscriber.poll(64);
      for (let n = 0; n < polled.length; n++) {
        const tick = polled.at(n)!;
        sum += tick.ltp! + tick.symbol.length;
      }
    });
  }
  subscriber.close();
  publisher.cleanup();
  if (sum === 0) throw new Error('nothing was read');
  figures.add('own', 'JavaScript poll in batches of 64, LTP', 'ns', middle(bare));
  figures.add('own', 'JavaScript poll in batches of 64, ltp and symbol read', 'ns', middle(read));
  figures.add('own', 'JavaScript poll in batches of 64, ltp and symbol read, a second', 'M/s', 1000 / middle(read));
}

async function twoProcesses(wait: string, ms: number, feed: readonly (string | number)[]): Promise<Seen> {
  const ring = new LockFreeRingBuffer({ name: `bench-${process.pid}-${Date.now()}` });
  const { name } = ring.info();
  const feeder = feed.length > 0 ? startBench(0, 'feeder.js', [name, ...feed]) : undefined;
  try {
    if (feeder !== undefined) await firstLine(feeder, /ready/);
    return JSON.parse(await output(startBench(1, 'reader.js', [name, wait, ms]))) as Seen;
  } finally {
    if (feeder !== undefined) await stop(feeder);
    ring.unlink();
    ring.close();
  }
}
