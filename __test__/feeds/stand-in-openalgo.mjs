// A stand-in for OpenAlgo's WebSocket server, with its answers, its limits and, on demand, its faults.
// Commands come as lines of JSON on stdin; what it says goes to stdout as lines.
import { createInterface } from 'node:readline';
import { WebSocketServer } from 'ws';

const MODES = { 1: 'LTP', 2: 'Quote', 3: 'Depth' };
const CAPACITY = 3000;
const faults = {
  onePerMessage: false,
  refuse: [],
  failRequests: 0,
  ignoreRequests: 0,
  refuseKey: false,
  brokerDown: false,
  broker: 'mock',
};
const clients = new Map();
const counts = { subscribes: 0, unsubscribes: 0, longest: 0, connections: 0, ticks: 0, deliveries: 0 };
let sequence = 0;

const server = new WebSocketServer({
  host: '127.0.0.1',
  port: Number(process.argv[2] ?? 0),
  maxPayload: 1024 * 1024,
  perMessageDeflate: true,
});
server.on('listening', () => console.log(`listening ${server.address().port}`));
server.on('connection', (socket) => {
  counts.connections++;
  const client = { user: undefined, orders: false, subscriptions: new Map() };
  clients.set(socket, client);
  const grace = setTimeout(() => client.user === undefined && socket.close(4401, 'auth timeout'), 15_000);
  socket.on('close', () => {
    clearTimeout(grace);
    clients.delete(socket);
  });
  socket.on('error', () => {});
  socket.on('message', (data) => receive(socket, client, String(data)));
});

function receive(socket, client, text) {
  const send = (message) => socket.send(JSON.stringify(message));
  const fail = (code, message) => send({ status: 'error', code, message });
  let body;
  try {
    body = JSON.parse(text);
  } catch {
    return fail('INVALID_JSON', 'Invalid JSON message');
  }
  const action = body.action || body.type;
  if (action === 'authenticate' || action === 'auth') return authenticate(body, client, send, fail);
  if (client.user === undefined) return fail('NOT_AUTHENTICATED', 'You must authenticate first');
  const id = body.request_id === undefined ? {} : { request_id: body.request_id };
  if (action === 'subscribe_orders') {
    client.orders = true;
    return send({ type: action, status: 'success', message: 'Subscribed to order updates', ...id });
  }
  if (action !== 'subscribe' && action !== 'unsubscribe') return fail('INVALID_ACTION', `Invalid action: ${action}`);
  if (faults.ignoreRequests > 0) return void faults.ignoreRequests--;
  if (faults.failRequests > 0) {
    faults.failRequests--;
    return fail('PROCESSING_ERROR', 'database is locked');
  }
  if (faults.onePerMessage && body.symbols !== undefined)
    return fail('INVALID_PARAMETERS', 'At least one symbol must be specified');
  const wanted = body.symbols ?? [{ symbol: body.symbol, exchange: body.exchange, mode: body.mode }];
  counts.longest = Math.max(counts.longest, wanted.length);
  if (action === 'subscribe') subscribe(body, wanted, client, send, id);
  else unsubscribe(wanted, client, send, id);
}

function authenticate(body, client, send, fail) {
  const key = body.api_key ?? body.apikey;
  if (!key) return fail('AUTHENTICATION_ERROR', 'API key is required');
  if (faults.brokerDown) return fail('BROKER_ERROR', 'No broker configuration found for user');
  if (key !== 'good-key' || faults.refuseKey) return fail('AUTHENTICATION_ERROR', 'Invalid API key');
  client.user = 'bench_user';
  send({
    type: 'auth',
    status: 'success',
    message: 'Authentication successful',
    broker: faults.broker,
    user_id: client.user,
    supported_features: { ltp: true, quote: true, depth: true },
  });
}

