// A server that only keeps its clients: `idle-server.js ws | fastify`. What a connection costs in memory without us.
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import websocket from '@fastify/websocket';
import Fastify from 'fastify';
import { WebSocketServer } from 'ws';

if (process.argv[2] === 'fastify') {
  const app = Fastify();
  await app.register(websocket);
  app.get('/', { websocket: true }, (socket) => {
    socket.on('message', () => undefined);
  });
  await app.listen({ host: '127.0.0.1', port: 0 });
  console.log((app.server.address() as AddressInfo).port);
} else {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
  server.on('connection', (socket) => {
    socket.on('message', () => undefined);
  });
  await once(server, 'listening');
  console.log((server.address() as AddressInfo).port);
}
