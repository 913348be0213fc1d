// Subscribes, and ends once 1,000 ticks have come.
import { WebSocket } from 'ws';

const webSocket = new WebSocket(process.argv[2]);
let ticks = 0;
webSocket.on('open', () =>
  webSocket.send(JSON.stringify({ action: 'subscribe', symbol: 'SBIN', exchange: 'NSE', mode: 1 })),
);
webSocket.on('message', (data) => {
  const { type } = JSON.parse(String(data));
  if (type === 'subscribe') console.log('subscribed');
  if (type !== 'market_data' || (ticks += 1) < 1_000) return;
  console.log(`got ${ticks}`);
  webSocket.terminate();
});
