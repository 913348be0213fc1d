import { Value } from 'typebox/value';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { assessProcess } from '../../src/proxy/health.ts';
import { HealthSchema, LivenessSchema, StatsSchema } from '../../src/proxy/schemas.ts';
import { WebSocketProxy } from '../../src/proxy/websocket-proxy.ts';
import { LockFreeRingBuffer } from '../../src/shm/ring-buffer.ts';
import { SharedMemorySubscriber } from '../../src/shm/subscriber.ts';
import { RunningProxy, until } from './running-proxy.ts';

let running: RunningProxy;
beforeEach(async () => {
  running = await RunningProxy.start();
});
afterEach(() => running.stop());

describe('GET /stats', () => {
  test('has the form that its schema says', async () => {
    const publisher = running.publisher({ publisherName: 'dhan' });
    const client = await running.client();
    await client.ask({ action: 'subscribe', symbol: 'SBIN' });
    for (let i = 0; i < 10; i++) publisher.publishMarketData('SBIN', { ltp: i });
    await until('they came', () => client.ticks().length === 10);
    await until('they are counted', () => running.proxy.getStats().delivery_latency_ns.count === 10);
    const { status, body } = await running.get('/stats');
    expect(status).toBe(200);
    expect([...Value.Errors(StatsSchema, body)]).toEqual([]);
    expect(body).toMatchObject({
      ring: {
        name: running.ring,
        attached: true,
        lanes: 8,
        lanes_used: 1,
        capacity: 16_384,
        topics: 32_768,
        depth_levels: 5,
        policy: 'overwrite',
      },
      publishers: [
        { name: 'dhan', lane: 0, pid: process.pid, alive: true, messages_published: 10, messages_rejected: 0 },
      ],
      subscribers: [{ name: 'proxy', pid: process.pid, messages_received: 10, messages_lost: 0, lag: 0 }],
      clients: { connected: 1, connected_total: 1, conflated: 0, audiences: 1 },
      subscriptions: { total: 3, topics: 1 },
      threads: [{ number: 1, name: 'proxy', clients: 1, messages_received: 10, sent: 10, restarts: 0 }],
      messages: { sent: 10, conflated: 0, received: 1 },
      refused: { total: 0 },
    });
    expect(body['publishers']).toMatchObject([{ rate: expect.any(Number), avg_latency_ns: expect.any(Number) }]);
    expect(body['subscribers']).toMatchObject([{ latency_ns: { count: 10, p50: expect.any(Number) } }]);
    expect((body['delivery_latency_ns'] as { p50: number }).p50).toBeGreaterThan(0);
    expect((body['memory'] as { rss: number }).rss).toBeGreaterThan(0);
  });

  test('is what getStats() returns', async () => {
    const { body } = await running.get('/stats');
    expect(Object.keys(running.proxy.getStats())).toEqual(Object.keys(body));
  });

  test('counts the lines of a publisher, its topics, and what was refused because they were too many', async () => {
    const small = await RunningProxy.start({ ring: { topics: 2 } });
    try {
      const publisher = small.publisher();
      const client = await small.client();
      await client.ask({ action: 'subscribe', symbol: 'A', exchange: 'NSE', mode: 1 });
      publisher.publishMarketData('A', { ltp: 1 });
      publisher.publishMarketData('B', { ltp: 2, open: 3 });
      for (const symbol of ['C', 'D']) {
        expect(() => publisher.publishMarketData(symbol, { ltp: 4 })).toThrow(
          expect.objectContaining({ code: 'ERR_TOO_MANY_TOPICS' }),
        );
      }
      publisher.publishMarketData('A', { ltp: 5 });
      const { body } = await small.get('/stats');
      expect([...Value.Errors(StatsSchema, body)]).toEqual([]);
      expect(body).toMatchObject({
        ring: { topics: 2 },
        publishers: [{ messages_published: 3, lines_published: 4, topics: 2, topics_refused: 2 }],
      });
      await until('what was not refused came', () => client.ticks().length === 2);
      expect(client.ticks().map(({ data }) => data?.['ltp'])).toEqual([1, 5]);
    } finally {
      await small.stop();
    }
  });

  test('tells the rate of a publisher', async () => {
    const publisher = running.publisher();
    await until('a second has shown it', () => {
      publisher.publishMarketData('SBIN', { ltp: 1 });
      return (running.proxy.getStats().publishers[0]?.rate ?? 0) > 0;
    });
  });

  test('lists every other reader of the ring', async () => {
    const other = new SharedMemorySubscriber({ name: running.ring, subscriberName: 'recorder' }).start();
    await until('it is seen', () => running.proxy.getStats().subscribers.length === 2);
    expect(running.proxy.getStats().subscribers.map((subscriber) => subscriber.name)).toEqual(['proxy', 'recorder']);
    other.close();
  });

  test('counts what was lost, so that received and lost are what was published', async () => {
    const small = await RunningProxy.start({ ring: { bufferSize: 16 * 1024 }, snapshot: false });
    try {
      const publisher = small.publisher({ bufferSize: 16 * 1024 });
      const client = await small.client();
      await client.ask({ action: 'subscribe', symbol: 'SBIN', exchange: 'NSE', mode: 1 });
      const published = 20_000;
      for (let i = 0; i < published; i++) publisher.publishMarketData('SBIN', { ltp: i });
      const reader = () => small.proxy.getStats().subscribers[0];
      await until(
        'it is at the end',
        () => (reader()?.messages_received ?? 0) + (reader()?.messages_lost ?? 0) === published,
      );
      expect(reader()?.messages_lost).toBeGreaterThan(0);
      await until('they came', () => client.ticks().length === reader()?.messages_received);
    } finally {
      await small.stop();
    }
  });
});

