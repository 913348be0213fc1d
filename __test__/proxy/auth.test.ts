import { once } from 'node:events';
import { mkdtempSync, renameSync, rmSync, statSync, unlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { type IncomingMessage, request as httpRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { KeyVerdict } from '../../src/proxy/auth.ts';
import { fileKeys } from '../../src/proxy/static-keys.ts';
import { WebSocketProxy, type WebSocketProxyOptions } from '../../src/proxy/websocket-proxy.ts';
import { type Client, RunningProxy, until } from './running-proxy.ts';

let running: RunningProxy | undefined;
afterEach(async () => {
  await running?.stop();
  running = undefined;
});

async function start(
  auth: WebSocketProxyOptions['auth'],
  more: WebSocketProxyOptions = { broker: 'mock' },
): Promise<RunningProxy> {
  running = await RunningProxy.start({ ...more, ...(auth !== undefined && { auth }) });
  return running;
}

const authenticate = (client: Client, key: unknown) => client.ask({ action: 'authenticate', api_key: key });
const accepted = { type: 'auth', status: 'success', message: 'Authentication successful' };
const refused = (message: string) => ({ type: 'auth', status: 'error', code: 'AUTHENTICATION_ERROR', message });

describe('a client that has not authenticated', () => {
  beforeEach(() => start({ keys: ['secret'] }));

  test.each([
    'subscribe',
    'unsubscribe',
    'unsubscribe_all',
    'subscribe_orders',
    'unsubscribe_orders',
    'get_broker_info',
  ])('may not %s', async (action) => {
    const client = await (running as RunningProxy).client();
    expect(await client.ask({ action, symbol: 'SBIN', exchange: 'NSE', mode: 9, request_id: 1 })).toEqual({
      type: 'error',
      status: 'error',
      code: 'NOT_AUTHENTICATED',
      message: 'You must authenticate first',
      request_id: 1,
    });
  });

  test.each(['ping', 'get_supported_brokers'])('may %s', async (action) => {
    const client = await (running as RunningProxy).client();
    expect(await client.ask({ action })).toMatchObject({ status: 'success' });
  });

  test('is refused without a key and with a wrong one, and may try again', async () => {
    const client = await (running as RunningProxy).client();
    expect(await client.ask({ action: 'authenticate' })).toEqual(refused('API key is required'));
    expect(await authenticate(client, 'wrong')).toEqual(refused('Invalid API key'));
    expect(await authenticate(client, 5)).toEqual(refused('Invalid API key'));
    expect(await authenticate(client, 'secret')).toMatchObject({ ...accepted, broker: 'mock' });
    expect((running as RunningProxy).proxy.getStats().refused.authentication).toBe(3);
  });
});

test('who has no other key than the refused one is closed with 4401, and need not wait for an answer', async () => {
  await start({ keys: ['good'] });
  const client = await (running as RunningProxy).client();
  expect(await authenticate(client, 'bad')).toEqual(refused('Invalid API key'));
  expect(await client.closed).toEqual({ code: 4401, reason: 'Invalid API key' });
});

test('more refused keys do not put off the end of the connection', async () => {
  await start({ keys: ['good'] });
  const client = await (running as RunningProxy).client();
  let ended = false;
  void client.closed.then(() => (ended = true));
  await until('it was closed, however many keys it tried', async () => {
    if (!ended) client.send({ action: 'authenticate', api_key: 'bad' });
    await new Promise((resolve) => setTimeout(resolve, 20));
    return ended;
  });
  expect(await client.closed).toEqual({ code: 4401, reason: 'Invalid API key' });
});

test('who does not authenticate in time is closed with 4401', async () => {
  const { proxy } = await start({ keys: ['secret'] }, { authTimeout: 50 });
  const client = await (running as RunningProxy).client();
  expect(await client.closed).toEqual({ code: 4401, reason: 'auth timeout' });
  expect(proxy.getStats().refused.authentication_timeout).toBe(1);
});

test('who has authenticated is not closed by the deadline', async () => {
  await start({ keys: ['secret'] }, { authTimeout: 200 });
  const [client, late] = await Promise.all([(running as RunningProxy).client(), (running as RunningProxy).client()]);
  await authenticate(client, 'secret');
  await late.closed;
  expect(await client.ask({ action: 'get_broker_info' })).toMatchObject({ status: 'success' });
});

describe('keys', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'keys-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  test('come from a list, a file and the environment, with or without a user', async () => {
    const file = join(folder, 'keys');
    writeFileSync(file, '# keys\n\nof-file alice\nof-file-alone\n');
    process.env['TEST_PROXY_KEYS'] = 'of-env, of-env-2';
    await start({ keys: ['of-list', { key: 'of-bob', userId: 'bob' }], file, env: 'TEST_PROXY_KEYS' });
    delete process.env['TEST_PROXY_KEYS'];
    const client = await (running as RunningProxy).client();
    expect(await authenticate(client, 'of-file')).toMatchObject({ user_id: 'alice' });
    expect(await authenticate(client, 'of-bob')).toMatchObject({ user_id: 'bob' });
    const users = new Set<unknown>();
    for (const key of ['of-list', 'of-file-alone', 'of-env', 'of-env-2']) {
      const answer = await authenticate(client, key);
      expect(answer).toMatchObject(accepted);
      expect(String(answer['user_id'])).not.toContain(key);
      users.add(answer['user_id']);
    }
    expect(users.size).toBe(4);
    expect(await authenticate(client, '# keys')).toEqual(refused('Invalid API key'));
  });

  test('a key taken out of the file ends the sessions that it opened, and no other', async () => {
    const file = join(folder, 'keys');
    writeFileSync(file, 'first alice\nsecond bob\n');
    await start({ file });
    const [first, second] = await Promise.all([(running as RunningProxy).client(), (running as RunningProxy).client()]);
    await authenticate(first, 'first');
    await authenticate(second, 'second');
    writeFileSync(file, 'second bob\n');
    expect(await first.closed).toEqual({ code: 4401, reason: 'key revoked' });
    expect(await second.ask({ action: 'get_broker_info' })).toMatchObject({ user_id: 'bob' });
    expect((running as RunningProxy).proxy.getStats().refused.revoked_key).toBe(1);
  });

  test('a file that is replaced by one of the same length and time is noticed', async () => {
    const [file, next] = [join(folder, 'keys'), join(folder, 'next')];
    const time = 1_700_000_000;
    writeFileSync(file, 'first alice\n');
    utimesSync(file, time, time);
    await start({ file });
    const client = await (running as RunningProxy).client();
    await authenticate(client, 'first');
    // In the same place, so that even the inode stays.
    writeFileSync(file, 'other alice\n');
    utimesSync(file, time, time);
    expect(statSync(file).mtimeMs).toBe(time * 1000);
    expect(await client.closed).toEqual({ code: 4401, reason: 'key revoked' });
    const other = await (running as RunningProxy).client();
    expect(await authenticate(other, 'other')).toMatchObject(accepted);
    writeFileSync(next, 'third alice\n');
    utimesSync(next, time, time);
    renameSync(next, file);
    expect(await other.closed).toEqual({ code: 4401, reason: 'key revoked' });
  });

  test('a file that is gone leaves its keys in force, says so once, and an empty one takes them back', async () => {
    const file = join(folder, 'keys');
    writeFileSync(file, 'first alice\nsecond bob\n');
    const troubles: unknown[] = [];
    const check = fileKeys(file, [], (error) => troubles.push(error));
    const isValid = async (key: string) =>
      (await check(key, { recheck: true, isWanted: () => true }))?.userId !== undefined;
    unlinkSync(file);
    expect([await isValid('first'), await isValid('second'), await isValid('third')]).toEqual([true, true, false]);
    expect(troubles).toMatchObject([
      { code: 'ERR_FILE', message: expect.stringContaining('keys that were read before stay in force') as unknown },
    ]);
    writeFileSync(file, 'third carol\n');
    expect([await isValid('first'), await isValid('third')]).toEqual([false, true]);
    unlinkSync(file);
    expect(await isValid('third')).toBe(true);
    expect(troubles).toHaveLength(2);
    writeFileSync(file, '');
    expect(await isValid('third')).toBe(false);
  });

  test('a file that is just being written takes no key back', async () => {
    const file = join(folder, 'keys');
    writeFileSync(file, 'first alice\n');
    const check = fileKeys(file, [], () => undefined);
    const userOf = async (key: string) => (await check(key, { recheck: true, isWanted: () => true }))?.userId;
    // As a shell does it: the file is emptied first.
    writeFileSync(file, '');
    const asked = [userOf('first'), userOf('first')];
    writeFileSync(file, 'first alice\nsecond bob\n');
    expect(await Promise.all(asked)).toEqual(['alice', 'alice']);
    expect(await userOf('second')).toBe('bob');
  });

  test.each<[string, WebSocketProxyOptions['auth'], string]>([
    ['a file that is not there', { file: '/nowhere/keys' }, 'ERR_FILE'],
    ['an environment variable that is not set', { env: 'TEST_PROXY_NO_KEYS' }, 'ERR_INVALID_OPTION'],
    ['an empty list', { keys: [] }, 'ERR_INVALID_OPTION'],
    ['an empty key', { keys: [''] }, 'ERR_INVALID_OPTION'],
    ['a URL that is none', { openalgo: 'here' }, 'ERR_INVALID_OPTION'],
  ])('%s is an error at the start', async (_what, auth, code) => {
    await expect(
      new WebSocketProxy({ port: 0, log: 'silent', ring: { name: 'never' }, auth: auth ?? 'none' }).start(),
    ).rejects.toMatchObject({ code });
  });
});