function subscribe(body, wanted, client, send, id) {
  counts.subscribes++;
  const subscriptions = wanted.map(({ symbol, exchange }) => {
    const key = `${exchange}:${symbol} ${body.mode}`;
    if (faults.refuse.includes(`${exchange}:${symbol}`))
      return { symbol, exchange, status: 'error', message: `Symbol ${symbol} not found`, broker: 'mock' };
    if (client.subscriptions.size >= CAPACITY && !client.subscriptions.has(key)) {
      return {
        symbol,
        exchange,
        status: 'error',
        message: 'Maximum capacity reached: 3 connections × 1000 symbols = 3000 symbols.',
        broker: 'mock',
      };
    }
    client.subscriptions.set(key, { symbol, exchange, mode: body.mode, depth: body.depth });
    return { symbol, exchange, status: 'success', mode: MODES[body.mode], depth: body.depth, broker: 'mock' };
  });
  const status = subscriptions.every((line) => line.status === 'success') ? 'success' : 'partial';
  send({
    type: 'subscribe',
    status,
    subscriptions,
    message: 'Subscription processing complete',
    broker: 'mock',
    ...id,
  });
}

function unsubscribe(wanted, client, send, id) {
  counts.unsubscribes++;
  const successful = wanted.map(({ symbol, exchange, mode = 2 }) => {
    client.subscriptions.delete(`${exchange}:${symbol} ${mode}`);
    return { symbol, exchange, status: 'success', broker: 'mock' };
  });
  send({
    type: 'unsubscribe',
    status: 'success',
    message: 'Unsubscription processing complete',
    successful,
    failed: [],
    broker: 'mock',
    ...id,
  });
}

/** One tick of mode M goes to each client once, under its highest mode that is at most M. */
function tick({ symbol, exchange, mode, data }) {
  counts.ticks++;
  for (const [socket, { subscriptions }] of clients) {
    for (let under = mode; under >= 1; under--) {
      if (!subscriptions.has(`${exchange}:${symbol} ${under}`)) continue;
      counts.deliveries++;
      // Python writes what is not finite bare.
      const text = JSON.stringify({ type: 'market_data', symbol, exchange, mode: under, data, broker: 'mock' });
      socket.send(text.replaceAll('"NaN"', 'NaN'));
      break;
    }
  }
}

/** Ticks of every topic that anybody wants, each with the depth that was asked for. */
function burst(rounds) {
  const topics = new Map();
  for (const { subscriptions } of clients.values()) for (const [key, topic] of subscriptions) topics.set(key, topic);
  for (let round = 0; round < rounds; round++) {
    for (const { symbol, exchange, mode, depth } of topics.values()) {
      const ltp = 100 + (++sequence % 1000) / 20;
      const side = (step) =>
        Array.from({ length: depth }, (_, i) => ({
          price: ltp + step * (i + 1),
          quantity: 10 * (i + 1),
          orders: i + 1,
        }));
      const base = { ltp, ltt: 1748426445, timestamp: 1748426445000 + sequence, symbol, exchange, mode };
      const quote = {
        ...base,
        volume: 1000 + sequence,
        open: 99,
        high: 151,
        low: 98,
        close: 100.5,
        average_price: 120.25,
        last_quantity: 5,
      };
      const data = { 1: base, 2: quote, 3: { ...quote, depth: { buy: side(-0.05), sell: side(0.05) } } }[mode];
      tick({ symbol, exchange, mode, data });
    }
  }
}

let streaming;
const commands = {
  tick,
  burst: ({ rounds = 1 }) => burst(rounds),
  stream: ({ everyMs }) => {
    clearInterval(streaming);
    if (everyMs > 0) streaming = setInterval(() => burst(1), everyMs);
  },
  order: ({ update }) => {
    for (const [socket, { orders }] of clients)
      if (orders) socket.send(JSON.stringify({ type: 'order_update', ...update }));
  },
  raw: ({ text }) => {
    for (const socket of clients.keys()) socket.send(text);
  },
  drop: () => {
    for (const socket of clients.keys()) socket.terminate();
  },
  faults: (changes) => Object.assign(faults, changes),
  report: ({ id }) => {
    const topics = [...clients.values()].map(({ subscriptions }) =>
      [...subscriptions].map(([key, { depth }]) => `${key} ${depth}`).sort(),
    );
    console.log(`report ${id} ${JSON.stringify({ ...counts, clients: topics })}`);
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { command, ...rest } = JSON.parse(line);
  commands[command](rest);
}
