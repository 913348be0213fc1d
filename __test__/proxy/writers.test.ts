import { afterEach, describe, expect, test } from 'vitest';
import type { WebSocketProxyOptions } from '../../src/proxy/websocket-proxy.ts';
import { certificate, hasOpenSsl } from './certificate.ts';
import { type Client, RunningProxy, until } from './running-proxy.ts';

const TICKS = 20_000;
const ROUND = 250;

let running: RunningProxy | undefined;

async function start(options: WebSocketProxyOptions = {}): Promise<RunningProxy> {
  running = await RunningProxy.start({ highWaterMark: 2 ** 32, ring: { bufferSize: 64 << 20 }, ...options });
  return running;
}

afterEach(() => running?.stop());

/** Publishes numbered ticks of 20 symbols, letting the proxy and its clients work in between. */
async function flood(proxy: RunningProxy, between: (published: number) => void = () => undefined): Promise<void> {
  const publisher = proxy.publisher();
  for (let from = 0; from < TICKS; from += ROUND) {
    const round = Array.from({ length: ROUND }, (_, i) => ({ symbol: `S${(from + i) % 20}`, ltp: from + i }));
    expect(publisher.publishBatch(round)).toBe(ROUND);
    between(from + ROUND);
    await new Promise(setImmediate);
  }
}

async function subscribers(proxy: RunningProxy, count: number, options = {}): Promise<Client[]> {
  return Promise.all(
    Array.from({ length: count }, async () => {
      const client = await proxy.client('/', options);
      await client.ask({ action: 'subscribe', symbol: '*', exchange: 'NSE', mode: 1 });
      return client;
    }),
  );
}

async function expectEveryTick(clients: readonly Client[]): Promise<void> {
  for (const client of clients) {
    await until('every tick came', () => client.ticks().length >= TICKS || client.webSocket.readyState !== 1);
    const prices = client.ticks().map((tick) => tick.data?.['ltp']);
    expect(prices.length).toBe(TICKS);
    expect(prices.every((price, index) => price === index)).toBe(true);
  }
}

describe('whatever way the frames take, every tick comes once, whole and in order', () => {
  const ways: [how: string, way: 'direct' | 'ws', options: () => WebSocketProxyOptions][] = [
    ['directly', 'direct', () => ({})],
    ['through JavaScript', 'ws', () => ({ delivery: 'ws' })],
    ['through TLS', 'ws', () => ({ server: { https: certificate() } })],
  ];
  test.each(ways)('%s to clients that stall, catch up and ping in between', async (how, way, options) => {
    if (how === 'through TLS' && !hasOpenSsl) return;
    const proxy = await start(options());
    const clients = await subscribers(proxy, 10, { rejectUnauthorized: false });
    const shown = proxy.proxy.getStats().clients.furthest_behind;
    expect(shown.map(({ delivery }) => delivery)).toEqual(Array(10).fill(way));
    const stalling = clients.slice(0, 4);
    let pongs = 0;
    for (const client of clients) client.webSocket.on('pong', () => (pongs += 1));
    await flood(proxy, (published) => {
      if (published === TICKS / 4) for (const client of stalling) client.webSocket.pause();
      if (published === TICKS / 2) for (const client of stalling.slice(0, 2)) client.webSocket.resume();
      for (const client of clients) client.webSocket.ping();
    });
    for (const client of stalling) client.webSocket.resume();
    await expectEveryTick(clients);
    await until('every ping was answered', () => pongs === (clients.length * TICKS) / ROUND);
    expect(proxy.proxy.getStats().messages.conflated).toBe(0);
  });

  test('to clients with compression beside clients without', async () => {
    const proxy = await start({ perMessageDeflate: true });
    const compressed = await subscribers(proxy, 2, { perMessageDeflate: true });
    const plain = await subscribers(proxy, 2, { perMessageDeflate: false });
    expect(compressed.map(({ webSocket }) => webSocket.extensions)).toEqual(Array(2).fill('permessage-deflate'));
    expect(plain.map(({ webSocket }) => webSocket.extensions)).toEqual(['', '']);
    await flood(proxy);
    await expectEveryTick([...compressed, ...plain]);
  });

  test('to those who stay, while others come and vanish', async () => {
    const proxy = await start();
    const staying = await subscribers(proxy, 4);
    let vanishing: Promise<Client>[] = [];
    await flood(proxy, (published) => {
      if (published % 2000 !== 0) return;
      for (const client of vanishing) void client.then(({ webSocket }) => webSocket.terminate());
      vanishing = Array.from({ length: 3 }, async () => (await subscribers(proxy, 1))[0] as Client);
    });
    await Promise.all(vanishing);
    await expectEveryTick(staying);
  });
});
