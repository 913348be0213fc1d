// A proxy with a client and many ticks on their way, in a worker thread that is ended from outside.
import { parentPort, threadId } from 'node:worker_threads';
import { WebSocket } from 'ws';
import { LockFreeRingBuffer, SharedMemoryPublisher, WebSocketProxy } from '../../dist/index.js';

const name = `test-worker-${process.pid}-${threadId}`;
const proxy = await new WebSocketProxy({ port: 0, log: 'silent', ring: { name } }).start();
const publisher = new SharedMemoryPublisher({ name }).start();
const client = new WebSocket(proxy.address().url);
client.on('open', () => client.send(JSON.stringify({ action: 'subscribe', symbol: '*', exchange: 'NSE', mode: 1 })));
client.on('message', (data) => {
  if (JSON.parse(String(data)).type !== 'subscribe') return;
  for (let ltp = 0; ltp < 2_000; ltp++) publisher.publishMarketData('SBIN', { ltp });
  for (const ring of [name, `${name}.interest`, `${name}.events`]) LockFreeRingBuffer.unlink(ring);
  parentPort.postMessage('sending', []);
});
