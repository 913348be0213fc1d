import { createServer } from 'node:net';
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { Value } from 'typebox/value';
import { afterEach, describe, expect, test } from 'vitest';
import { StatsSchema, type StatsReport } from '../../src/proxy/schemas.ts';
import { EventPublisher } from '../../src/shm/events.ts';
import { InterestPublisher, InterestReader } from '../../src/shm/interest.ts';
import { SharedMemoryPublisher } from '../../src/shm/publisher.ts';
import { Client } from '../proxy/running-proxy.ts';
import { lives, removeRings, run, RunningCommand, until } from './running-command.ts';

const ring = `test-workers-${process.pid}`;
const opened: { close(): unknown }[] = [];

afterEach(async () => {
  for (const each of opened.splice(0)) each.close();
  await RunningCommand.endAll();
  removeRings(ring);
});

/** `serve --workers 2` at work. */
class Service {
  readonly command: RunningCommand;
  readonly url: string;

  private constructor(command: RunningCommand, url: string) {
    this.command = command;
    this.url = url;
  }

  static async start(...flags: string[]): Promise<Service> {
    const args = ['serve', '--workers=2', '--port=0', `--ring=${ring}`, '--log-level=silent', ...flags];
    const command = new RunningCommand(args);
    const [, url] = await command.says(/→ (ws:\S+); 2 workers;/);
    return new Service(command, url!);
  }

  /** Asks anew each time: the next worker answers. */
  async get(path: string): Promise<Response> {
    return fetch(this.url.replace('ws', 'http') + path, { headers: { connection: 'close' } });
  }

  async stats(): Promise<StatsReport> {
    return (await (await this.get('/stats')).json()) as StatsReport;
  }

  async pids(): Promise<number[]> {
    return (await this.stats()).workers.map(({ pid }) => pid);
  }

  /** A client that wants the last price of SBIN. */
  async client(): Promise<Client> {
    const client = await Client.open(this.url);
    opened.push({ close: () => client.webSocket.terminate() });
    await client.ask({ action: 'subscribe', symbol: 'SBIN', exchange: 'NSE', mode: 1 });
    return client;
  }

  /** Such clients, at least so many, and at least one of each worker: one that is busy is passed over. */
  async clients(least: number): Promise<Client[]> {
    const clients: Client[] = [];
    const isServed = (worker: StatsReport['workers'][number]): boolean => worker.clients.connected > 0;
    while (clients.length < least || !(await this.stats()).workers.every(isServed)) clients.push(await this.client());
    return clients;
  }
}

/** Publishes prices that count up, and says which ones. */
function feed(): { publish(count: number): number[] } {
  const publisher = new SharedMemoryPublisher({ name: ring, publisherName: 'zerodha' }).start();
  opened.push({ close: () => publisher.stop() });
  let price = 0;
  return {
    publish: (count) => {
      const prices = Array.from({ length: count }, () => (price += 1));
      for (const ltp of prices) publisher.publishMarketData('SBIN', { ltp });
      return prices;
    },
  };
}

const pricesOf = (client: Client): unknown[] => client.ticks().map(({ data }) => data?.['ltp']);
const arrived = (clients: readonly Client[], count: number): Promise<void> =>
  until('all ticks have come', () => clients.every((client) => client.ticks().length >= count));

