import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Client, RunningProxy, until } from './running-proxy.ts';

let running: RunningProxy;
let client: Client;

beforeAll(async () => {
  running = await RunningProxy.start();
  running.publisher({ publisherName: 'mock' });
  await until('the proxy sees it', () => running.proxy.getStats().publishers.length === 1);
  client = await running.client();
});
afterAll(() => running.stop());

const error = (code: string, message: unknown) => ({ type: 'error', status: 'error', code, message });
const line = (symbol: string, exchange: string, mode: string, depth = 5) => {
  return { symbol, exchange, status: 'success', mode, depth, broker: 'mock' };
};
const left = (symbol: string, exchange: string) => ({ symbol, exchange, status: 'success', broker: 'mock' });
const subscribed = (...subscriptions: unknown[]) => ({
  type: 'subscribe',
  status: 'success',
  subscriptions,
  message: 'Subscription processing complete',
  broker: 'mock',
});
const unsubscribed = (...successful: unknown[]) => ({
  type: 'unsubscribe',
  status: 'success',
  message: 'Unsubscription processing complete',
  successful,
  failed: [] as unknown[],
  broker: 'mock',
});

describe('what is no request', () => {
  test.each([
    ['no JSON', 'hello', 'INVALID_JSON', 'Invalid JSON message'],
    ['an empty message', '', 'INVALID_JSON', 'Invalid JSON message'],
    ['a cut message', '{"action":"ping"', 'INVALID_JSON', 'Invalid JSON message'],
    ['an array', '[]', 'SERVER_ERROR', 'Message must be a JSON object, got array'],
    ['null', 'null', 'SERVER_ERROR', 'Message must be a JSON object, got null'],
    ['a number', '1', 'SERVER_ERROR', 'Message must be a JSON object, got number'],
    ['no action', '{}', 'INVALID_ACTION', 'Invalid action: None'],
    ['an unknown action', '{"action":"fly"}', 'INVALID_ACTION', 'Invalid action: fly'],
    ['an action in capitals', '{"action":"PING"}', 'INVALID_ACTION', 'Invalid action: PING'],
    ['an action that is no text', '{"action":5}', 'INVALID_ACTION', 'Invalid action: 5'],
    ['a name of an object’s own', '{"action":"constructor"}', 'INVALID_ACTION', 'Invalid action: constructor'],
  ])('%s is answered with its error', async (_what, message, code, text) => {
    expect(await client.ask(message)).toEqual(error(code, text));
  });

  test('the connection stays open and serves on', async () => {
    expect(await client.ask({ action: 'ping' })).toMatchObject({ type: 'pong' });
  });
});

describe('ping', () => {
  test('is answered with the server’s time and the client’s values', async () => {
    const before = Date.now();
    const pong = await client.ask({ action: 'ping', timestamp: 123, _pingId: 'a1' });
    expect(Object.keys(pong)).toEqual(['type', 'status', 'server_timestamp', 'client_timestamp', '_pingId']);
    expect(pong).toMatchObject({ type: 'pong', status: 'success', client_timestamp: 123, _pingId: 'a1' });
    expect(pong['server_timestamp']).toBeGreaterThanOrEqual(before);
    expect(Number.isInteger(pong['server_timestamp'])).toBe(true);
  });

  test('leaves out what the client did not give', async () => {
    expect(Object.keys(await client.ask({ type: 'ping' }))).toEqual(['type', 'status', 'server_timestamp']);
  });
});

