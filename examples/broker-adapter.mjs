// A broker's adapter that streams from its broker just what clients want, and stops when the last has left.
import { once } from 'node:events';
import { SharedMemoryBrokerAdapter, WebSocketProxy } from 'openalgo-shm';
import { WebSocket } from 'ws';

const ring = { name: `example-adapter-${process.pid}` };

// Stands for the broker's own ticker.
const streams = new Map();
const adapter = new SharedMemoryBrokerAdapter('your_broker', ring);
adapter.on('subscribe', ({ exchange, symbol, mode, depth }) => {
  console.log(`subscribe at the broker: ${exchange}:${symbol}, mode ${mode}, ${depth} levels`);
  const publish = () => adapter.publishTickData(symbol, { exchange, mode, last_price: 1400 + Math.random() });
  streams.set(`${exchange}:${symbol}:${mode}`, setInterval(publish, 10));
});
adapter.on('unsubscribe', ({ exchange, symbol, mode }) => {
  console.log(`unsubscribe at the broker: ${exchange}:${symbol}, mode ${mode}`);
  clearInterval(streams.get(`${exchange}:${symbol}:${mode}`));
  streams.delete(`${exchange}:${symbol}:${mode}`);
});

const proxy = new WebSocketProxy({ ring, port: 0, log: 'warn' });
await proxy.start();
const client = new WebSocket(proxy.address().url);
await once(client, 'open');
client.send(JSON.stringify({ action: 'subscribe', symbol: 'RELIANCE', exchange: 'NSE', mode: 'LTP' }));
for (let ticks = 0; ticks < 3;) {
  const message = JSON.parse((await once(client, 'message'))[0]);
  if (message.type !== 'market_data') continue;
  console.log('client got', message.data.ltp.toFixed(2));
  ticks++;
}
const left = once(adapter, 'unsubscribe');
client.close();
await left;

await proxy.stop();
adapter.cleanup(); // removes the shared memory