describe('serve --workers', () => {
  test('gives every client every tick, whichever worker it is with', async () => {
    const service = await Service.start();
    const clients = await service.clients(6);
    const prices = feed().publish(500);
    await arrived(clients, 500);
    for (const client of clients) expect(pricesOf(client)).toEqual(prices);
  });

  test('answers /stats for all workers together, whichever is asked', async () => {
    const service = await Service.start();
    const clients = await service.clients(4);
    await clients[0]!.ask({ action: 'subscribe', symbol: 'RELIANCE', exchange: 'NSE', mode: 1 });
    feed().publish(100);
    await arrived(clients, 100);
    const { length } = clients;
    for (const report of [await service.stats(), await service.stats()]) {
      expect([...Value.Errors(StatsSchema, report)]).toEqual([]);
      const { workers } = report;
      const [first, second] = workers.map((worker) => worker.clients.connected) as [number, number];
      expect(first + second).toBe(length);
      expect(report).toMatchObject({
        ring: { name: ring, lanes_used: 1 },
        publishers: [{ name: 'zerodha', messages_published: 100 }],
        workers_missing: 0,
        workers_replaced: 0,
        clients: { connected: length, connected_total: length },
        subscriptions: { total: length + 1, topics: 2 },
        messages: { sent: 100 * length, received: length + 1 },
      });
      expect(workers).toMatchObject([
        { number: 1, name: 'proxy-1', messages_received: 100, messages: { sent: 100 * first } },
        { number: 2, name: 'proxy-2', messages_received: 100, messages: { sent: 100 * second } },
      ]);
      expect(report.subscribers.map(({ name, pid }) => [name, pid])).toEqual(
        workers.map(({ name, pid }) => [name, pid]),
      );
      const { count, max } = report.delivery_latency_ns;
      expect(count).toBe(workers[0]!.delivery_latency_ns.count + workers[1]!.delivery_latency_ns.count);
      expect(max).toBe(Math.max(...workers.map((worker) => worker.delivery_latency_ns.max)));
      expect(report.delivery_latency_histogram.counts.reduce((a, b) => a + b)).toBe(count);
      expect(report.clients.furthest_behind.filter(({ worker }) => worker === 1)).toHaveLength(first);
    }
  });

  test('answers with what the broker says, whichever worker was the first to ask', async () => {
    const service = await Service.start('--subscribe-timeout=20000');
    const clients = await service.clients(2);
    const events = new EventPublisher({ name: ring, ownerName: 'zerodha' });
    const asked: string[] = [];
    const interest = new InterestReader(
      {
        subscribe: ({ exchange, symbol, mode }) => {
          asked.push(symbol);
          const verdict = symbol === 'BAD' ? { status: 'error', message: 'no such symbol' } : { status: 'success' };
          if (symbol === 'LATE') return;
          events.publish({
            type: 'subscription_result',
            feed: 'zerodha',
            results: [{ exchange, symbol, mode, ...verdict }],
          });
        },
        unsubscribe: () => {},
      },
      { name: ring },
    );
    opened.push(events, interest);
    events.publish({ type: 'feed_source', feed: 'zerodha', up: true, answers: true });
    events.publish({ type: 'marker' });
    await until('all workers have heard it', async () => (await service.stats()).feed_events.unknown === 2);
    for (const client of clients) {
      const answer = await client.ask({
        action: 'subscribe',
        symbols: ['TCS', 'BAD'].map((symbol) => ({ symbol, exchange: 'NSE' })),
        mode: 1,
      });
      expect(answer).toMatchObject({
        status: 'partial',
        subscriptions: [
          { symbol: 'TCS', status: 'success' },
          { symbol: 'BAD', status: 'error', message: 'no such symbol' },
        ],
      });
    }
    expect(asked.filter((symbol) => symbol === 'TCS')).toHaveLength(1);
    for (const client of clients) client.send({ action: 'subscribe', symbol: 'LATE', exchange: 'NSE', mode: 1 });
    await until('all wait', async () => (await service.stats()).subscriptions.total === clients.length * 3);
    events.publish({
      type: 'subscription_result',
      feed: 'zerodha',
      results: [{ exchange: 'NSE', symbol: 'LATE', mode: 1, status: 'error', message: 'no' }],
    });
    for (const client of clients) {
      expect(await client.next()).toMatchObject({ status: 'partial', subscriptions: [{ message: 'no' }] });
    }
    const { subscriptions, workers } = await service.stats();
    expect(subscriptions).toMatchObject({ refused: clients.length * 2, refusal_notices: 0 });
    expect(workers.every((worker) => worker.subscriptions.refused > 0)).toBe(true);
    const metrics = await (await service.get('/metrics')).text();
    expect(metrics).toMatch(/openalgo_shm_subscriptions_refused_total\{worker="2"\} [1-9]/);
  });

  test('shows every worker in the command stats', async () => {
    const service = await Service.start();
    await service.clients(2);
    const { code, stdout } = await run(['stats', `--url=${service.url}`]);
    expect(code).toBe(0);
    const [first, second] = await service.pids();
    expect(stdout).toMatch(
      new RegExp(`workers  0 replaced\n.*clients.*\n +proxy-1 +${first} .*\n +proxy-2 +${second} `),
    );
  });

  test('answers /metrics for all: what the ring holds once, the rest by worker', async () => {
    const service = await Service.start();
    const clients = await service.clients(2);
    feed().publish(10);
    await arrived(clients, 10);
    const [first, second] = (await service.stats()).workers.map((worker) => worker.clients.connected) as [
      number,
      number,
    ];
    const text = await (await service.get('/metrics')).text();
    const lines = text.split('\n');
    const publishers = lines.filter((line) => line.startsWith('openalgo_shm_messages_published_total'));
    expect(publishers).toEqual(['openalgo_shm_messages_published_total{lane="0",publisher="zerodha"} 10']);
    expect(lines).toEqual(
      expect.arrayContaining([
        'openalgo_shm_workers 2',
        'openalgo_shm_workers_missing 0',
        `openalgo_shm_clients{worker="1"} ${first}`,
        `openalgo_shm_clients{worker="2"} ${second}`,
        `openalgo_shm_ticks_sent_total{worker="1"} ${10 * first}`,
        `openalgo_shm_ticks_sent_total{worker="2"} ${10 * second}`,
      ]),
    );
    const series = lines.filter((line) => line !== '' && !line.startsWith('#')).map((line) => line.split(' ')[0]);
    expect(new Set(series).size).toBe(series.length);
    const types = lines.filter((line) => line.startsWith('# TYPE')).map((line) => line.split(' ')[2]);
    expect(new Set(types).size).toBe(types.length);
  });

  test('answers /health for all', async () => {
    const service = await Service.start();
    expect((await service.get('/health')).status).toBe(503);
    feed().publish(1);
    const response = await service.get('/health');
    expect([response.status, await response.json()]).toEqual([
      200,
      { status: 'ok', reasons: [], last_tick_age_ms: expect.any(Number) },
    ]);
  });

  test('tells feeds what the clients of all workers want, until the last of them has gone', async () => {
    const service = await Service.start();
    const wanted = new Set<string>();
    const reader = new InterestReader(
      { subscribe: ({ symbol }) => void wanted.add(symbol), unsubscribe: ({ symbol }) => void wanted.delete(symbol) },
      { name: ring },
    );
    opened.push(reader);
    const [first, ...others] = await service.clients(2);
    await until('it is wanted', () => wanted.has('SBIN'));
    for (const client of others) await client.close();
    await until('they have gone', async () => (await service.stats()).clients.connected === 1);
    expect([...wanted]).toEqual(['SBIN']);
    await first!.close();
    await until('nobody wants it', () => wanted.size === 0);
  });
});