describe('subscribe', () => {
  test.each([
    [1, 'LTP'],
    [2, 'Quote'],
    [3, 'Depth'],
    ['LTP', 'LTP'],
    ['quote', 'Quote'],
    [' DePtH ', 'Depth'],
  ])('mode %j is answered as %s', async (mode, name) => {
    const answer = await client.ask({ action: 'subscribe', symbol: 'SBIN', exchange: 'NSE', mode });
    expect(answer).toEqual(subscribed(line('SBIN', 'NSE', name)));
  });

  test('the mode is Quote and the depth 5 unless given', async () => {
    const answer = await client.ask({ action: 'subscribe', symbol: 'SBIN', exchange: 'NSE' });
    expect(answer).toEqual(subscribed(line('SBIN', 'NSE', 'Quote')));
  });

  test.each([
    [4, 'Invalid mode 4; expected 1 (LTP), 2 (Quote), or 3 (Depth)'],
    [-1, 'Invalid mode -1; expected 1 (LTP), 2 (Quote), or 3 (Depth)'],
    ['full', "Invalid mode 'full'; expected 'LTP', 'Quote', or 'Depth' (case-insensitive)"],
    ['', "Invalid mode ''; expected 'LTP', 'Quote', or 'Depth' (case-insensitive)"],
    [1.5, 'Mode must be int or str, got float'],
    [true, 'Mode must be int or str, got bool (True)'],
    [null, 'Mode must be int or str, got NoneType'],
    [[1], 'Mode must be int or str, got list'],
    [{}, 'Mode must be int or str, got dict'],
  ])('mode %j is refused', async (mode, message) => {
    const answer = await client.ask({ action: 'subscribe', symbol: 'SBIN', exchange: 'NSE', mode });
    expect(answer).toEqual(error('INVALID_MODE', message));
  });

  test('a list is answered line by line, with the request’s id', async () => {
    const symbols = [
      { symbol: 'SBIN', exchange: 'NSE' },
      { symbol: 'NIFTY', exchange: 'NSE_INDEX' },
    ];
    const answer = await client.ask({ action: 'subscribe', symbols, mode: 'LTP', request_id: 'r1' });
    expect(answer).toEqual({
      ...subscribed(line('SBIN', 'NSE', 'LTP'), line('NIFTY', 'NSE_INDEX', 'LTP')),
      request_id: 'r1',
    });
    expect(Object.keys(answer)).toEqual(['type', 'status', 'subscriptions', 'message', 'broker', 'request_id']);
    // What cannot be encoded, or is longer than the question is worth, does not come back.
    const deep = `${'['.repeat(20_000)}${']'.repeat(20_000)}`;
    client.webSocket.send(`{"action":"ping","_pingId":${deep},"timestamp":"${'x'.repeat(1_000)}"}`);
    const pong = await client.next();
    expect(pong['_pingId']).toBeUndefined();
    expect(pong['client_timestamp']).toBe(`${'x'.repeat(256)}…`);
  });

  test('a list wins over a single symbol, and modes and depths in its entries do not count', async () => {
    const symbols = [{ symbol: 'TCS', exchange: 'NSE', mode: 3, depth: 20 }];
    const answer = await client.ask({ action: 'subscribe', symbols, symbol: 'INFY', exchange: 'NSE', mode: 1 });
    expect(answer).toEqual(subscribed(line('TCS', 'NSE', 'LTP')));
  });

  test('entries without symbol or exchange are passed over', async () => {
    const symbols = [{ symbol: 'TCS' }, { exchange: 'NSE' }, {}, { symbol: '', exchange: 'NSE' }];
    expect(await client.ask({ action: 'subscribe', symbols })).toEqual(subscribed());
  });

  test('`instruments` is another name of the list, and `depth_level` of the depth', async () => {
    const instruments = [{ symbol: 'TCS', exchange: 'NSE' }];
    const answer = await client.ask({ action: 'subscribe', instruments, mode: 3, depth_level: 3 });
    expect(answer).toEqual(subscribed(line('TCS', 'NSE', 'Depth', 3)));
  });

  test('the depth is never more than the ring has', async () => {
    const answer = await client.ask({ action: 'subscribe', symbol: 'TCS', exchange: 'NSE', mode: 3, depth: 50 });
    expect(answer).toEqual(subscribed(line('TCS', 'NSE', 'Depth', 5)));
  });

  test.each([[{}], [{ symbols: [] }], [{ symbols: null }], [{ exchange: 'NSE' }], [{ symbol: '' }]])(
    '%j names nothing to subscribe to',
    async (fields) => {
      const answer = await client.ask({ action: 'subscribe', ...fields });
      expect(answer).toEqual(error('INVALID_PARAMETERS', 'At least one symbol must be specified'));
    },
  );

  test.each([
    [['SBIN'], 'Every entry of symbols must be an object, got string'],
    [[null], 'Every entry of symbols must be an object, got null'],
    ['SBIN', 'symbols must be an array, got string'],
    [{ symbol: 'SBIN' }, 'symbols must be an array, got object'],
  ])('symbols %j is refused as a whole', async (symbols, message) => {
    expect(await client.ask({ action: 'subscribe', symbols })).toEqual(error('SERVER_ERROR', message));
  });

  test('a name that cannot be is refused in its line, the others are served', async () => {
    const symbols = [
      { symbol: 'S'.repeat(49), exchange: 'NSE' },
      { symbol: 7, exchange: 'NSE' },
      { symbol: 'SBIN', exchange: 'NSE' },
    ];
    const answer = await client.ask({ action: 'subscribe', symbols, mode: 1 });
    expect(answer).toMatchObject({ type: 'subscribe', status: 'partial' });
    expect(answer['subscriptions']).toEqual([
      {
        symbol: 'S'.repeat(49),
        exchange: 'NSE',
        status: 'error',
        message: 'symbol is 49 bytes long; at most 48 are possible',
        broker: 'mock',
      },
      { symbol: 7, exchange: 'NSE', status: 'error', message: 'symbol must be a string, got number', broker: 'mock' },
      line('SBIN', 'NSE', 'LTP'),
    ]);
  });

  test('a list in which all fail is partial too', async () => {
    const answer = await client.ask({ action: 'subscribe', symbol: 'S'.repeat(49), exchange: 'NSE' });
    expect(answer).toMatchObject({ type: 'subscribe', status: 'partial' });
  });

  test('the short form means every mode of the symbol on NSE', async () => {
    const answer = await client.ask({ action: 'subscribe', symbol: 'RELIANCE' });
    expect(answer).toEqual(
      subscribed(line('RELIANCE', 'NSE', 'LTP'), line('RELIANCE', 'NSE', 'Quote'), line('RELIANCE', 'NSE', 'Depth')),
    );
  });

  test.each([[1.5], [-1], ['1s'], [3_600_001]])('interval_ms %j is refused', async (interval_ms) => {
    const answer = await client.ask({ action: 'subscribe', symbol: 'SBIN', exchange: 'NSE', interval_ms });
    expect(answer).toMatchObject({ code: 'INVALID_PARAMETERS' });
  });

  test('a wildcard exchange with a symbol of its own is refused in its line', async () => {
    const answer = await client.ask({ action: 'subscribe', symbol: 'SBIN', exchange: '*', mode: 1 });
    expect(answer).toMatchObject({ status: 'partial', subscriptions: [{ status: 'error' }] });
  });
});

