import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { SharedMemoryBrokerAdapter } from '../../src/feeds/broker-adapter.ts';
import type { InterestChange } from '../../src/shm/interest.ts';
import { type Client, RunningProxy, until } from '../proxy/running-proxy.ts';

let running: RunningProxy;
let adapter: SharedMemoryBrokerAdapter;
let client: Client;

beforeEach(async () => {
  running = await RunningProxy.start({ subscribeTimeout: 20_000, ring: { depthLevels: 20 } });
  adapter = new SharedMemoryBrokerAdapter('zerodha', { name: running.ring, answers: true });
  client = await running.client();
});

afterEach(async () => {
  adapter.stop();
  await running.stop();
});

/** Starts the adapter, and waits until the proxy knows that it tells results: only then a refusal is in the answer. */
async function answering(onSubscribe: (change: InterestChange) => void): Promise<void> {
  adapter.on('subscribe', (change) => {
    if (change.symbol.startsWith('PROBE')) adapter.refuse(change, 'a probe');
    else onSubscribe(change);
  });
  adapter.start();
  const probe = await running.client();
  let probes = 0;
  await until('results are waited for', async () => {
    const answer = await probe.ask({ action: 'subscribe', symbol: `PROBE${probes++}`, exchange: 'NSE', mode: 1 });
    return answer['status'] === 'partial';
  });
}

const subscribe = (symbols: readonly string[], mode = 3, depth = 20) => ({
  action: 'subscribe',
  symbols: symbols.map((symbol) => ({ symbol, exchange: 'NSE' })),
  mode,
  depth,
});

describe('an adapter with the option answers', () => {
  test('tells clients what the broker takes, how deep, and what it refuses', async () => {
    await answering((change) => {
      if (change.symbol === 'BAD') adapter.refuse(change, 'no such symbol');
      else adapter.accept(change, change.symbol === 'TCS' ? 5 : undefined);
    });
    expect(await client.ask(subscribe(['TCS', 'INFY', 'BAD']))).toMatchObject({
      status: 'partial',
      subscriptions: [
        { symbol: 'TCS', status: 'success', depth: 5 },
        { symbol: 'INFY', status: 'success', depth: 20 },
        { symbol: 'BAD', status: 'error', message: 'no such symbol', broker: 'zerodha' },
      ],
    });
    expect(adapter.getStats().eventsDropped).toBe(0);
  });

  test('tells many thousand results, and none is lost', async () => {
    await answering((change) => {
      if (change.symbol.startsWith('BAD')) adapter.refuse(change, 'no such symbol in the list of instruments');
      else adapter.accept(change);
    });
    const symbols = Array.from({ length: 9_000 }, (_, i) => (i % 3 === 0 ? `BAD${i}` : `NIFTY28APR25${i}CE`));
    const answer = await client.ask(subscribe(symbols));
    const lines = answer['subscriptions'] as { status: string }[];
    expect(lines.filter(({ status }) => status === 'error')).toHaveLength(3_000);
    expect(running.proxy.getStats().feed_events).toMatchObject({ unknown: 0, lost: 0 });
  });

  test('may refuse later in the day', async () => {
    let tcs: InterestChange | undefined;
    await answering((change) => {
      if (change.symbol === 'TCS') tcs = change;
      adapter.accept(change);
    });
    await client.ask(subscribe(['TCS'], 1));
    adapter.refuse(tcs as InterestChange, 'x'.repeat(5_000));
    expect(await client.next()).toMatchObject({ type: 'subscription_refused', message: 'x'.repeat(200) });
  });

  test('tells by itself that it no longer subscribes what nobody wants', async () => {
    let asked = 0;
    await answering((change) => {
      if (change.symbol === 'TCS') asked += 1;
      if (change.symbol === 'TCS' && asked === 2) adapter.refuse(change, 'delisted');
      else adapter.accept(change);
    });
    await client.ask(subscribe(['TCS'], 1));
    await client.ask({ action: 'unsubscribe_all' });
    await until('it is ended', () => adapter.wanted().every(({ symbol }) => symbol !== 'TCS'));
    // The result behind it has been read once this is answered.
    await client.ask(subscribe(['INFY'], 1));
    expect(await client.ask(subscribe(['TCS'], 1))).toMatchObject({ subscriptions: [{ message: 'delisted' }] });
  });

  test('says that its session is gone, and is waited for again when it is back', async () => {
    await answering((change) => {
      if (change.symbol !== 'LATER') adapter.accept(change);
    });
    adapter.publishTickData('TCS', { ltp: 1 });
    client.send(subscribe(['LATER'], 1));
    await until('it is asked for', () => adapter.wanted().some(({ symbol }) => symbol === 'LATER'));
    adapter.down('the token has expired');
    expect(await client.next()).toMatchObject({ status: 'success' });
    expect((await running.get('/health')).body['reasons']).toMatchObject([
      { code: 'source_gone', message: expect.stringContaining('the token has expired') as unknown },
    ]);
    adapter.up();
    for (const change of adapter.wanted()) adapter.refuse(change, 'not in this session');
    expect(await client.nextOf('subscription_refused')).toMatchObject({ symbol: 'LATER' });
    await until('it is well again', async () => (await running.get('/health')).status === 200);
  });

  test('tells nothing more once it is stopped', async () => {
    const changes: InterestChange[] = [];
    await answering((change) => {
      changes.push(change);
      adapter.accept(change);
    });
    adapter.stop();
    for (const change of changes) adapter.refuse(change, 'too late');
    expect(await client.ask(subscribe(['TCS'], 1))).toMatchObject({ status: 'success' });
  });
});

test('an adapter without the option says that it is needed', () => {
  const plain = new SharedMemoryBrokerAdapter('zerodha', { name: running.ring });
  const change: InterestChange = { exchange: 'NSE', symbol: 'TCS', mode: 1, depth: 0 };
  for (const tell of [
    () => plain.accept(change),
    () => plain.refuse(change, 'no'),
    () => plain.up(),
    () => plain.down('no'),
  ]) {
    expect(tell).toThrow(expect.objectContaining({ code: 'ERR_INVALID_OPTION' }) as Error);
  }
  expect(plain.getStats().eventsDropped).toBe(0);
});