describe('a worker that dies', () => {
  test('is replaced; its clients go on with the others, whom it does not disturb', async () => {
    const service = await Service.start();
    const [victim, survivor] = await service.pids();
    const { publish } = feed();
    const clients = await service.clients(4);
    publish(100);
    await arrived(clients, 100);
    const served = (await service.stats()).workers[0]!.clients.connected;
    const gone = new Set<Client>();
    for (const client of clients) void client.closed.then(() => gone.add(client));
    process.kill(victim!, 'SIGKILL');
    await until('its clients have noticed', () => gone.size === served);
    const back = await Promise.all(Array.from(gone, () => service.client()));
    const prices = publish(100);
    await arrived(back, 100);
    for (const client of back) expect(pricesOf(client).slice(-100)).toEqual(prices);
    const others = clients.filter((client) => !gone.has(client));
    await arrived(others, 200);
    for (const client of others) expect(pricesOf(client)).toEqual(Array.from({ length: 200 }, (_, index) => index + 1));
    await until('another has its place', async () => (await service.stats()).workers.length === 2);
    const { workers, ...report } = await service.stats();
    expect(report).toMatchObject({ workers_missing: 0, workers_replaced: 1 });
    expect(workers.map(({ number, name }) => [number, name])).toEqual([
      [1, 'proxy-1'],
      [2, 'proxy-2'],
    ]);
    expect(workers[0]!.pid).not.toBe(victim);
    expect(workers[1]!.pid).toBe(survivor);
  });

  test('sees its clients off first when it is asked to end, and is replaced', async () => {
    const service = await Service.start();
    const [first] = await service.pids();
    const clients = await service.clients(2);
    process.kill(first!, 'SIGTERM');
    expect(await Promise.race(clients.map(({ closed }) => closed))).toMatchObject({ code: 1001 });
    await until('another has its place', async () => {
      // A request that the one that ends was just given goes with it.
      const report = await service.stats().catch(() => undefined);
      return report?.workers.length === 2 && report.workers_replaced === 1;
    });
  });

  test('together with all others leaves the port to those that replace them', async () => {
    const service = await Service.start();
    const pids = await service.pids();
    for (const pid of pids) process.kill(pid, 'SIGKILL');
    await until('both are replaced', async () => {
      const { workers } = await service.stats().catch(() => ({ workers: [] }));
      return workers.length === 2 && workers.every(({ pid }) => !pids.includes(pid));
    });
    const clients = await service.clients(2);
    feed().publish(10);
    await arrived(clients, 10);
  });

  test('is left out and counted while it does not answer', async () => {
    const service = await Service.start();
    const [still] = await service.pids();
    process.kill(still!, 'SIGSTOP');
    try {
      // At most one request waits for the worker that stands still.
      const report = await Promise.any([service.stats(), service.stats(), service.stats()]);
      expect(report).toMatchObject({ workers: [{ number: 2 }], workers_missing: 1 });
      expect(report.subscribers.map(({ name }) => name)).toEqual(['proxy-2', 'proxy-1']);
    } finally {
      process.kill(still!, 'SIGCONT');
    }
    await until('it answers again', async () => (await service.stats()).workers_missing === 0);
  });
});

