import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { RunningCommand, removeRings, until } from '../cli/running-command.ts';
import { pythonWith } from '../python.ts';
import { LivingProcess } from '../shm/living.ts';
import { Strategy } from './strategy.ts';

const python = pythonWith('zmq, openalgo');
const ring = `test-bus-${process.pid}`;
const KEY = 'good-key';

type Message = { type: string; symbol: string; exchange: string; mode: number; data: Record<string, unknown> };

/** A client of everything, in every mode, that connects again by itself. */
class Client {
  readonly messages: Message[] = [];
  #socket!: WebSocket;
  #isEnding = false;

  constructor(urlNow: () => string) {
    const connect = (): void => {
      if (this.#isEnding) return;
      const socket = new WebSocket(urlNow());
      this.#socket = socket;
      socket.on('open', () => {
        socket.send(JSON.stringify({ action: 'authenticate', api_key: KEY }));
        socket.send(JSON.stringify({ action: 'subscribe_orders' }));
        for (const mode of [1, 2, 3]) {
          socket.send(JSON.stringify({ action: 'subscribe', symbols: [{ exchange: '*', symbol: '*' }], mode }));
        }
      });
      socket.on('message', (data) => this.messages.push(JSON.parse(String(data)) as Message));
      socket.on('error', () => {});
      socket.on('close', () => setTimeout(connect, 50));
    };
    connect();
  }

  /** The newest tick of a symbol in a mode. */
  tick(symbol: string, mode: number): Message | undefined {
    return this.messages.findLast((message) => {
      return message.type === 'market_data' && message.symbol === symbol && message.mode === mode;
    });
  }

  end(): void {
    this.#isEnding = true;
    this.#socket.terminate();
  }
}

describe.skipIf(python === undefined)(
  "from OpenAlgo's bus, through its feed and a proxy, to clients",
  { timeout: 180_000 },
  () => {
    let folder: string;
    let feed: RunningCommand;
    let proxy: RunningCommand;
    let adapter: LivingProcess;
    let bus = 'tcp://127.0.0.1:0';
    let url = '';
    let client: Client;
    let strategy: Strategy;

    async function startFeed(): Promise<void> {
      feed = new RunningCommand([
        'feed',
        'zmq',
        `--bind=${bus}`,
        `--ring=${ring}`,
        '--depth-levels=50',
        '--broker=mock',
      ]);
      await until('the feed to be bound', () => feed.stderr.includes('bound to'));
      bus = /bound to (\S+)/.exec(feed.stderr)?.[1] as string;
    }

    async function startProxy(port = 0): Promise<void> {
      const keys = `--keys-file=${join(folder, 'keys')}`;
      proxy = new RunningCommand(['serve', `--ring=${ring}`, `--port=${port}`, keys, '--log-level=warn']);
      url = (await proxy.says(/(ws:\S+);/))[1] as string;
    }

    async function startAdapter(): Promise<void> {
      adapter = new LivingProcess(python as string, [new URL('../feeds/bus.py', import.meta.url).pathname, bus]);
      await adapter.says('connected');
    }

    /** Sends a sample until the client has a tick of it that is newer than those before. */
    async function sent(sample: string, symbol: string, mode: number): Promise<Message['data']> {
      const before = client.tick(symbol, mode);
      await until(`${symbol} of ${sample} in mode ${mode}`, () => {
        adapter.tell(sample);
        return client.tick(symbol, mode) !== before;
      });
      return client.tick(symbol, mode)?.data ?? {};
    }

    const strategyGoesOn = (): Promise<void> =>
      strategy.receivesAll(() => {
        for (const sample of ['zerodha', 'angel', 'reliance']) adapter.tell(sample);
      });

    beforeAll(async () => {
      folder = mkdtempSync(join(tmpdir(), 'openalgo-shm-'));
      writeFileSync(join(folder, 'keys'), `${KEY} some_user\n`);
      await startFeed();
      await startProxy();
      await startAdapter();
      client = new Client(() => url);
      strategy = new Strategy(python as string, url, KEY);
      await strategy.connected();
      strategy.tell('subscribe');
    }, 180_000);

    afterAll(async () => {
      client.end();
      await strategy.end();
      await adapter.end();
      await RunningCommand.endAll();
      removeRings(ring);
      rmSync(folder, { recursive: true });
    });

    test('every adapter has one set of names, and those that clients read', async () => {
      expect(await sent('zerodha', 'SBIN', 2)).toMatchObject({
        ltp: 625.5,
        ltt: 1748426445,
        ltt_ms: 1748426445000,
        average_price: 624.9,
        avg_trade_price: 624.9,
        last_quantity: 25,
        last_trade_quantity: 25,
        volume: 1200345,
      });
      expect(await sent('angel', 'NIFTY28APR2425000CE', 2)).toMatchObject({
        ltt: 1748426445000,
        last_trade_quantity: 75,
        avg_trade_price: 101.1,
      });
      expect(await sent('zerodha-index', 'NIFTY', 2)).toMatchObject({ change: 12.5, change_percent: 0.05 });
      expect(await sent('delta', 'SOL_INR', 3)).toMatchObject({
        total_buy_quantity: 12.5,
        depth: { buy: [{ price: 14500, quantity: 0.5, orders: 0 }] },
      });
      expect(await sent('fyers', 'TCS:50', 3)).toMatchObject({
        timestamp: 1748426445,
        timestamp_ms: 1748426445000,
      });
      const fyers = await sent('fyers', 'TCS:50', 3);
      expect((fyers['depth'] as { buy: unknown[] }).buy).toHaveLength(50);
      const dhan = await sent('dhan', 'TCS', 3);
      expect(dhan).not.toHaveProperty('ltp');
      expect((dhan['depth'] as { sell: unknown[] }).sell).toHaveLength(20);
      expect(await sent('not-a-number', 'INFY', 2)).toMatchObject({ ltp: null, high: null, volume: 10 });
    });

    test("order updates reach their user's session", async () => {
      adapter.tell('orders');
      await until(
        'both to have come',
        () => client.messages.filter(({ type }) => type === 'order_update').length === 2,
      );
      expect(client.messages.find(({ type }) => type === 'order_update')).toMatchObject({
        user_id: 'some_user',
        mode: 'live',
        broker: 'zerodha',
        orderid: '240',
      });
    });

    test('a feed that is killed comes back', async () => {
      await feed.signal('SIGKILL');
      await startFeed();
      await sent('old', 'SENSEX', 1);
      await strategyGoesOn();
    });

    test('an adapter that is killed comes back', async () => {
      await adapter.end();
      await startAdapter();
      await sent('old', 'SENSEX', 1);
      await strategyGoesOn();
    });

    test('a proxy that is killed comes back', async () => {
      const { port } = new URL(url);
      await proxy.signal('SIGKILL');
      await startProxy(Number(port));
      await sent('old', 'SENSEX', 1);
      await strategyGoesOn();
    });

    test('what could not be understood is counted, and said at the end', async () => {
      adapter.tell('raw NSE_TCS_LTP {"ltp":');
      await until('it to be said', () => feed.stderr.includes('malformed so far; this one: no JSON object'));
      const { stdout, code } = await feed.signal('SIGTERM');
      expect(stdout).toMatch(/published [\d,]+ ticks in .* [1-9]\d* malformed/);
      expect(code).toBe(0);
    });
  },
);
