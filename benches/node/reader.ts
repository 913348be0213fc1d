// A subscriber in a process of its own: `reader.js RING WAIT MS`. Prints what its callback saw as JSON.
import { SharedMemorySubscriber, type SubscriberOptions } from '../../src/shm/subscriber.ts';

const [ring = '', wait = 'adaptive', ms = '1000'] = process.argv.slice(2);
const subscriber = new SharedMemorySubscriber({
  name: ring,
  wait: wait as NonNullable<SubscriberOptions['wait']>,
}).start();
const latencies: number[] = [];
let count = 0;

subscriber.onBatch((batch) => {
  const now = Number(process.hrtime.bigint());
  for (let i = 0; i < batch.length; i++) {
    const stamp = batch.at(i)!.seq;
    if (stamp !== undefined && latencies.length < 1_000_000) latencies.push(now - stamp);
  }
  count += batch.length;
});

// The first quarter is for the compiler.
let [start, used] = [0, process.cpuUsage()];
setTimeout(
  () => {
    [latencies.length, count, start, used] = [0, 0, performance.now(), process.cpuUsage()];
  },
  Number(ms) / 4,
);
setTimeout(
  () => {
    const seconds = (performance.now() - start) / 1000;
    const { user, system } = process.cpuUsage(used);
    const sorted = Float64Array.from(latencies).sort();
    const at = (quantile: number): number => sorted[Math.floor(sorted.length * quantile)] ?? 0;
    const { messagesLost } = subscriber.getStats();
    subscriber.close();
    console.log(
      JSON.stringify({
        perSecond: count / seconds,
        cpu: (user + system) / 1e6 / seconds,
        p50: at(0.5),
        p99: at(0.99),
        messagesLost,
      }),
    );
  },
  Number(ms) * 1.25,
);