test('a client whose messages are compressed authenticates like any other', async () => {
  await start({ keys: ['secret'] }, { perMessageDeflate: true });
  const client = await (running as RunningProxy).client('/', { perMessageDeflate: true });
  expect(client.webSocket.extensions).toBe('permessage-deflate');
  expect(await authenticate(client, 'secret')).toMatchObject({ type: 'auth', status: 'success' });
});

describe('a function', () => {
  test('says whose a key is, once a key', async () => {
    const asked: string[] = [];
    await start((key) => {
      asked.push(key);
      return key === 'good' ? { userId: 'carol', broker: 'dhan' } : false;
    }, {});
    const clients = await Promise.all([1, 2, 3].map(() => (running as RunningProxy).client()));
    for (const client of clients)
      expect(await authenticate(client, 'good')).toMatchObject({ user_id: 'carol', broker: 'dhan' });
    expect(await authenticate(clients[0] as Client, 'bad')).toEqual(refused('Invalid API key'));
    expect(asked).toEqual(['good', 'bad']);
  });

  test('that fails refuses the key and nothing else', async () => {
    await start(() => {
      throw new Error('no database');
    });
    const client = await (running as RunningProxy).client();
    expect(await authenticate(client, 'any')).toEqual(refused('The API key could not be checked; try again'));
    expect(await client.ask({ action: 'ping' })).toMatchObject({ type: 'pong' });
  });

  test('that fails ends the connection with 1013: nothing is known against the key', async () => {
    await start(() => Promise.reject(new Error('no database')));
    const client = await (running as RunningProxy).client();
    await authenticate(client, 'any');
    expect(await client.closed).toEqual({ code: 1013, reason: 'The API key could not be checked; try again' });
  });

  test('that fails and is under way once more is waited for', async () => {
    let answers = 0;
    let answer: (user: string) => void = () => undefined;
    await start(() => {
      answers += 1;
      if (answers === 1) throw new Error('no database');
      return new Promise((resolve) => (answer = resolve));
    });
    const client = await (running as RunningProxy).client();
    // The second is there when the first has failed, so that it is checked within the same second on any machine.
    for (let i = 0; i < 2; i++) client.send({ action: 'authenticate', api_key: 'k' });
    expect(await client.next()).toMatchObject({ type: 'auth', status: 'error' });
    await until('it is being checked again', () => answers === 2);
    // Longer than a client whose key was refused has for another one.
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    answer('erin');
    expect(await client.next()).toMatchObject({ type: 'auth', status: 'success', user_id: 'erin' });
  });

  test('that never answers refuses the key, over HTTP too, and is asked again', async () => {
    let asked = 0;
    const verify = () => {
      asked += 1;
      return new Promise<never>(() => undefined);
    };
    await start({ verify, timeoutMs: 100 });
    const client = await (running as RunningProxy).client();
    expect(await authenticate(client, 'k')).toEqual(refused('The API key could not be checked; try again'));
    expect(await (running as RunningProxy).get('/stats', { 'x-api-key': 'k' })).toMatchObject({ status: 503 });
    expect(asked).toBe(2);
  });

  test('that takes longer than a client may without a key says nothing against the key', async () => {
    await start(() => new Promise<never>(() => undefined), { authTimeout: 100 });
    const client = await (running as RunningProxy).client();
    client.send({ action: 'authenticate', api_key: 'k' });
    expect(await client.closed).toEqual({ code: 1013, reason: 'auth timeout' });
  });

  test('that gives a key to another user gives its sessions to that one', async () => {
    let owner: KeyVerdict = { userId: 'alice', broker: 'dhan' };
    let asked = 0;
    const verify = () => {
      asked += 1;
      return owner;
    };
    await start({ verify, cacheMs: 200 }, {});
    const client = await (running as RunningProxy).client();
    await authenticate(client, 'k');
    await client.ask({ action: 'subscribe_orders' });
    const told = () => client.ask({ action: 'get_broker_info' });
    owner = { userId: 'alice' };
    await until('it was asked again, twice', () => asked >= 3);
    expect(await told()).toMatchObject({ user_id: 'alice', broker: 'dhan' });
    owner = 'bob';
    await until('it is known', async () => (await told())['user_id'] === 'bob');
    const { proxy } = running as RunningProxy;
    expect([proxy.deliverOrderUpdate('alice', {}), proxy.deliverOrderUpdate('bob', {})]).toEqual([0, 1]);
  });

  test('that takes its time keeps the client’s messages in order', async () => {
    let answer: (user: string) => void = () => undefined;
    await start(() => new Promise((resolve) => (answer = resolve)));
    const client = await (running as RunningProxy).client();
    client.send({ action: 'authenticate', api_key: 'k' });
    client.send({ action: 'subscribe', symbol: 'SBIN', exchange: 'NSE', request_id: 1 });
    client.send({ action: 'get_broker_info' });
    await until('the key is being checked', () => (running as RunningProxy).proxy.getStats().messages.received >= 1);
    answer('dave');
    expect(await client.next()).toMatchObject({ ...accepted, user_id: 'dave' });
    expect(await client.next()).toMatchObject({ type: 'subscribe', request_id: 1 });
    expect(await client.next()).toMatchObject({ type: 'broker_info' });
  });

  test('that revokes a key ends its sessions within the cache time', async () => {
    let valid = true;
    await start({ verify: () => valid, cacheMs: 200 });
    const client = await (running as RunningProxy).client();
    await authenticate(client, 'k');
    valid = false;
    expect(await client.closed).toEqual({ code: 4401, reason: 'key revoked' });
  });
});

