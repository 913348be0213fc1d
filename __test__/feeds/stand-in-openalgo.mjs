// A stand-in for OpenAlgo's WebSocket server, with its answers, its limits and, on demand, its faults.
// Commands come as lines of JSON on stdin; what it says goes to stdout as lines.
import { createInterface } from 'node:readline';
import { WebSocketServer } from 'ws';

const MODES = { 1: 'LTP', 2: 'Quote', 3: 'Depth' };
const faults = {
  onePerMessage: false,
  refuse: [],
  /** Symbols that make every list with them fail. */
  poison: [],
  /** Symbols that cannot be unsubscribed at the broker. */
  keep: [],
  failRequests: 0,
  ignoreRequests: 0,
  /**
   * Texts that answer the next requests, in the place of what they asked for, or lists of texts that go out in one packet;
   * ID stands for the request's.
   */
  answers: [],
  refuseKey: false,
  /** Code of the error that `authenticate` answers while the broker has no valid login. */
  login: undefined,
  brokerDown: false,
  broker: 'mock',
  /** Most levels that the broker has. */
  mostLevels: 50,
  capacity: 3000,
  /** Time that the server stands still for each symbol of a list, ms. */
  msPerSymbol: 0,
  /** Older servers do not know get_broker_info. */
  tellsBroker: true,
  /** A proxy of this kind says that it has no broker until its feed publishes. */
  seemsDisconnected: false,
  /** Others answer nothing at all. */
  ignoreQuestions: false,
};
const clients = new Map();
const counts = {
  subscribes: 0,
  unsubscribes: 0,
  longest: 0,
  connections: 0,
  logins: 0,
  questions: 0,
  ticks: 0,
  deliveries: 0,
};
let sequence = 0;
/** What the broker's adapter is subscribed to, with the depth that it sends; undefined while there is no adapter. */
let adapter;

