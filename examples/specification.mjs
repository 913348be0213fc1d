// The whole path in one run: a proxy, a publisher that stands for a broker, and a WebSocket client that gets its ticks.
import { once } from 'node:events';
import { SharedMemoryBrokerAdapter, SharedMemoryPublisher, WebSocketProxy } from 'openalgo-shm';
import { WebSocket } from 'ws';

const ring = { name: `example-${process.pid}` };

// The proxy: ws://localhost:8765 without options; any free port here, so that the example runs beside anything.
const proxy = new WebSocketProxy({ ring, port: 0, log: 'warn' });
await proxy.start();
const { url } = proxy.address();
console.log(`proxy listens on ${url}`);

// A client, as in any browser: subscribe in the short form, then ticks come.
const client = new WebSocket(url);
const messages = [];
client.on('message', (data) => messages.push(JSON.parse(data)));
const received = async (type) => {
  while (!messages.some((message) => message.type === type)) await once(client, 'message');
  return messages.splice(
    messages.findIndex((message) => message.type === type),
    1,
  )[0];
};
await once(client, 'open');
client.send(JSON.stringify({ action: 'subscribe', symbol: 'RELIANCE' }));
const { status } = await received('subscribe');
console.log(`subscribe: ${status}`);

// A publisher, usually in another process.
const publisher = new SharedMemoryPublisher(ring);
publisher.start();
publisher.publishMarketData('RELIANCE', { type: 1, ltp: 150.25, volume: 1000, bid: 150.0, ask: 150.5, seq: 1 });
console.log('client got', (await received('market_data')).data);
console.log('publisher', publisher.getStats());
publisher.stop();

// A broker's adapter hands over its ticks as they are, with its own names.
const adapter = new SharedMemoryBrokerAdapter('your_broker', ring);
adapter.publishTickData('RELIANCE', {
  last_price: 1402.5,
  volume_traded: 5000,
  ohlc: { open: 1395, high: 1410, low: 1390, close: 1398.2 },
  depth: { buy: [{ price: 1402.4, quantity: 10, orders: 1 }], sell: [{ price: 1402.6, quantity: 12, orders: 2 }] },
});
console.log('client got', (await received('market_data')).data);

client.close();
await proxy.stop();
adapter.cleanup(); // removes the shared memory