describe('figures and prices over HTTP', () => {
  test.each(['/stats', '/snapshot?exchange=NSE&symbol=SBIN'])('%s needs a key where clients need one', async (path) => {
    await start({ keys: ['secret'] });
    const rejection = { status: 401, body: { status: 'error', code: 'AUTHENTICATION_ERROR' } };
    expect(await (running as RunningProxy).get(path)).toMatchObject(rejection);
    expect(await (running as RunningProxy).get(path, { 'x-api-key': 'wrong' })).toMatchObject(rejection);
    expect((await (running as RunningProxy).get(path, { 'x-api-key': 'secret' })).status).not.toBe(401);
  });

  test('a HEAD that asks for a WebSocket needs one too', async () => {
    await start({ keys: ['secret'] });
    const request = httpRequest({
      port: (running as RunningProxy).port,
      host: '127.0.0.1',
      method: 'HEAD',
      path: '/stats',
      headers: { connection: 'Upgrade', upgrade: 'websocket' },
    });
    const [response] = (await once(request.end(), 'response')) as [IncomingMessage];
    expect(response.statusCode).toBe(401);
  });

  test('say so when the key cannot be checked now', async () => {
    await start(() => {
      throw new Error('no database');
    });
    const answer = await (running as RunningProxy).get('/stats', { 'x-api-key': 'any' });
    expect(answer).toMatchObject({ status: 503, body: { status: 'error', code: 'AUTHENTICATION_ERROR' } });
  });

  test('/health needs none', async () => {
    await start({ keys: ['secret'] });
    expect((await (running as RunningProxy).get('/health')).status).toBe(503);
  });
});