describe('the end', () => {
  test('with SIGTERM closes all clients with 1001 and leaves nothing behind', async () => {
    const service = await Service.start('--log-level=warn');
    const pids = await service.pids();
    const clients = await service.clients(4);
    feed().publish(100);
    await until('all were sent', async () => (await service.stats()).messages.sent === 100 * clients.length);
    const { code, stderr } = await service.command.signal('SIGTERM');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    for (const client of clients) {
      expect(await client.closed).toMatchObject({ code: 1001 });
      expect(client.ticks()).toHaveLength(100);
    }
    expect(pids.map((pid) => lives(pid))).toEqual([false, false]);
  });

  test('of the process that was started is that of its workers, even if it is killed', async () => {
    const service = await Service.start();
    const pids = await service.pids();
    await service.command.signal('SIGKILL');
    await until('they end', () => pids.every((pid) => !lives(pid)));
  });
});

describe('what keeps workers from starting', () => {
  const serve = (...flags: string[]) => run(['serve', '--workers=2', `--ring=${ring}`, '--log-level=warn', ...flags]);

  test('a port in use is said once', async () => {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    const { code, stderr } = await serve(`--port=${port}`);
    server.close();
    expect(code).toBe(1);
    expect(stderr).toMatch(/^openalgo-shm: ERR_PORT_IN_USE: 127\.0\.0\.1:\d+ is in use, [^\n]+\n$/);
  });

  test.each([
    ['--host=0.0.0.0', 1, 'ERR_AUTH_REQUIRED'],
    ['--host=192.0.2.1', 2, 'ERR_INVALID_OPTION'],
    ['--keys-file=/nonexistent/keys', 1, 'ERR_FILE'],
  ])('options that cannot be are said once: %s', async (option, exitCode, error) => {
    const keys = option.startsWith('--host=192') ? ['--keys-file=package.json'] : [];
    const { code, stderr } = await serve('--port=0', option, ...keys);
    expect(code).toBe(exitCode);
    expect(stderr).toMatch(new RegExp(`^openalgo-shm: ${error}: [^\\n]+\\n$`));
  });

  test('rings without room for them say how many would fit', async () => {
    for (let taken = 0; taken < 63; taken++) opened.push(new InterestPublisher({ name: ring }));
    const { code, stderr } = await serve('--port=0');
    expect(code).toBe(1);
    expect(stderr).toMatch(/^openalgo-shm: ERR_NO_FREE_LANE: .*room for 64 proxies.*at most 1\n$/);
  });

  test.each(['0', '65', 'many'])('%s is no number of workers', async (workers) => {
    const { code, stderr } = await run(['serve', `--workers=${workers}`]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/whole number from 1 to 64, or auto/);
  });

  test('auto is one for each core', async () => {
    const { stdout } = await run(['serve', '--print-config'], { env: { OPENALGO_SHM_WORKERS: 'auto' } });
    const { settings } = JSON.parse(stdout) as { settings: { workers: unknown } };
    expect(settings.workers).toEqual({
      value: Math.min(64, availableParallelism()),
      source: 'environment',
      from: 'OPENALGO_SHM_WORKERS',
    });
  });
});