describe('unsubscribe', () => {
  test('a single symbol is left, with the request’s id', async () => {
    const answer = await client.ask({ action: 'unsubscribe', symbol: 'SBIN', exchange: 'NSE', mode: 1, request_id: 7 });
    expect(answer).toEqual({ ...unsubscribed(left('SBIN', 'NSE')), request_id: 7 });
  });

  test('what was never subscribed to counts as left', async () => {
    const answer = await client.ask({
      action: 'unsubscribe',
      symbols: [{ symbol: 'NEVER', exchange: 'BSE', mode: 2 }],
    });
    expect(answer).toEqual(unsubscribed(left('NEVER', 'BSE')));
  });

  test('the short form is answered in the same shape', async () => {
    const answer = await client.ask({ action: 'unsubscribe', symbol: 'RELIANCE' });
    expect(answer).toEqual(unsubscribed(left('RELIANCE', 'NSE')));
  });

  test('a wrong mode fails in its line', async () => {
    const symbols = [
      { symbol: 'SBIN', exchange: 'NSE', mode: 9 },
      { symbol: 'TCS', exchange: 'NSE', mode: 'ltp' },
    ];
    const failure = {
      symbol: 'SBIN',
      exchange: 'NSE',
      status: 'error',
      message: 'Invalid mode 9; expected 1 (LTP), 2 (Quote), or 3 (Depth)',
      broker: 'mock',
    };
    expect(await client.ask({ action: 'unsubscribe', symbols })).toEqual({
      ...unsubscribed(left('TCS', 'NSE')),
      status: 'partial',
      failed: [failure],
    });
    expect(await client.ask({ action: 'unsubscribe', symbols: symbols.slice(0, 1) })).toMatchObject({
      status: 'error',
      successful: [],
      failed: [failure],
    });
  });

  test('a wrong mode for all is refused', async () => {
    const answer = await client.ask({ action: 'unsubscribe', symbol: 'SBIN', exchange: 'NSE', mode: 'full' });
    expect(answer).toMatchObject({ code: 'INVALID_MODE' });
  });

  test('nothing to leave is refused', async () => {
    const answer = await client.ask({ action: 'unsubscribe' });
    expect(answer).toEqual(error('INVALID_PARAMETERS', 'Either symbols or unsubscribe_all is required'));
  });

  test('unsubscribe_all names every subscription that it ended', async () => {
    const other = await running.client();
    await other.ask({ action: 'subscribe', symbols: [{ symbol: 'A', exchange: 'NSE' }], mode: 1 });
    await other.ask({ action: 'subscribe', symbols: [{ symbol: 'A', exchange: 'NSE' }], mode: 3 });
    await other.ask({ action: 'subscribe', symbols: [{ symbol: 'B', exchange: 'MCX' }], mode: 2 });
    const answer = await other.ask({ action: 'unsubscribe_all', request_id: 'all' });
    const expected = unsubscribed(left('A', 'NSE'), left('A', 'NSE'), left('B', 'MCX'));
    expect(answer).toEqual({ ...expected, request_id: 'all' });
    expect(await other.ask({ type: 'unsubscribe_all' })).toEqual(unsubscribed());
  });
});

