import { Unpackr } from 'msgpackr';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import type { SharedMemoryPublisher } from '../../src/shm/publisher.ts';
import { type Received, RunningProxy, until } from './running-proxy.ts';

const unpackr = new Unpackr({ int64AsType: 'number', mapsAsObjects: true });
const sockets: WebSocket[] = [];
let running: RunningProxy;
let publisher: SharedMemoryPublisher;

beforeEach(async () => {
  running = await RunningProxy.start();
  publisher = running.publisher();
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.terminate();
  await running.stop();
});

async function compactClient(protocols: string[]): Promise<{ socket: WebSocket; received: Received[]; texts: number }> {
  const socket = new WebSocket(running.url, protocols);
  sockets.push(socket);
  const client = { socket, received: [] as Received[], texts: 0 };
  socket.on('message', (data: Buffer, isBinary) => {
    if (isBinary) client.received.push(unpackr.unpack(data) as Received);
    else client.texts += 1;
  });
  await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
  return client;
}

describe('a client that asks for MessagePack', () => {
  test('gets answers, snapshots and ticks in it, the same as others in JSON', async () => {
    publisher.publishMarketData('TCS', { ltp: 1, open: 2 });
    await until(
      'the proxy has it',
      async () => (await running.get('/snapshot?exchange=NSE&symbol=TCS')).status === 200,
    );
    const compact = await compactClient(['openalgo-shm.msgpack']);
    expect(compact.socket.protocol).toBe('openalgo-shm.msgpack');
    compact.socket.send(JSON.stringify({ action: 'subscribe', symbol: 'TCS', exchange: 'NSE', mode: 2 }));
    await until('answer and snapshot came', () => compact.received.length === 2);
    expect(compact.received[0]).toMatchObject({ type: 'subscribe', status: 'success' });
    expect(compact.received[1]).toMatchObject({ type: 'market_data', mode: 2, snapshot: true, data: { open: 2 } });

    const plain = await running.client();
    await plain.ask({ action: 'subscribe', symbol: 'TCS', exchange: 'NSE', mode: 2 });
    await plain.next();
    const depth = { buy: [{ price: 9.5, quantity: 5, orders: 1 }], sell: [] };
    publisher.publishMarketData('TCS', { ltp: 10.25, volume: 2 ** 40, depth });
    await until('the tick came', () => compact.received.length === 3);
    expect(compact.received[2]).toEqual(await plain.next());
    expect(compact.received[2]).toMatchObject({ mode: 2, data: { ltp: 10.25, depth } });
    expect(compact.texts).toBe(0);
  });

  test('leaves nothing wanted behind when it unsubscribes, and takes nothing from others', async () => {
    const compact = await compactClient(['openalgo-shm.msgpack']);
    const plain = await running.client();
    await plain.ask({ action: 'subscribe', symbol: 'TCS' });
    compact.socket.send(JSON.stringify({ action: 'subscribe', symbol: 'TCS' }));
    compact.socket.send(JSON.stringify({ action: 'unsubscribe', symbol: 'TCS' }));
    await until('both answers came', () => compact.received.length === 2);
    expect(compact.received[1]).toMatchObject({ type: 'unsubscribe', status: 'success' });
    publisher.publishMarketData('TCS', { ltp: 5 });
    expect(await plain.next()).toMatchObject({ data: { ltp: 5 } });
    expect(compact.received.length).toBe(2);
    expect(running.proxy.getStats().subscriptions).toMatchObject({ total: 3, topics: 1 });
  });
});

test('a subprotocol that is not known is not agreed to', async () => {
  // The client library ends a connection whose subprotocols were all passed over.
  await expect(compactClient(['graphql-ws'])).rejects.toThrow('Server sent no subprotocol');
});
