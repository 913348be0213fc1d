import { availableParallelism } from 'node:os';
import { Value } from 'typebox/value';
import { afterEach, describe, expect, test } from 'vitest';
import { StatsSchema, type StatsReport } from '../../src/proxy/schemas.ts';
import { SharedMemoryPublisher } from '../../src/shm/publisher.ts';
import { LockFreeRingBuffer } from '../../src/shm/ring-buffer.ts';
import { Client } from '../proxy/running-proxy.ts';
import { removeRings, run, RunningCommand, until } from './running-command.ts';

const ring = `test-threads-${process.pid}`;
const opened: { close(): unknown }[] = [];

afterEach(async () => {
  for (const each of opened.splice(0)) each.close();
  await RunningCommand.endAll();
  removeRings(ring);
});

/** `serve --threads 2` at work. */
class Service {
  readonly command: RunningCommand;
  readonly url: string;

  private constructor(command: RunningCommand, url: string) {
    this.command = command;
    this.url = url;
  }

  static async start(...flags: string[]): Promise<Service> {
    const threads = flags.some((flag) => flag.startsWith('--workers')) ? [] : ['--threads=2'];
    const args = ['serve', ...threads, '--port=0', `--ring=${ring}`, '--log-level=silent', ...flags];
    const command = new RunningCommand(args);
    const [, url] = await command.says(/→ (ws:\S+); 2 threads;/);
    return new Service(command, url!);
  }

  get(path: string): Promise<Response> {
    return fetch(this.url.replace('ws', 'http') + path);
  }

  async stats(): Promise<StatsReport> {
    return (await (await this.get('/stats')).json()) as StatsReport;
  }

  /** Clients that want the last price of SBIN. */
  clients(count: number): Promise<Client[]> {
    return Promise.all(
      Array.from({ length: count }, async () => {
        const client = await Client.open(this.url);
        opened.push({ close: () => client.webSocket.terminate() });
        await client.ask({ action: 'subscribe', symbol: 'SBIN', exchange: 'NSE', mode: 1 });
        return client;
      }),
    );
  }
}

/** Publishes prices that count up from 1. */
function publish(count: number): number[] {
  const publisher = new SharedMemoryPublisher({ name: ring, publisherName: 'zerodha' }).start();
  opened.push({ close: () => publisher.stop() });
  const prices = Array.from({ length: count }, (_, index) => index + 1);
  for (const ltp of prices) publisher.publishMarketData('SBIN', { ltp });
  return prices;
}

const arrived = (clients: readonly Client[], count: number): Promise<void> =>
  until('all ticks have come', () => clients.every((client) => client.ticks().length >= count));

describe('serve --threads', () => {
  test('gives every client every tick, whichever thread serves it', async () => {
    const service = await Service.start();
    const clients = await service.clients(6);
    const prices = publish(500);
    await arrived(clients, 500);
    for (const client of clients) expect(client.ticks().map(({ data }) => data?.['ltp'])).toEqual(prices);
  });

  test('sums the figures of all threads, and gives each one’s', async () => {
    const service = await Service.start();
    const clients = await service.clients(5);
    publish(100);
    await arrived(clients, 100);
    await until('all are counted', async () => (await service.stats()).threads.every(({ sent }) => sent >= 200));
    const report = await service.stats();
    expect([...Value.Errors(StatsSchema, report)]).toEqual([]);
    expect(report).toMatchObject({
      clients: { connected: 5, connected_total: 5 },
      subscriptions: { total: 5, topics: 1 },
      messages: { sent: 500, conflated: 0, dropped: 0 },
      threads: [
        { number: 1, name: 'proxy-1', messages_received: 100, messages_lost: 0, restarts: 0 },
        { number: 2, name: 'proxy-2', messages_received: 100, messages_lost: 0, restarts: 0 },
      ],
    });
    const [first, second] = report.threads;
    expect([first!.clients, second!.clients].toSorted()).toEqual([2, 3]);
    expect([first!.sent, second!.sent]).toEqual([100 * first!.clients, 100 * second!.clients]);
    expect(report.subscribers.map(({ name }) => name)).toEqual(['proxy-1', 'proxy-2']);
    expect(report.clients.furthest_behind.filter(({ thread }) => thread === 1)).toHaveLength(first!.clients);
  });

  test('shows every thread in the command stats and in /metrics', async () => {
    const service = await Service.start();
    await service.clients(2);
    const { code, stdout } = await run(['stats', `--url=${service.url}`]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/threads\n.*clients.*\n +proxy-1 +1 .*\n +proxy-2 +1 /);
    const text = await (await service.get('/metrics')).text();
    expect(text).toMatch(/^openalgo_shm_thread_clients\{thread="2"\} 1$/m);
    expect(text).toMatch(/^openalgo_shm_clients 2$/m);
  });

  test('ends with SIGTERM after all clients have got what was sent, and a close', async () => {
    const service = await Service.start('--log-level=warn');
    const clients = await service.clients(4);
    publish(100);
    await until('all were sent', async () => (await service.stats()).messages.sent === 400);
    const { code, stderr } = await service.command.signal('SIGTERM');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    for (const client of clients) {
      expect(await client.closed).toMatchObject({ code: 1001 });
      expect(client.ticks()).toHaveLength(100);
    }
  });

  test('is what --workers means now, and says so', async () => {
    const service = await Service.start('--workers=2');
    const clients = await service.clients(2);
    publish(10);
    await arrived(clients, 10);
    const { stderr } = await service.command.signal('SIGTERM');
    expect(stderr).toBe('openalgo-shm: --workers is now --threads: 2 of them in one process, and not 2 processes\n');
  });

  test('says that a ring has no place for so many, and starts none', async () => {
    const made = new LockFreeRingBuffer({ name: ring, consumers: 1, policy: 'lossless' });
    opened.push(made);
    const { code, stderr } = await run(['serve', '--threads=2', `--ring=${ring}`, '--port=0', '--log-level=warn']);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^openalgo-shm: ERR_NO_FREE_CONSUMER: [^\n]+\n$/);
  });

  test.each(['0', '65', 'many'])('%s is no number of threads', async (threads) => {
    const { code, stderr } = await run(['serve', `--threads=${threads}`]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/whole number from 1 to 64, or auto/);
  });

  test('auto leaves a core to feeds', async () => {
    const { stdout } = await run(['serve', '--print-config'], { env: { OPENALGO_SHM_THREADS: 'auto' } });
    const { settings } = JSON.parse(stdout) as { settings: { threads: unknown } };
    expect(settings.threads).toEqual({
      value: Math.max(1, Math.min(8, availableParallelism() - 1)),
      source: 'environment',
      from: 'OPENALGO_SHM_THREADS',
    });
  });
});
