import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { RunningProxy, until } from './running-proxy.ts';

let running: RunningProxy;

beforeAll(async () => {
  running = await RunningProxy.start({ ring: { lanes: 2, topics: 3 } });
});
afterAll(() => running.stop());

async function scrape(): Promise<{ text: string; values: Map<string, number> }> {
  const response = await fetch(`${running.httpUrl}/metrics`);
  expect(response.status).toBe(200);
  expect(response.headers.get('content-type')).toContain('text/plain');
  const text = await response.text();
  const values = new Map<string, number>();
  for (const line of text.split('\n')) {
    const [, name, labels = '', value] = /^([a-z_]+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
    if (name !== undefined) values.set(labels === '' ? name : `${name}{${labels}}`, Number(value));
  }
  return { text, values };
}

describe('GET /metrics', () => {
  test('counts what is published, sent and refused, by lane, consumer and reason', async () => {
    const publisher = running.publisher();
    const client = await running.client();
    await client.ask({ action: 'subscribe', symbol: 'SBIN', exchange: 'NSE', mode: 1 });
    await client.ask('not JSON');
    for (let price = 0; price < 10; price++) publisher.publishMarketData('SBIN', { ltp: price });
    await until('all have come', () => client.ticks().length === 10);
    await until('all are counted', () => running.proxy.getStats().delivery_latency_ns.count === 10);
    const { values } = await scrape();
    const own = (name: string): number | undefined => values.get(`openalgo_shm_${name}`);
    const common = (name: string, labels: string): number | undefined => values.get(`openalgo_shm_${name}{${labels}}`);
    expect(common('messages_published_total', 'lane="0",publisher="zerodha"')).toBe(10);
    expect(common('lines_published_total', 'lane="0",publisher="zerodha"')).toBe(10);
    expect(common('publisher_topics', 'lane="0",publisher="zerodha"')).toBe(1);
    expect(common('topics_refused_total', 'lane="0",publisher="zerodha"')).toBe(0);
    expect(values.get('openalgo_shm_ring_slots_per_lane')).toBe(16_384);
    expect(values.get('openalgo_shm_ring_topics_per_lane')).toBe(3);
    expect(common('publisher_alive', 'lane="0",publisher="zerodha"')).toBe(1);
    expect(common('messages_received_total', 'consumer="0",name="proxy"')).toBe(10);
    expect(common('messages_lost_total', 'consumer="0",name="proxy"')).toBe(0);
    expect(common('consumer_lag_messages', 'consumer="0",name="proxy"')).toBe(0);
    expect(common('thread_clients', 'thread="1"')).toBe(1);
    expect(common('thread_ticks_sent_total', 'thread="1"')).toBe(10);
    expect(common('thread_restarts_total', 'thread="1"')).toBe(0);
    expect(own('ticks_sent_total')).toBe(10);
    expect(own('clients')).toBe(1);
    expect(own('subscriptions')).toBe(1);
    expect(common('refusals_total', 'reason="malformed_message"')).toBe(1);
    expect(own('ring_attached')).toBe(1);
    expect(values.get('process_cpu_seconds_total')).toBeGreaterThan(0);
  });

  test('gives the latencies as a histogram in seconds', async () => {
    const { values } = await scrape();
    const buckets = [...values].filter(([name]) => name.startsWith('openalgo_shm_delivery_latency_seconds_bucket'));
    const counts = buckets.map(([, count]) => count);
    expect(counts).toEqual(counts.toSorted((a, b) => a - b));
    expect(counts.at(-1)).toBe(10);
    expect(buckets.at(-1)?.[0]).toContain('le="+Inf"');
    expect(buckets[0]?.[0]).toContain('le="0.00001"');
    expect(values.get('openalgo_shm_delivery_latency_seconds_count')).toBe(10);
    expect(values.get('openalgo_shm_delivery_latency_seconds_sum')).toBeGreaterThan(0);
  });

  test('says how late JavaScript comes, without the time between two looks', async () => {
    const { text, values } = await scrape();
    expect(text).not.toContain('nodejs_eventloop_lag');
    const delay = values.get('openalgo_shm_event_loop_delay_seconds{percentile="50"}');
    expect(delay).toBeGreaterThanOrEqual(0);
    expect(delay).toBeLessThan(0.2);
  });

  test('names and explains every metric as Prometheus asks for', async () => {
    const { text } = await scrape();
    const types = [...text.matchAll(/^# TYPE (openalgo_shm_\w+) (\w+)$/gm)];
    expect(types.length).toBeGreaterThan(20);
    for (const [, name, type] of types) {
      expect(text).toContain(`# HELP ${name} `);
      expect(name!.endsWith('_total')).toBe(type === 'counter');
      expect(name).not.toMatch(/_(ns|ms|kb|us)\b/);
    }
  });

  test('counts the ticks that a full topic table refused', async () => {
    const publisher = running.publisher();
    for (const symbol of ['A', 'B', 'SBIN', 'TCS', 'TCS']) {
      try {
        publisher.publishMarketData(symbol, { ltp: 1 });
      } catch (error) {
        expect(error).toMatchObject({ code: 'ERR_TOO_MANY_TOPICS' });
      }
    }
    const { values } = await scrape();
    const own = `lane="${publisher.getStats().lane}",publisher="zerodha"`;
    expect(values.get(`openalgo_shm_publisher_topics{${own}}`)).toBe(3);
    expect(values.get(`openalgo_shm_topics_refused_total{${own}}`)).toBe(2);
    publisher.stop();
  });

  test('has no series of a publisher whose place another has taken', async () => {
    const labels = 'lane="1",publisher="passing"';
    const passing = running.publisher({ publisherName: 'passing' });
    passing.publishMarketData('SBIN', { ltp: 1 });
    await until('it is seen', async () => (await scrape()).text.includes(labels));
    passing.stop();
    running.publisher({ publisherName: 'successor' }).publishMarketData('SBIN', { ltp: 1 });
    await until('it is gone', async () => !(await scrape()).text.includes(labels));
  });

  test('needs a key where the proxy does, also as a bearer token', async () => {
    const closed = await RunningProxy.start({ auth: { keys: ['a-secret-key-of-length'] } });
    try {
      const status = async (headers: Record<string, string>): Promise<number> =>
        (await fetch(`${closed.httpUrl}/metrics`, { headers })).status;
      expect(await status({})).toBe(401);
      expect(await status({ authorization: 'Bearer wrong' })).toBe(401);
      expect(await status({ authorization: 'Bearer a-secret-key-of-length' })).toBe(200);
      expect(await status({ 'x-api-key': 'a-secret-key-of-length' })).toBe(200);
    } finally {
      await closed.stop();
    }
  });
});
