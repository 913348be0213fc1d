// A proxy's interest in a process of its own: `set EXCHANGE SYMBOL MODES DEPTH` and `close` come as lines.
import { createInterface } from 'node:readline';
import { InterestPublisher } from '../../dist/shm/interest.js';

const interest = new InterestPublisher({ name: process.argv[2] });
console.log('ready');
for await (const line of createInterface({ input: process.stdin })) {
  const [command, exchange, symbol, modes, depth] = line.split(' ');
  if (command === 'set') interest.set(exchange, symbol, Number(modes), Number(depth));
  if (command === 'close') interest.close();
}
