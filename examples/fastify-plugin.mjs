// The proxy inside an application of your own: a Fastify plugin under a prefix.
import { once } from 'node:events';
import Fastify from 'fastify';
import { SharedMemoryPublisher } from 'openalgo-shm';
import { openalgoShm } from 'openalgo-shm/fastify';
import { WebSocket } from 'ws';

const ring = { name: `example-plugin-${process.pid}` };

const app = Fastify();
app.get('/', async () => ({ hello: 'from the application itself' }));
await app.register(openalgoShm, { prefix: '/market', ring });
await app.listen({ port: 0, host: '127.0.0.1' });
const { port } = app.server.address();

const client = new WebSocket(`ws://127.0.0.1:${port}/market`);
await once(client, 'open');
client.send(JSON.stringify({ action: 'subscribe', symbol: 'NIFTY', exchange: 'NSE_INDEX', mode: 'LTP' }));
const [answer] = await once(client, 'message');
console.log('answer', JSON.parse(answer));

const publisher = new SharedMemoryPublisher(ring).start();
publisher.publishMarketData('NIFTY', { exchange: 'NSE_INDEX', ltp: 24_850.35 });
const [tick] = await once(client, 'message');
console.log('tick', JSON.parse(tick));

const stats = await (await fetch(`http://127.0.0.1:${port}/market/stats`)).json();
console.log(
  `${stats.clients.connected} client, ${stats.messages.sent} tick sent, ${app.openalgoShm.stats().publishers.length} publisher`,
);

client.close();
await app.close();
publisher.cleanup();