const server = new WebSocketServer({
  host: '127.0.0.1',
  port: Number(process.argv[2] ?? 0),
  maxPayload: 1024 * 1024,
  perMessageDeflate: true,
});
server.on('listening', () => console.log(`listening ${server.address().port}`));
server.on('connection', (socket) => {
  counts.connections++;
  const client = { user: undefined, orders: false, subscriptions: new Set() };
  clients.set(socket, client);
  const grace = setTimeout(() => client.user === undefined && socket.close(4401, 'auth timeout'), 15_000);
  socket.on('close', () => {
    clearTimeout(grace);
    clients.delete(socket);
    for (const key of client.subscriptions) leaveKey(key);
    if (clients.size === 0) adapter = undefined;
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
  if (action === 'get_broker_info' && faults.tellsBroker) {
    counts.questions++;
    if (faults.ignoreQuestions) return;
    const status = adapter === undefined || faults.seemsDisconnected ? 'disconnected' : 'connected';
    return send({
      type: 'broker_info',
      status: 'success',
      broker: 'mock',
      adapter_status: status,
      user_id: client.user,
    });
  }
  if (action !== 'subscribe' && action !== 'unsubscribe') return fail('INVALID_ACTION', `Invalid action: ${action}`);
  if (faults.ignoreRequests > 0) return void faults.ignoreRequests--;
  if (faults.answers.length > 0) return sendTogether(socket, [faults.answers.shift()].flat(), body.request_id);
  if (faults.failRequests > 0) {
    faults.failRequests--;
    return fail('PROCESSING_ERROR', 'database is locked');
  }
  if (faults.onePerMessage && body.symbols !== undefined)
    return fail('INVALID_PARAMETERS', 'At least one symbol must be specified');
  const wanted = body.symbols ?? [{ symbol: body.symbol, exchange: body.exchange, mode: body.mode }];
  counts.longest = Math.max(counts.longest, wanted.length);
  if (adapter === undefined) return fail('BROKER_ERROR', 'Broker adapter not found');
  if (wanted.some(({ symbol, exchange }) => faults.poison.includes(`${exchange}:${symbol}`)))
    return fail('SERVER_ERROR', "'NoneType' object has no attribute 'get'");
  if (faults.msPerSymbol > 0) standStill(faults.msPerSymbol * wanted.length);
  if (action === 'subscribe') subscribe(body, wanted, client, send, id);
  else unsubscribe(wanted, client, send, id);
}

function sendTogether(socket, texts, id) {
  socket._socket.cork();
  for (const text of texts) socket.send(text.replaceAll('ID', id));
  socket._socket.uncork();
}

/** As OpenAlgo does: its adapters are called within its event loop. */
function standStill(ms) {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

function authenticate(body, client, send, fail) {
  const key = body.api_key ?? body.apikey;
  if (!key) return fail('AUTHENTICATION_ERROR', 'API key is required');
  if (key !== 'good-key' || faults.refuseKey) return fail('AUTHENTICATION_ERROR', 'Invalid API key');
  // It counts as authenticated from here on, whatever becomes of the broker.
  client.user = 'bench_user';
  counts.logins++;
  if (faults.brokerDown) return fail('BROKER_ERROR', 'No broker configuration found for user');
  if (adapter === undefined && faults.login) return fail(faults.login, 'No valid login at the broker');
  adapter ??= new Map();
  send({
    type: 'auth',
    status: 'success',
    message: 'Authentication successful',
    broker: faults.broker,
    user_id: client.user,
    supported_features: { ltp: true, quote: true, depth: true },
  });
}

/** The pool in front of the adapter: a subscription that it has stays as it is, whatever depth is asked for. */
function askAdapter(name, mode, depth) {
  const key = `${name} ${mode}`;
  if (faults.refuse.includes(name)) return { status: 'error', message: `Symbol ${name.split(':')[1]} not found` };
  if (adapter.has(key)) return { status: 'success' };
  const symbols = new Set([...adapter.keys()].map((held) => held.slice(0, held.lastIndexOf(' '))));
  if (symbols.size >= faults.capacity && !symbols.has(name)) {
    const message = `Maximum capacity reached: 3 connections × 1000 symbols = 3000 symbols. Currently subscribed to ${symbols.size} symbols.`;
    return { status: 'error', message };
  }
  const actual_depth = Math.min(depth, faults.mostLevels);
  adapter.set(key, actual_depth);
  return { status: 'success', actual_depth };
}

function leaveKey(key) {
  if ([...clients.values()].some(({ subscriptions }) => subscriptions.has(key))) return { status: 'success' };
  if (faults.keep.includes(key.slice(0, key.lastIndexOf(' '))))
    return { status: 'error', message: 'Unsubscription failed' };
  adapter?.delete(key);
  return { status: 'success' };
}

function subscribe(body, wanted, client, send, id) {
  counts.subscribes++;
  const subscriptions = wanted.map(({ symbol, exchange }) => {
    const name = `${exchange}:${symbol}`;
    const { status, message, actual_depth } = askAdapter(name, body.mode, body.depth);
    if (status === 'error') return { symbol, exchange, status, message, broker: 'mock' };
    client.subscriptions.add(`${name} ${body.mode}`);
    return { symbol, exchange, status, mode: MODES[body.mode], depth: actual_depth ?? body.depth, broker: 'mock' };
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
  const lines = wanted.map(({ symbol, exchange, mode = 2 }) => {
    const key = `${exchange}:${symbol} ${mode}`;
    const result = client.subscriptions.delete(key) ? leaveKey(key) : { status: 'success' };
    return { symbol, exchange, ...result, broker: 'mock' };
  });
  const successful = lines.filter((line) => line.status === 'success');
  const failed = lines.filter((line) => line.status === 'error');
  const some = successful.length > 0 ? 'partial' : 'error';
  send({
    type: 'unsubscribe',
    status: failed.length === 0 ? 'success' : some,
    message: 'Unsubscription processing complete',
    successful,
    failed,
    broker: 'mock',
    ...id,
  });
}

/** One tick of mode M goes to each client once, under its highest mode that is at most M. */
function tick({ symbol, exchange, mode, data }) {
  if (adapter === undefined) return;
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
  for (let round = 0; round < rounds; round++) {
    for (const [key, depth] of adapter ?? []) {
      const [, exchange, symbol, mode] = /^([^:]*):(.*) (\d)$/.exec(key);
      const ltp = 100 + (++sequence % 1000) / 20;
      const side = (step) =>
        Array.from({ length: depth }, (_, i) => ({
          price: ltp + step * (i + 1),
          quantity: 10 * (i + 1),
          orders: i + 1,
        }));
      const base = { ltp, ltt: 1748426445, timestamp: 1748426445000 + sequence, symbol, exchange, mode: Number(mode) };
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
      tick({ symbol, exchange, mode: Number(mode), data });
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
  /** A login at the broker, or a logout: the adapter is dropped, and nobody is told. */
  dropAdapter: ({ isRebuilt, keys = [] }) => {
    // By another client of the user, which wants these.
    adapter = isRebuilt ? new Map(keys.map((key) => [key, 5])) : undefined;
  },
  faults: (changes) => Object.assign(faults, changes),
  report: ({ id }) => {
    const topics = [...clients.values()].map(({ subscriptions }) =>
      [...subscriptions]
        .filter((key) => adapter?.has(key))
        .map((key) => `${key} ${adapter.get(key)}`)
        .sort(),
    );
    console.log(`report ${id} ${JSON.stringify({ ...counts, clients: topics })}`);
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { command, ...rest } = JSON.parse(line);
  commands[command](rest);
}
