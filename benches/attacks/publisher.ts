// A paced publisher in a process of its own. Tick n has the number n in `seq`, and the topics take turns.
import { SharedMemoryPublisher } from '../../src/shm/publisher.ts';
import { answerCalls } from './harness-process.ts';
import { type PublisherSetup, type Published, symbolOf } from './ticks.ts';

const now = (): number => Number(process.hrtime.bigint());

let publisher: SharedMemoryPublisher | undefined;
let seq = 0;
let lastPublish = now();
let longestPause = 0;

function start({ ring, rate, topics, idleTopics }: PublisherSetup): void {
  const target = new SharedMemoryPublisher({ name: ring }).start();
  publisher = target;
  for (let i = 0; i < idleTopics; i++) target.publishMarketData(`IDLE${i}`, { type: 1, ltp: 100, volume: i });
  const step = 1e9 / rate;
  let due = now();
  setInterval(() => {
    const time = now();
    for (; due <= time; due += step) {
      seq += 1;
      const tick = { type: 1, ltp: 2875.35 + (seq % 100) / 20, volume: 8_412_311 + seq, seq } as const;
      target.publishMarketData(symbolOf(seq % topics), tick);
      longestPause = Math.max(longestPause, time - lastPublish);
      lastPublish = time;
    }
  }, 1);
}

answerCalls(
  {
    start,
    begin: () => {
      lastPublish = now();
      longestPause = 0;
    },
    published: (): Published => ({ last: seq, longestPauseMs: longestPause / 1e6 }),
  },
  () => {
    publisher?.stop();
    publisher?.cleanup();
  },
);
