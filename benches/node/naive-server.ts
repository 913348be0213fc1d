// What one writes first: every tick is turned into JSON for every client. `naive-server.js CLIENTS TOPICS MODE GATHER RATE`
// Rate 0: as fast as the clients take it.
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';
import { SHAPES } from './ticks.ts';

const [expected = 1, topics = 1, mode = 1, gather = 1, rate = 0] = process.argv.slice(2).map(Number);
const MOST_UNSENT = 1 << 20;
const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
const clients: WebSocket[] = [];
let sequence = 0;

function tick(): object {
  const symbol = `SYM${sequence % topics}`;
  const { type: _, ...fields } = mode === 3 ? SHAPES['depth 5'] : { type: 1, ...SHAPES.LTP };
  const data = { symbol, exchange: 'NSE', mode, ...fields, seq: Number(process.hrtime.bigint()) };
  return { type: 'market_data', symbol, exchange: 'NSE', mode, seq: sequence++, data, broker: 'bench' };
}

function publish(): void {
  const message = tick();
  for (const client of clients) client.send(JSON.stringify(message));
}

function flood(): void {
  if (clients.every((client) => client.bufferedAmount < MOST_UNSENT)) {
    for (let i = 0; i < gather; i++) publish();
  }
  setImmediate(flood);
}

let due = 0;
function paced(): void {
  for (const now = performance.now(); due <= now; due += 1000 / rate) publish();
  setImmediate(paced);
}

server.on('connection', (client) => {
  client.on('error', () => client.terminate());
  client.once('message', () => {
    if (clients.push(client) < expected) return;
    due = performance.now();
    if (rate === 0) flood();
    else paced();
  });
});
await once(server, 'listening');
console.log((server.address() as AddressInfo).port);
process.stdin.resume();
process.stdin.on('end', () => process.exit());
