// A publisher in a process of its own: `feeder.js RING paced RATE | flood`. Its ticks carry their time in `seq`.
import { SharedMemoryPublisher } from '../../src/shm/publisher.ts';
import { batch, SHAPES } from './ticks.ts';

const [ring = '', pace = 'flood', rate = '1000'] = process.argv.slice(2);
const publisher = new SharedMemoryPublisher({ name: ring }).start();
const now = (): number => Number(process.hrtime.bigint());

if (pace === 'flood') {
  const ticks = batch(SHAPES.LTP);
  const flood = (): void => {
    for (let i = 0; i < 200; i++) publisher.publishBatch(ticks);
    setImmediate(flood);
  };
  flood();
} else {
  const step = 1e9 / Number(rate);
  let due = now();
  const paced = (): void => {
    for (const time = now(); due <= time; due += step) {
      publisher.publishMarketData('RELIANCE', { ...SHAPES.LTP, seq: now() });
    }
    setImmediate(paced);
  };
  paced();
}
console.log('ready');
