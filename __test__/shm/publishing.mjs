// A publisher in a process of its own: `EXCHANGE SYMBOL PRICE` comes as a line, each answered when it is published.
import { createInterface } from 'node:readline';
import { SharedMemoryPublisher } from '../../dist/shm/publisher.js';

const [, , name, publisherName] = process.argv;
const publisher = new SharedMemoryPublisher({ name, publisherName }).start();
console.log('ready');
for await (const line of createInterface({ input: process.stdin })) {
  const [exchange, symbol, price] = line.split(' ');
  publisher.publishMarketData(symbol, { exchange, ltp: Number(price) });
  console.log(`published ${line}`);
}