test('a key is in no line of the log, at any level', async () => {
  const lines: string[] = [];
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      lines.push(chunk.toString());
      done();
    },
  });
  const key = 'very-secret-key-0123456789';
  await start(
    {
      verify: (candidate) => {
        if (candidate.endsWith('!')) throw new Error('down');
        return candidate === key;
      },
    },
    {
      log: pino({ level: 'trace' }, stream) as never,
    },
  );
  const client = await (running as RunningProxy).client(`/?apikey=x`);
  for (const candidate of [key, `${key}!`, `${key}?`]) await authenticate(client, candidate);
  client.send(`{"action":"authenticate","api_key":"${key}"`);
  await client.settle();
  await (running as RunningProxy).get('/stats', { 'x-api-key': key });
  await (running as RunningProxy).stop();
  expect(lines.length).toBeGreaterThan(0);
  expect(lines.join('')).not.toContain(key);
});

test('keys that cannot be checked, however many, are a few lines of the log', async () => {
  const lines: string[] = [];
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      lines.push(chunk.toString());
      done();
    },
  });
  const verify = (): never => {
    throw new Error('no database');
  };
  await start(verify, { log: pino({ level: 'info' }, stream) as never });
  const client = await (running as RunningProxy).client();
  for (let number = 0; number < 200; number++) client.send({ action: 'authenticate', api_key: `k${number}` });
  await until('all are answered', () => client.received.length === 200);
  const told = lines.filter((line) => line.includes('no database'));
  expect(told.length).toBeGreaterThan(0);
  expect(told.length).toBeLessThan(20);
});
