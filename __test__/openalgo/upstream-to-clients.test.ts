import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { RunningCommand, removeRings, until } from '../cli/running-command.ts';
import { StandInOpenAlgo } from '../feeds/stand-in.ts';
import { pythonWith } from '../python.ts';
import { OrderSession } from './order-session.ts';
import { RawClient, type Wanted } from './raw-client.ts';
import { Strategy } from './strategy.ts';

const python = pythonWith('openalgo');
const ring = `test-upstream-${process.pid}`;
const KEY = 'good-key';
const CLIENTS = 50;

const numbered = (exchange: string, name: string, count: number): { exchange: string; symbol: string }[] =>
  Array.from({ length: count }, (_, i) => ({ exchange, symbol: `${name}${i}` }));

/** What the clients want, in turn; every instrument in one mode only, so that its sequence has no gaps. */
const WISHES: readonly Wanted[] = [
  { symbols: numbered('NSE', 'LTP', 10), mode: 1 },
  { symbols: numbered('NSE', 'LTP', 3), mode: 1 },
  { symbols: numbered('NFO', 'QUOTE', 10), mode: 2 },
  { symbols: [{ exchange: 'NSE', symbol: 'TCS:50' }], mode: 3, depth: 50 },
  { symbols: numbered('NSE', 'DEPTH', 4), mode: 3, depth: 20 },
];

/** Just that, each once, and nothing else: what OpenAlgo is to be asked for. */
const UNION = [
  ...numbered('NSE', 'LTP', 10).map(({ symbol }) => `NSE:${symbol} 1 5`),
  ...numbered('NFO', 'QUOTE', 10).map(({ symbol }) => `NFO:${symbol} 2 5`),
  'NSE:TCS:50 3 50',
  ...numbered('NSE', 'DEPTH', 4).map(({ symbol }) => `NSE:${symbol} 3 20`),
].sort();

const OF_THE_STRATEGY = ['NFO:NIFTY28APR2425000CE 2 5', 'NSE:RELIANCE 1 5', 'NSE:SBIN 3 5', 'NSE_INDEX:NIFTY 1 5'];

interface ProxyStats {
  publishers: { name: string; alive: boolean; messages_published: number }[];
  subscribers: { pid: number; messages_received: number; messages_lost: number; lag: number }[];
  messages: { conflated: number };
}

/** What has gone through a proxy. */
interface Account {
  published: number;
  received: number;
  lost: number;
  lag: number;
  conflated: number;
}

/** A proxy on a port that stays its own, however often it is started. */
class Proxy {
  #command!: RunningCommand;
  port = 0;

  async start(keysFile: string): Promise<this> {
    this.#command = new RunningCommand([
      'serve',
      `--ring=${ring}`,
      `--port=${this.port}`,
      `--keys-file=${keysFile}`,
      '--depth-levels=50',
      '--log-level=warn',
    ]);
    const [, port] = await this.#command.says(/ws:\/\/127\.0\.0\.1:(\d+)/);
    this.port = Number(port);
    return this;
  }

  get url(): string {
    return `ws://127.0.0.1:${this.port}`;
  }

  async account(): Promise<Account> {
    const response = await fetch(`http://127.0.0.1:${this.port}/stats`, { headers: { 'x-api-key': KEY } });
    const { publishers, subscribers, messages } = (await response.json()) as ProxyStats;
    const own = subscribers.find(({ pid }) => pid === this.#command.process.pid);
    return {
      published: publishers.find(({ alive }) => alive)?.messages_published ?? 0,
      received: own?.messages_received ?? 0,
      lost: own?.messages_lost ?? 0,
      lag: own?.lag ?? 0,
      conflated: messages.conflated,
    };
  }

  kill(): Promise<unknown> {
    return this.#command.signal('SIGKILL');
  }
}

