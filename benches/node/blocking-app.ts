// An application with the plugin, whose own work blocks the event loop: `blocking-app.js RING BLOCK_MS EVERY_MS`
import type { AddressInfo } from 'node:net';
import Fastify from 'fastify';
import { openalgoShm } from 'openalgo-shm/fastify';

const [ring = '', blockMs = '0', everyMs = '3000'] = process.argv.slice(2);

const app = Fastify();
await app.register(openalgoShm, { ring: { name: ring }, snapshot: false });
await app.listen({ host: '127.0.0.1', port: 0 });
console.log((app.server.address() as AddressInfo).port);

// A report that is computed in one go.
function report(): void {
  const end = performance.now() + Number(blockMs);
  while (performance.now() < end);
}
if (Number(blockMs) > 0) setInterval(report, Number(everyMs));