describe('orders and brokers', () => {
  test('subscribe_orders and unsubscribe_orders are confirmed', async () => {
    expect(await client.ask({ action: 'subscribe_orders', request_id: 'o' })).toEqual({
      type: 'subscribe_orders',
      status: 'success',
      message: 'Subscribed to order updates',
      request_id: 'o',
    });
    expect(await client.ask({ action: 'unsubscribe_orders' })).toEqual({
      type: 'unsubscribe_orders',
      status: 'success',
      message: 'Unsubscribed from order updates',
    });
  });

  test('get_broker_info tells the publisher and whether it lives', async () => {
    expect(await client.ask({ action: 'get_broker_info' })).toEqual({
      type: 'broker_info',
      status: 'success',
      broker: 'mock',
      adapter_status: 'connected',
      user_id: 'local',
    });
  });

  test('get_supported_brokers lists the publishers', async () => {
    const answer = await client.ask({ action: 'get_supported_brokers' });
    expect(answer).toEqual({ type: 'supported_brokers', status: 'success', brokers: ['mock'], count: 1 });
  });
});

describe('authenticate, where nobody has to', () => {
  test.each([
    ['authenticate', 'api_key'],
    ['auth', 'apikey'],
  ])('%s with %s accepts any key', async (action, name) => {
    expect(await client.ask({ action, [name]: 'any' })).toEqual({
      type: 'auth',
      status: 'success',
      message: 'Authentication successful',
      broker: 'mock',
      user_id: 'local',
      supported_features: { ltp: true, quote: true, depth: true },
    });
  });

  test('a missing key is refused with a type that clients understand', async () => {
    expect(await client.ask({ action: 'authenticate' })).toEqual({
      type: 'auth',
      status: 'error',
      code: 'AUTHENTICATION_ERROR',
      message: 'API key is required',
    });
  });
});