describe('from a running OpenAlgo, through its feed and two proxies, to fifty clients', { timeout: 180_000 }, () => {
  let folder: string;
  let keysFile: string;
  let server: StandInOpenAlgo;
  let feed: RunningCommand;
  let proxies: Proxy[];
  let clients: RawClient[];
  let strategy: Strategy | undefined;

  const expected = (): string[] => [...UNION, ...(strategy === undefined ? [] : OF_THE_STRATEGY)].sort();

  function startFeed(): void {
    feed = new RunningCommand(['feed', 'openalgo', server.url, `--ring=${ring}`, '--depth-levels=50', '--grace=100'], {
      env: { OPENALGO_SHM_API_KEY: KEY },
    });
  }

  async function startServer(port = 0): Promise<void> {
    server = await StandInOpenAlgo.start(port);
    server.tell('stream', { everyMs: 20 });
  }

  /** Every client gets ticks from now on, and OpenAlgo is asked for what they want and nothing else. */
  async function everyClientGoesOn(): Promise<void> {
    const before = clients.map(({ ticks }) => ticks);
    await until('every client to receive again', () =>
      clients.every(({ ticks }, i) => ticks > (before[i] as number) + 10),
    );
    await until('upstream to be what is wanted', async () => {
      return (await server.subscribed()).join() === expected().join();
    });
    await strategy?.receivesAll();
  }

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'openalgo-shm-'));
    keysFile = join(folder, 'keys');
    writeFileSync(keysFile, `${KEY} bench_user\nkey-of-another another\n`);
    await startServer();
    startFeed();
    proxies = [await new Proxy().start(keysFile), await new Proxy().start(keysFile)];
    clients = Array.from({ length: CLIENTS }, (_, i) => {
      const { url } = proxies[i % 2] as Proxy;
      return new RawClient(url, KEY, WISHES[i % WISHES.length] as Wanted);
    });
    if (python !== undefined) {
      strategy = new Strategy(python, (proxies[0] as Proxy).url, KEY);
      await strategy.connected();
      strategy.tell('subscribe');
    }
  }, 180_000);

  afterAll(async () => {
    for (const client of clients) client.end();
    await strategy?.end();
    await RunningCommand.endAll();
    await server.end();
    removeRings(ring);
    rmSync(folder, { recursive: true });
  });

  test('every client gets what it wants, and nothing else', async () => {
    await everyClientGoesOn();
    expect(clients.map(({ strangers }) => strangers)).toEqual(clients.map(() => 0));
    const deepest = (wish: number): number[] => [
      ...new Set(clients.filter((_, i) => i % WISHES.length === wish).map((client) => client.deepest)),
    ];
    expect([deepest(3), deepest(4)]).toEqual([[50], [20]]);
  });

  test.each([0, 1])(
    'a proxy that is killed comes back, and those of the other have missed nothing (%i)',
    async (which) => {
      const proxy = proxies[which] as Proxy;
      const others = clients.filter((_, i) => i % 2 !== which);
      const before = others.map(({ connections, missing }) => [connections, missing]);
      await proxy.kill();
      const left = which === 0 ? UNION : expected();
      await until(
        'upstream to be what the others want',
        async () => (await server.subscribed()).join() === left.join(),
      );
      await proxy.start(keysFile);
      await everyClientGoesOn();
      expect(others.map(({ connections, missing }) => [connections, missing])).toEqual(before);
    },
  );

  test('a feed that is killed comes back, and no client needs to connect again', async () => {
    const before = clients.map(({ connections }) => connections);
    await feed.signal('SIGKILL');
    await until('upstream to be left', async () => (await server.subscribed()).length === 0);
    startFeed();
    await everyClientGoesOn();
    expect(clients.map(({ connections }) => connections)).toEqual(before);
  });

  test('an OpenAlgo that is killed comes back, and no client needs to connect again', async () => {
    const before = clients.map(({ connections }) => connections);
    const { port } = server;
    await server.end();
    await until('the proxies say so', async () => {
      const health = await fetch(`http://127.0.0.1:${(proxies[0] as Proxy).port}/health`);
      return health.status === 503 && (await health.text()).includes('source_gone');
    });
    await startServer(port);
    await everyClientGoesOn();
    expect(clients.map(({ connections }) => connections)).toEqual(before);
  });

  test("order updates reach their user's sessions at both proxies, and nobody else's", async () => {
    const sessions = proxies.flatMap(({ url }) => [KEY, 'key-of-another'].map((key) => new OrderSession(url, key)));
    await until('all to have asked', () => sessions.every(({ isAsking }) => isAsking));
    const update = { user_id: 'bench_user', mode: 'live', broker: 'mock', orderid: '240', order_status: 'complete' };
    server.tell('order', { update });
    const [atOne, othersAtOne, atTwo, othersAtTwo] = sessions as [
      OrderSession,
      OrderSession,
      OrderSession,
      OrderSession,
    ];
    await until('both to have it', () => atOne.updates.length > 0 && atTwo.updates.length > 0);
    for (const { updates } of [atOne, atTwo]) expect(updates).toEqual([{ type: 'order_update', ...update }]);
    for (const session of [othersAtOne, othersAtTwo]) expect(await session.settled()).toEqual([]);
    for (const session of sessions) session.end();
  });

  test('bursts and disconnects in between change nothing', async () => {
    server.tell('burst', { rounds: 50 });
    server.tell('drop');
    server.tell('burst', { rounds: 50 });
    await everyClientGoesOn();
    server.tell('burst', { rounds: 50 });
    await everyClientGoesOn();
  });

  test('every tick of a burst is received, or counted as lost', async () => {
    server.tell('stream', { everyMs: 0 });
    const accounts = (): Promise<Account[]> => Promise.all(proxies.map((proxy) => proxy.account()));
    const rounds = 100;
    const each = (await server.subscribed()).length;
    let settled: Account[] = [];
    await until('nothing to be under way', async () => {
      const before = settled;
      settled = await accounts();
      return settled.every(({ lag }) => lag === 0) && JSON.stringify(before) === JSON.stringify(settled);
    });
    const ticksBefore = clients.map(({ ticks }) => ticks);
    server.tell('burst', { rounds });
    let after: Account[] = [];
    await until('each proxy to have received or lost every tick', async () => {
      after = await accounts();
      return after.every(({ published, received, lost }, i) => {
        const before = settled[i] as Account;
        const seen = received + lost - before.received - before.lost;
        return published - before.published >= rounds * each && seen === published - before.published;
      });
    });
    const lost = after.map((account, i) => {
      const before = settled[i] as Account;
      return account.lost - before.lost + account.conflated - before.conflated;
    });
    await until('no client to miss more than was counted', () =>
      clients.every(({ ticks, wanted }, i) => {
        const missed = rounds * wanted.symbols.length - (ticks - (ticksBefore[i] as number));
        return missed <= (lost[i % 2] as number);
      }),
    );
    server.tell('stream', { everyMs: 20 });
  });

  test('a client that leaves takes along only what it alone wanted', async () => {
    for (const client of clients) if (client.wanted === WISHES[3]) client.end();
    await until('its instrument is left upstream', async () => {
      return (
        (await server.subscribed()).join() ===
        expected()
          .filter((topic) => !topic.startsWith('NSE:TCS:50'))
          .join()
      );
    });
  });
});