describe('GET /health', () => {
  test('is 503 without a publisher and 200 with one', async () => {
    expect(await running.get('/health')).toMatchObject({
      status: 503,
      body: { status: 'unavailable', reasons: [{ code: 'no_publisher' }], last_tick_age_ms: null },
    });
    const publisher = running.publisher();
    expect(await running.get('/health')).toEqual({
      status: 200,
      body: {
        status: 'ok',
        reasons: [],
        last_tick_age_ms: null,
        symbols_without_source: null,
        subscriptions_refused: 0,
        delivery_restarts: 0,
        last_delivery_failure: null,
      },
    });
    publisher.publishMarketData('SBIN', { ltp: 1 });
    expect((await running.get('/health')).body['last_tick_age_ms']).toEqual(expect.any(Number));
    publisher.stop();
    expect(await running.get('/health')).toMatchObject({ status: 503, body: { reasons: [{ code: 'no_publisher' }] } });
  });
});

describe('GET /health where the hours of the market are known', () => {
  const HOURS = { marketHours: 'Mon-Fri 09:00-15:30', marketHolidays: ['2026-11-25'], staleAfter: 1 };
  let market: RunningProxy;
  beforeEach(async () => {
    market = await RunningProxy.start(HOURS);
  });
  afterEach(async () => {
    vi.restoreAllMocks();
    await market.stop();
  });
  const healthAt = (time: string) => {
    vi.spyOn(Date, 'now').mockReturnValue(Date.parse(`${time}+05:30`));
    return market.get('/health');
  };

  test('a feed that is not there is no fault in the night, and a holiday is one', async () => {
    for (const time of ['2026-11-24T20:00:00', '2026-11-25T11:00:00', '2026-11-26T08:59:59']) {
      const { status, body } = await healthAt(time);
      expect([...Value.Errors(HealthSchema, body)]).toEqual([]);
      expect([status, body]).toMatchObject([
        200,
        {
          status: 'ok',
          market: 'closed',
          market_opens_at: '2026-11-26T03:30:00.000Z',
          reasons: [{ code: 'no_publisher' }],
        },
      ]);
    }
  });

  test('is one during the day, but not in the first minute', async () => {
    expect(await healthAt('2026-11-26T09:00:59')).toMatchObject({ status: 200, body: { market: 'open' } });
    const { status, body } = await healthAt('2026-11-26T09:01:00');
    expect([status, body]).toMatchObject([503, { market: 'open', reasons: [{ code: 'no_publisher' }] }]);
    expect(body).not.toHaveProperty('market_opens_at');
  });

  test('silence is no fault in the night, and one during the day', async () => {
    market.publisher().publishMarketData('SBIN', { ltp: 1 });
    const silent = { reasons: [{ code: 'stale_feed' }] };
    await until('it is silent', async () => (await healthAt('2026-11-26T12:00:00')).status === 503);
    expect(await healthAt('2026-11-26T12:00:00')).toMatchObject({ status: 503, body: silent });
    expect(await healthAt('2026-11-26T15:30:00')).toMatchObject({ status: 200, body: { market: 'closed', ...silent } });
  });

  test('what is the proxy’s own fault is one at any hour', async () => {
    LockFreeRingBuffer.unlink(market.ring);
    expect(await healthAt('2026-11-24T20:00:00')).toMatchObject({
      status: 503,
      body: { market: 'closed', reasons: [{ code: 'ring_gone' }] },
    });
  });

  test('clients that asked for it hear that the feed is down, and that the market is closed', async () => {
    vi.spyOn(Date, 'now').mockReturnValue(Date.parse('2026-11-24T20:00:00+05:30'));
    const client = await market.client();
    await client.ask({ action: 'subscribe', symbol: 'SBIN', exchange: 'NSE', mode: 1, status: true });
    expect(await client.nextOf('feed_status')).toMatchObject({ status: 'down', market: 'closed' });
  });

  test('/metrics tells whether it is open', async () => {
    const gauge = async () => /^openalgo_shm_market_open (\d)$/m.exec(await metricsOf(market))?.[1];
    await healthAt('2026-11-24T20:00:00');
    expect(await gauge()).toBe('0');
    await healthAt('2026-11-26T12:00:00');
    expect([await gauge(), /^openalgo_shm_market_open 1$/m.test(await metricsOf(running))]).toEqual(['1', true]);
  });

  test.each([
    [{ marketHours: 'always' }, /expected sessions/],
    [{ marketHolidays: ['2026-11-25'] }, /without marketHours/],
    [{ marketHours: 'Mon 09:00-15:30', marketTimeZone: 'Nowhere' }, /marketTimeZone/],
    [{ openingGrace: -1 }, /openingGrace/],
  ])('refuses %j', (options, message) => {
    expect(() => new WebSocketProxy({ log: 'silent', ...options })).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_OPTION', message: expect.stringMatching(message) }),
    );
  });
});

async function metricsOf({ httpUrl }: RunningProxy): Promise<string> {
  return (await fetch(`${httpUrl}/metrics`)).text();
}

describe('GET /health/live', () => {
  test('is 200 while the process works, without a feed and without a key', async () => {
    const guarded = await RunningProxy.start({ auth: { keys: ['a-key'] } });
    const { status, body } = await guarded.get('/health/live');
    await guarded.stop();
    expect([status, body, ...Value.Errors(LivenessSchema, body)]).toEqual([200, { status: 'ok', reasons: [] }]);
    LockFreeRingBuffer.unlink(running.ring);
    expect((await running.get('/health')).status).toBe(503);
    expect((await running.get('/health/live')).status).toBe(200);
  });

  test('is 503 where a delivery thread does not run', () => {
    expect(assessProcess(false)).toMatchObject({ status: 'unavailable', reasons: [{ code: 'delivery_failed' }] });
  });
});

test('other paths are not found', async () => {
  expect((await running.get('/nowhere')).status).toBe(404);
});
