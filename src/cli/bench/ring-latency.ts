import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises';
import { OpenAlgoShmError } from '../../errors.ts';
import { SharedMemoryPublisher } from '../../shm/publisher.ts';
import { SharedMemorySubscriber } from '../../shm/subscriber.ts';
import { percentile, type Figure } from './figure.ts';
import { Measurement } from './measurement.ts';
import { answersOf } from './roles.ts';

/** Ticks that are sent and answered before any is counted. */
const WARM_UP = 2000;
/** An answer that takes longer will not come, ms. */
const PATIENCE_MS = 5000;
const NS_PER_SECOND = 1e9;
/** Rounds of a busy loop before others on the event loop have a turn. */
const BUSY_ROUNDS = 2000;

/**
 * Half a round trip of one tick between two processes.
 *
 * @param ending ends it early: then it rejects with the signal's reason
 * @param reader `busy`: both poll without a pause. `asleep`: the other sleeps in its event loop until the tick comes.
 */
export async function ringLatency(
  ring: string,
  reader: 'busy' | 'asleep',
  seconds: number,
  ending: AbortSignal,
): Promise<Figure[]> {
  const measurement = new Measurement([ring, answersOf(ring)], ending);
  const publisher = new SharedMemoryPublisher({ name: ring, preset: 'spsc' });
  const subscriber = new SharedMemorySubscriber({ name: answersOf(ring), preset: 'spsc' });
  try {
    await measurement.inRole(reader === 'busy' ? 'echo' : 'echo-asleep', ring);
    publisher.start();
    subscriber.start();
    const roundTrip = (): number => {
      const sent = now();
      publisher.publishMarketData('PING', { ltp: 1 });
      for (let polls = 1; subscriber.poll(1).length === 0; polls++) {
        if (polls % 100_000 === 0 && now() - sent > PATIENCE_MS * 1e6) throw noAnswer();
      }
      return now() - sent;
    };
    for (let round = 0; round < (reader === 'busy' ? WARM_UP : 10); round++) roundTrip();
    const samples: number[] = [];
    const end = now() + seconds * NS_PER_SECOND;
    while (now() < end) {
      samples.push(roundTrip() / 2);
      // Long enough for the other to fall asleep.
      if (reader === 'asleep') await sleep(1);
      else if (samples.length % BUSY_ROUNDS === 0) await turn();
      measurement.throwIfEnding();
    }
    const sorted = Float64Array.from(samples).toSorted();
    return [50, 99, 99.9].map((percent) => ({
      name: `ring latency, reader ${reader}, p${percent}`,
      value: percentile(sorted, percent),
      unit: 'ns',
    }));
  } finally {
    publisher.stop();
    subscriber.close();
    await measurement.end();
  }
}

function now(): number {
  const [seconds, ns] = process.hrtime();
  return seconds * NS_PER_SECOND + ns;
}

function noAnswer(): OpenAlgoShmError {
  return new OpenAlgoShmError('ERR_UPSTREAM', 'the other process of the benchmark does not answer; run it again');
}
