import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { afterEach, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { SharedMemoryBrokerAdapter } from '../src/feeds/broker-adapter.ts';
import type { StatsReport } from '../src/proxy/schemas.ts';
import { removeRings, run, RunningCommand, until } from './cli/running-command.ts';
import { ClientProcess } from './main-job/client-process.ts';

const CLIENTS = 20;
const ring = `test-main-job-${process.pid}`;

interface Input {
  path: string;
  what: string;
}

/** The real recording where it is at hand, else a small sample of the same form. */
function inputOf(real: string, realName: string, sample: string): Input {
  if (existsSync(real)) return { path: real, what: realName };
  return { path: sample, what: `a sample in place of ${realName}` };
}

const session = inputOf(
  '../shared/data/nifty-ltp-2022-09-20.csv',
  "a real session's index values",
  '__test__/samples/index-ltp.csv',
);
const kiteTick = inputOf(
  '../shared/data/kite-ticker-full.json',
  "a broker's real five-level tick",
  '__test__/samples/kite-tick.json',
);

const published = readFileSync(session.path, 'utf8')
  .trim()
  .split('\n')
  .map((line) => Number(line.split(',')[1]));

let clients: ClientProcess | undefined;

afterEach(async () => {
  await clients?.end();
  await RunningCommand.endAll();
  removeRings(ring);
});

async function serve(...flags: string[]): Promise<{ proxy: RunningCommand; url: string }> {
  const proxy = new RunningCommand([
    'serve',
    '--port=0',
    `--ring=${ring}`,
    '--log-level=warn',
    '--no-snapshot',
    ...flags,
  ]);
  const [, url] = await proxy.says(/→ (ws:\S+);/);
  return { proxy, url: url! };
}

async function replay(): Promise<void> {
  const flags = ['--symbol=NIFTY', '--exchange=NSE_INDEX', '--speed=max', `--ring=${ring}`];
  const { code, stdout, stderr } = await run(['feed', 'replay', session.path, ...flags]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toContain('0 malformed');
}

async function statsOf(url: string): Promise<StatsReport> {
  return (await fetch(`${url.replace('ws:', 'http:')}/stats`)).json() as Promise<StatsReport>;
}

function digestOf(values: readonly number[]): string {
  return createHash('sha256').update(values.join()).digest('hex');
}

/** Whether all values occur among the published in this order. */
function isSubsequence(values: readonly number[], all: readonly number[]): boolean {
  let at = 0;
  for (const value of values) {
    while (at < all.length && all[at] !== value) at++;
    if (at++ >= all.length) return false;
  }
  return true;
}

describe(`${session.what} (${published.length}), replayed as fast as possible to ${CLIENTS} clients`, () => {
  test('reach every client, every value in order; nothing is lost, nothing conflated', async () => {
    const { url } = await serve('--buffer-size=32MiB', '--high-water-mark=256MiB');
    clients = await ClientProcess.start(url, CLIENTS, 'NIFTY', 'NSE_INDEX');
    await replay();
    await until('all values at all clients', async () =>
      (await clients!.counts()).every((count) => count >= published.length),
    );
    const { reports } = await clients.reports();
    const whole = { count: published.length, digest: digestOf(published), increasing: true, others: [] };
    expect(reports).toEqual(Array.from({ length: CLIENTS }, () => whole));
    const stats = await statsOf(url);
    expect(stats.publishers).toMatchObject([{ messages_published: published.length, messages_rejected: 0 }]);
    expect(stats.subscribers[0]).toMatchObject({ messages_received: published.length, messages_lost: 0, lag: 0 });
    expect(stats.messages).toMatchObject({ sent: CLIENTS * published.length, conflated: 0 });
  });

  test('with a buffer far too small, what came and what is reported lost is what was published', async () => {
    const { proxy, url } = await serve('--buffer-size=4KiB', '--high-water-mark=256MiB');
    clients = await ClientProcess.start(url, CLIENTS, 'NIFTY', 'NSE_INDEX');
    await replay();
    // The second time the proxy cannot read at all, so that there are losses on any machine.
    proxy.process.kill('SIGSTOP');
    await replay();
    proxy.process.kill('SIGCONT');
    const total = 2 * published.length;
    let stats = await statsOf(url);
    await until('the proxy to have read all there is', async () => {
      stats = await statsOf(url);
      const [own] = stats.subscribers;
      return own!.lag === 0 && own!.messages_received + own!.messages_lost >= total;
    });
    const { messages_received: received, messages_lost: lost } = stats.subscribers[0]!;
    await until('the clients to have got what the proxy has read', async () =>
      (await clients!.counts()).every((count) => count >= received),
    );
    const { reports, values } = await clients.reports();
    expect(lost).toBeGreaterThan(0);
    expect(received).toBeGreaterThan(0);
    expect(reports.map(({ count }) => count + lost)).toEqual(Array.from({ length: CLIENTS }, () => total));
    expect(new Set(reports.map(({ digest }) => digest))).toEqual(new Set([digestOf(values)]));
    expect(reports.every(({ increasing }) => increasing)).toBe(true);
    expect(isSubsequence(values, [...published, ...published])).toBe(true);
    expect((await statsOf(url)).messages).toMatchObject({ sent: CLIENTS * received, conflated: 0 });
  });
});

describe(`${kiteTick.what}, through the adapter`, () => {
  test('reaches a client with every one of its values under OpenAlgo’s names', async () => {
    const raw = JSON.parse(readFileSync(kiteTick.path, 'utf8'));
    const { url } = await serve();
    const client = new WebSocket(url);
    await once(client, 'open');
    client.send('{"action":"subscribe","symbol":"RELIANCE"}');
    const [answer] = await once(client, 'message');
    expect(JSON.parse(String(answer))).toMatchObject({ type: 'subscribe', status: 'success' });
    const adapter = new SharedMemoryBrokerAdapter('zerodha', { name: ring });
    adapter.publishTickData('RELIANCE', raw);
    const [message] = await once(client, 'message');
    adapter.stop();
    client.terminate();
    expect(JSON.parse(String(message))).toMatchObject({
      type: 'market_data',
      symbol: 'RELIANCE',
      exchange: 'NSE',
      mode: 3,
      broker: 'zerodha',
      data: {
        instrument_token: raw.instrument_token,
        tradable: raw.tradable,
        ltp: raw.last_price,
        last_quantity: raw.last_quantity,
        average_price: raw.average_price,
        volume: raw.volume,
        total_buy_quantity: raw.buy_quantity,
        total_sell_quantity: raw.sell_quantity,
        ...raw.ohlc,
        change: raw.change,
        ltt: Date.parse(raw.last_trade_time),
        // As the ticker wrote it, and in ms.
        timestamp: raw.timestamp,
        timestamp_ms: Date.parse(raw.timestamp),
        oi: raw.oi,
        oi_day_high: raw.oi_day_high,
        oi_day_low: raw.oi_day_low,
        depth: raw.depth,
      },
    });
    expect(adapter.getStats()).toMatchObject({ ticksInvalid: 0, unknownKeys: {} });
  });
});
