import { once } from 'node:events';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type Server, type Socket, createServer } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { KeySocket } from '../../src/proxy/key-socket.ts';
import { keySocketPath } from '../../src/proxy/key-socket-path.ts';
import type { WebSocketProxyOptions } from '../../src/proxy/websocket-proxy.ts';
import { EventPublisher } from '../../src/shm/events.ts';
import { type Client, RunningProxy, until } from './running-proxy.ts';

type Question = { id: number; api_key: string; recheck?: boolean };

/** The socket's side of an adapter host. */
class KeyHost {
  readonly asked: Question[] = [];
  readonly sockets = new Set<Socket>();
  connections = 0;
  readonly #server: Server;
  #answer: (question: Question) => unknown;

  /** When connections came, by the clock of `performance.now`. */
  readonly connectedAt: number[] = [];

  /** @param answer what it says to a question, beside its id; a text goes out as it is, undefined is no answer */
  private constructor(answer: (question: Question) => unknown) {
    this.#answer = answer;
    this.#server = createServer((socket) => {
      this.connections += 1;
      this.connectedAt.push(performance.now());
      this.sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => this.sockets.delete(socket));
      let text = '';
      socket.setEncoding('utf8').on('data', (more: string) => {
        const lines = (text + more).split('\n');
        text = lines.pop() ?? '';
        for (const line of lines) this.#take(socket, JSON.parse(line) as Question);
      });
    });
  }

  static async listen(path: string, answer: (question: Question) => unknown = known): Promise<KeyHost> {
    const host = new KeyHost(answer);
    host.#server.listen(path);
    await once(host.#server, 'listening');
    return host;
  }

  answerWith(answer: (question: Question) => unknown): void {
    this.#answer = answer;
  }

  push(message: object | string): void {
    for (const socket of this.sockets)
      socket.write(`${typeof message === 'string' ? message : JSON.stringify(message)}\n`);
  }

  cutOff(): void {
    for (const socket of this.sockets) socket.destroy();
  }

  async end(): Promise<void> {
    this.#server.close();
    this.cutOff();
    await once(this.#server, 'close');
  }

  #take(socket: Socket, question: Question): void {
    this.asked.push(question);
    const answer = this.#answer(question);
    if (answer === undefined) return;
    socket.write(
      typeof answer === 'string' ? answer : `${JSON.stringify({ id: question.id, ...(answer as object) })}\n`,
    );
  }
}

const fresh = { recheck: false, isWanted: () => true };

const known = ({ api_key: key }: Question): object => ({ user_id: key === 'good' ? 'alice' : null, broker: 'zerodha' });

let folder: string;
let path: string;
let host: KeyHost | undefined;
let running: RunningProxy | undefined;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'key-socket-'));
  path = join(folder, 'ring.sock');
});

afterEach(async () => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
  await running?.stop();
  running = undefined;
  await host?.end();
  host = undefined;
  rmSync(folder, { recursive: true, force: true });
});

async function start(auth: object = {}, options: WebSocketProxyOptions = {}): Promise<RunningProxy> {
  running = await RunningProxy.start({ auth: { socket: path, timeoutMs: 20_000, ...auth }, ...options });
  return running;
}

const authenticate = (client: Client, key: string) => client.ask({ action: 'authenticate', api_key: key });
const unchecked = { status: 'error', message: 'The API key could not be checked; try again' };
const revoked = { code: 4401, reason: 'key revoked' };

describe('keys over the host’s socket', () => {
  test('are those of OpenAlgo’s users, asked once over one connection', async () => {
    host = await KeyHost.listen(path);
    const proxy = await start();
    expect(host.connections).toBe(0);
    const clients = await Promise.all([1, 2, 3].map(() => proxy.client()));
    for (const client of clients) {
      expect(await authenticate(client, 'good')).toMatchObject({
        type: 'auth',
        status: 'success',
        user_id: 'alice',
        broker: 'zerodha',
      });
    }
    expect(await authenticate(await proxy.client(), 'bad')).toMatchObject({ message: 'Invalid API key' });
    expect(host.asked.map(({ api_key: key }) => key)).toEqual(['good', 'bad']);
    expect(host.connections).toBe(1);
    expect((await proxy.get('/stats', { 'x-api-key': 'good' })).status).toBe(200);
    expect((await proxy.get('/stats', { 'x-api-key': 'bad' })).status).toBe(401);
  });

  test('let order updates reach their owner, who is OpenAlgo’s user', async () => {
    host = await KeyHost.listen(path, ({ api_key: key }) => ({ user_id: key }));
    const proxy = await start();
    const [alice, bob] = await Promise.all([proxy.client(), proxy.client()]);
    for (const [client, user] of [
      [alice, 'alice'],
      [bob, 'bob'],
    ] as const) {
      await authenticate(client, user);
      await client.ask({ action: 'subscribe_orders' });
    }
    const events = new EventPublisher({ name: proxy.ring, ownerName: 'zerodha' });
    events.publish({ type: 'order_update', owners: ['alice'], update: { orderid: '7' } });
    expect(await alice.next()).toEqual({ type: 'order_update', user_id: 'alice', orderid: '7' });
    await bob.settle();
    expect(bob.received.filter(({ type }) => type === 'order_update')).toEqual([]);
    events.close();
  });

  test('that change are checked at once: what is revoked ends its sessions, and no other', async () => {
    let valid = ['first', 'second'];
    host = await KeyHost.listen(path, ({ api_key: key }) => ({ user_id: valid.includes(key) ? key : null }));
    const proxy = await start();
    const [first, second] = await Promise.all([proxy.client(), proxy.client()]);
    await authenticate(first, 'first');
    await authenticate(second, 'second');
    valid = ['second'];
    host.push({ changed: true });
    expect(await first.closed).toEqual(revoked);
    expect(await second.ask({ action: 'get_broker_info' })).toMatchObject({ user_id: 'second' });
    // What was refused before is asked anew as well.
    valid = ['first', 'second'];
    host.push({ changed: true });
    await until('both are asked for', () => (host as KeyHost).asked.length >= 4);
    expect(await authenticate(await proxy.client(), 'first')).toMatchObject({ status: 'success' });
  });

  test('that change while they are being checked are checked once more', async () => {
    host = await KeyHost.listen(path, () => undefined);
    const proxy = await start();
    const client = await proxy.client();
    client.send({ action: 'authenticate', api_key: 'k' });
    await until('it is asked', () => (host as KeyHost).asked.length === 1);
    host.push({ changed: true });
    host.answerWith(() => ({ user_id: null }));
    host.push({ id: host.asked[0]?.id, user_id: 'alice' });
    expect(await client.next()).toMatchObject({ message: 'Invalid API key' });
  });

  test('end no session while the host is away, and are checked when it is back', async () => {
    host = await KeyHost.listen(path);
    const proxy = await start();
    const [stays, goes] = await Promise.all([proxy.client(), proxy.client()]);
    host.answerWith(({ api_key: key }) => ({ user_id: key }));
    await authenticate(stays, 'stays');
    await authenticate(goes, 'goes');
    await host.end();
    expect(await stays.ask({ action: 'get_broker_info' })).toMatchObject({ user_id: 'stays' });
    host = await KeyHost.listen(path, ({ api_key: key }) => ({ user_id: key === 'stays' ? key : null }));
    expect(await goes.closed).toEqual(revoked);
    expect(await stays.ask({ action: 'get_broker_info' })).toMatchObject({ user_id: 'stays' });
  });

  test('wait a moment for a host that is starting', async () => {
    const proxy = await start();
    const client = await proxy.client();
    client.send({ action: 'authenticate', api_key: 'good' });
    await until('it is being checked', () => proxy.proxy.getStats().messages.received === 1);
    host = await KeyHost.listen(path);
    expect(await client.next()).toMatchObject({ status: 'success', user_id: 'alice' });
  });

  test.each<[string, (question: Question) => unknown]>([
    ['that cannot check it now', () => ({ error: 'the database is locked' })],
    ['that says nothing of whose it is', () => ({})],
    ['that says what is no name', () => ({ user_id: 7 })],
    ['that says an empty name', () => ({ user_id: '' })],
    ['that sends garbage', () => 'nonsense\n'],
    ['that sends what is no object', () => '[1]\n'],
    ['that sends a line without an end', () => 'x'.repeat(70_000)],
    ['that is slow', () => undefined],
  ])('cannot be checked by a host %s', async (_what, answer) => {
    host = await KeyHost.listen(path, ({ api_key: key }) =>
      key === 'good' ? { user_id: 'alice' } : answer({ id: 1, api_key: key }),
    );
    const proxy = await start({ timeoutMs: 300 });
    const [session, client] = await Promise.all([proxy.client(), proxy.client()]);
    await authenticate(session, 'good');
    expect(await authenticate(client, 'other')).toMatchObject(unchecked);
    expect(await session.ask({ action: 'get_broker_info' })).toMatchObject({ user_id: 'alice' });
    host.answerWith(known);
    expect(await authenticate(await proxy.client(), 'good')).toMatchObject({ status: 'success' });
  });

  test('cannot be checked without a host', async () => {
    const proxy = await start({ timeoutMs: 100 });
    expect(await authenticate(await proxy.client(), 'good')).toMatchObject(unchecked);
    expect((await proxy.get('/stats', { 'x-api-key': 'good' })).status).toBe(503);
  });

  test('get answers to old questions, to none and to many at once right', async () => {
    host = await KeyHost.listen(path, () => undefined);
    const keys = new KeySocket(path, 20_000);
    const verdicts = Promise.all(['a', 'b', 'c'].map((key) => keys.check(key, fresh)));
    await until('all are asked', () => (host as KeyHost).asked.length === 3);
    const [a, b, c] = host.asked.map(({ id }) => id);
    const lines = [
      { id: 99, user_id: 'nobody' },
      { id: 'a', user_id: 'nobody' },
      { id: c, user_id: 'carol' },
      { id: a, user_id: 'alice' },
      { id: a, user_id: null },
      { id: b, user_id: null },
    ];
    host.push(lines.map((line) => JSON.stringify(line)).join('\n'));
    expect(await verdicts).toEqual([{ userId: 'alice' }, undefined, { userId: 'carol' }]);
    keys.close();
  });

  test('are bounded: neither long ones nor very many reach the host', async () => {
    host = await KeyHost.listen(path, () => undefined);
    const keys = new KeySocket(path, 20_000);
    expect(await keys.check('k'.repeat(1_025), fresh)).toBeUndefined();
    const questions = Array.from({ length: 16_385 }, (_, i) => keys.check(`key${i}`, fresh));
    await expect(questions.at(-1)).rejects.toMatchObject({ code: 'ERR_UPSTREAM' });
    keys.close();
    const ended = await Promise.allSettled(questions);
    expect(ended.every(({ status }) => status === 'rejected')).toBe(true);
  });
});

describe('a question', () => {
  const asked = () => host?.asked.map(({ api_key: key }) => key);

  test('that the host would not read is answered without it', async () => {
    host = await KeyHost.listen(path);
    const proxy = await start();
    expect(await authenticate(await proxy.client(), '\u0001'.repeat(1_024))).toMatchObject({
      message: 'Invalid API key',
    });
    expect(host.connections).toBe(0);
    const shorter = '\u0001'.repeat(600);
    expect(await authenticate(await proxy.client(), shorter)).toMatchObject({ message: 'Invalid API key' });
    expect(await authenticate(await proxy.client(), 'good')).toMatchObject({ status: 'success' });
    expect(asked()).toEqual([shorter, 'good']);
  });

  test('is sent twice at most, and leaves the next one alone', async () => {
    host = await KeyHost.listen(path, ({ api_key: key }) => {
      if (key === 'good') return { user_id: 'alice' };
      host?.cutOff();
      return undefined;
    });
    const proxy = await start();
    expect(await authenticate(await proxy.client(), 'poison')).toMatchObject(unchecked);
    expect(await authenticate(await proxy.client(), 'good')).toMatchObject({ status: 'success' });
    expect(asked()).toEqual(['poison', 'poison', 'good']);
  });

  test('has one deadline, whatever becomes of the connection', async () => {
    host = await KeyHost.listen(path, () => undefined);
    const keys = new KeySocket(path, 20_000);
    const from = performance.now();
    const answer = keys.check('slow', fresh).catch((error: unknown) => error);
    await until('it is asked', () => host?.asked.length === 1);
    const now = performance.now.bind(performance);
    vi.spyOn(performance, 'now').mockImplementation(() => now() + 19_000);
    host.cutOff();
    await until('it is asked again', () => host?.asked.length === 2);
    expect(await answer).toMatchObject({
      code: 'ERR_UPSTREAM',
      message: expect.stringContaining('in time') as unknown,
    });
    // A deadline that begins anew with the connection would be over after 39 s.
    expect(performance.now() - from).toBeLessThan(30_000);
    keys.close();
  });

  test('that is answered well ends the wait between attempts to connect; a connection alone does not', async () => {
    host = await KeyHost.listen(path, () => {
      host?.cutOff();
      return undefined;
    });
    const keys = new KeySocket(path, 20_000);
    keys.onReconnected(() => void keys.check('live', fresh).catch(() => undefined));
    await keys.check('poison', fresh).catch(() => undefined);
    await until('it has tried often', () => (host?.connections ?? 0) >= 6);
    const [before = 0, last = 0] = host.connectedAt.slice(4);
    expect(last - before).toBeGreaterThan(400);
    host.answerWith(known);
    expect(await keys.check('good', fresh)).toMatchObject({ userId: 'alice' });
    const { connections } = host;
    const lostAt = performance.now();
    host.cutOff();
    await until('it is back', () => (host?.connections ?? 0) > connections);
    expect(performance.now() - lostAt).toBeLessThan(1_000);
    keys.close();
  });

  test.each(['close', 'terminate'] as const)('of a client that has gone by %s is never sent', async (how) => {
    const proxy = await start();
    const gone = await proxy.client();
    gone.send({ action: 'authenticate', api_key: 'gone' });
    await until('it is being checked', () => proxy.proxy.getStats().messages.received === 1);
    const from = performance.now();
    gone.webSocket[how]();
    await until('it has gone', () => proxy.proxy.getStats().clients.connected === 0);
    // Not only once the question has waited too long.
    expect(performance.now() - from).toBeLessThan(1_500);
    host = await KeyHost.listen(path);
    expect(await authenticate(await proxy.client(), 'good')).toMatchObject({ status: 'success' });
    expect(asked()).toEqual(['good']);
  });

  test('of a live session says so, and goes before those of new clients', async () => {
    host = await KeyHost.listen(path, ({ api_key: key }) => ({ user_id: key }));
    const proxy = await start();
    const [session, client] = await Promise.all([proxy.client(), proxy.client()]);
    await authenticate(session, 'live');
    expect(host.asked[0]).toEqual({ id: 1, api_key: 'live' });
    await host.end();
    client.send({ action: 'authenticate', api_key: 'new' });
    await until('it waits', () => proxy.proxy.getStats().messages.received === 2);
    host = await KeyHost.listen(path, ({ api_key: key }) => ({ user_id: key }));
    expect(await client.next()).toMatchObject({ user_id: 'new' });
    expect(host.asked).toMatchObject([{ api_key: 'live', recheck: true }, { api_key: 'new' }]);
    expect(host.asked[1]).not.toHaveProperty('recheck');
  });
});

describe('a key that was accepted a moment ago', () => {
  const open = async (proxy: RunningProxy, key: string): Promise<Client> => {
    const client = await proxy.client();
    expect(await authenticate(client, key)).toMatchObject({ status: 'success' });
    return client;
  };
  const all = ({ api_key: key }: Question): object => ({ user_id: key });

  test.each(['a live session', 'no session'])(
    'works while the host is away and starts again, with %s',
    async (which) => {
      host = await KeyHost.listen(path, all);
      const proxy = await start();
      const first = await open(proxy, 'good');
      await open(proxy, 'live');
      if (which === 'no session') await first.close();
      await host.end();
      await open(proxy, 'good');
      host = await KeyHost.listen(path, () => undefined);
      await until('the host is back', () => host?.asked.some(({ api_key: key }) => key === 'live') === true);
      await open(proxy, 'good');
    },
  );

  test('and was revoked while the host was away is found out once it is used', async () => {
    host = await KeyHost.listen(path, all);
    const proxy = await start({ cacheMs: 3_600_000 });
    await (await open(proxy, 'good')).close();
    await open(proxy, 'live');
    await host.end();
    host = await KeyHost.listen(path, ({ api_key: key }) => ({ user_id: key === 'live' ? key : null }));
    await until('the host is back', () => host?.asked.length === 1);
    const client = await open(proxy, 'good');
    expect(await client.closed).toEqual(revoked);
    expect(await authenticate(await proxy.client(), 'good')).toMatchObject({ message: 'Invalid API key' });
  });

  test('is asked for anew once the host says that keys have changed', async () => {
    host = await KeyHost.listen(path, all);
    const proxy = await start();
    await (await open(proxy, 'good')).close();
    const live = await open(proxy, 'live');
    host.answerWith(() => ({ user_id: null }));
    host.push({ changed: true });
    expect(await live.closed).toEqual(revoked);
    expect(await authenticate(await proxy.client(), 'good')).toMatchObject({ message: 'Invalid API key' });
  });

  test('does not keep one that was refused from being accepted after the host was away', async () => {
    host = await KeyHost.listen(path);
    const proxy = await start();
    expect(await authenticate(await proxy.client(), 'made meanwhile')).toMatchObject({ message: 'Invalid API key' });
    await open(proxy, 'good');
    await host.end();
    host = await KeyHost.listen(path, all);
    await until('the host is back', () => host?.asked.length === 1);
    await open(proxy, 'made meanwhile');
  });
});

describe('many guesses', () => {
  const limited = {
    type: 'auth',
    status: 'error',
    code: 'RATE_LIMIT_EXCEEDED',
    message: 'Too many API keys are being checked; try again',
  };
  const from = (address: string) => ({ headers: { 'x-forwarded-for': address } });
  const refusedChecks = (): number | undefined => running?.proxy.getStats().refused.too_many_key_checks;

  async function guess(count: number, address?: string): Promise<Client[]> {
    const before = host?.asked.length ?? 0;
    const clients = await Promise.all(
      Array.from({ length: count }, () =>
        (running as RunningProxy).client('/', address === undefined ? {} : from(address)),
      ),
    );
    clients.forEach((client, i) => client.send({ action: 'authenticate', api_key: `${address ?? ''}guess${i}` }));
    await until('they are asked', () => (host?.asked.length ?? 0) === before + count);
    return clients;
  }

  test('of one address are bounded and wait, and another address does not notice', async () => {
    host = await KeyHost.listen(path, (question) => (question.api_key === 'good' ? known(question) : undefined));
    const proxy = await start({}, { server: { trustProxy: true } });
    const clients = await guess(2, '10.0.0.1');
    const [third, other] = [await proxy.client('/', from('10.0.0.1')), await proxy.client('/', from('10.0.0.2'))];
    third.send({ action: 'authenticate', api_key: 'third' });
    expect(await authenticate(other, 'good')).toMatchObject({ status: 'success' });
    // A key that is known already costs the host nothing.
    expect(await authenticate(await proxy.client('/', from('10.0.0.1')), 'good')).toMatchObject({ status: 'success' });
    expect(host.asked.map((question) => question.api_key)).not.toContain('third');
    host.answerWith(known);
    host.push({ id: host.asked[0]?.id, user_id: null });
    await Promise.race(clients.map((client) => client.next()));
    expect(await third.next()).toMatchObject({ message: 'Invalid API key' });
  });

  test('that wait for too long, or are too many, are refused, over HTTP too', async () => {
    host = await KeyHost.listen(path, () => undefined);
    const proxy = await start({}, { server: { trustProxy: true } });
    const clients = await guess(2, '10.0.0.1');
    for (let number = 0; number < 17; number++) clients.push(await proxy.client('/', from('10.0.0.1')));
    clients.slice(2).forEach((client, i) => client.send({ action: 'authenticate', api_key: `more${i}` }));
    expect(await Promise.race(clients.map((client) => client.next()))).toEqual(limited);
    const answer = await proxy.get('/stats', { 'x-api-key': 'sixth', 'x-forwarded-for': '10.0.0.1' });
    expect(answer).toMatchObject({ status: 429, body: { status: 'error', code: 'RATE_LIMIT_EXCEEDED' } });
    expect(refusedChecks()).toBe(2);
    await until('all that wait were refused', () => refusedChecks() === 18);
    expect(host.asked).toHaveLength(2);
  });

  test('of one key are one check', async () => {
    host = await KeyHost.listen(path, () => undefined);
    const proxy = await start({}, { server: { trustProxy: true } });
    const clients = await Promise.all(Array.from({ length: 6 }, () => proxy.client('/', from('10.0.0.1'))));
    for (const client of clients) client.send({ action: 'authenticate', api_key: 'good' });
    await until('all are there', () => proxy.proxy.getStats().messages.received === 6);
    host.push({ id: host.asked[0]?.id, user_id: 'alice' });
    for (const client of clients) expect(await client.next()).toMatchObject({ status: 'success' });
    expect(host.asked).toHaveLength(1);
  });

  test('of all addresses together are bounded, and live sessions do not notice', async () => {
    host = await KeyHost.listen(path);
    const proxy = await start();
    const session = await proxy.client();
    await authenticate(session, 'good');
    host.answerWith(() => undefined);
    await guess(6);
    expect(await authenticate(await proxy.client(), 'one more')).toEqual(limited);
    expect(await authenticate(await proxy.client(), 'good')).toMatchObject({ status: 'success' });
    host.answerWith(({ recheck }) => (recheck ? { user_id: null } : undefined));
    host.push({ changed: true });
    expect(await session.closed).toEqual(revoked);
    expect(refusedChecks()).toBe(1);
  });

  test('of a client that goes at once still count until the host has answered', async () => {
    host = await KeyHost.listen(path, () => undefined);
    const proxy = await start({}, { server: { trustProxy: true } });
    for (const client of await guess(2, '10.0.0.1')) client.webSocket.terminate();
    await until('they have gone', () => proxy.proxy.getStats().clients.connected === 0);
    expect(await authenticate(await proxy.client('/', from('10.0.0.1')), 'fifth')).toEqual(limited);
  });
});

describe.skipIf(process.platform === 'win32')('a socket', () => {
  async function refusal(): Promise<unknown> {
    const keys = new KeySocket(path, 20_000);
    try {
      return await keys.check('good', fresh).catch((error: unknown) => error);
    } finally {
      keys.close();
    }
  }

  test.each([0o770, 0o707, 0o777, 0o1777])('in a folder of mode %o is refused', async (mode) => {
    host = await KeyHost.listen(path);
    chmodSync(folder, mode);
    expect(await refusal()).toMatchObject({
      code: 'ERR_SHM_PERMISSION',
      message: expect.stringMatching(/others may write into .*chmod 700/) as unknown,
    });
    expect(host.connections).toBe(0);
  });

  test('that is a file is refused', async () => {
    writeFileSync(path, '');
    expect(await refusal()).toMatchObject({
      code: 'ERR_SHM_PERMISSION',
      message: expect.stringContaining('no socket'),
    });
  });

  test.skipIf(process.geteuid?.() !== 0)('of another user is refused, and so is that user’s folder', async () => {
    host = await KeyHost.listen(path);
    chownSync(path, 65_534, 65_534);
    const isOthers = {
      code: 'ERR_SHM_PERMISSION',
      message: expect.stringMatching(/belongs to user 65534.*same user/) as unknown,
    };
    expect(await refusal()).toMatchObject(isOthers);
    chownSync(path, 0, 0);
    chownSync(folder, 65_534, 65_534);
    expect(await refusal()).toMatchObject(isOthers);
    expect(host.connections).toBe(0);
  });

  test('that is refused lets nobody in, and is taken once it is right', async () => {
    host = await KeyHost.listen(path);
    chmodSync(folder, 0o777);
    const proxy = await start();
    expect(await authenticate(await proxy.client(), 'good')).toMatchObject(unchecked);
    chmodSync(folder, 0o700);
    expect(await authenticate(await proxy.client(), 'good')).toMatchObject({ status: 'success' });
  });

  test('with a path that is too long is an error at the start', async () => {
    const long = join(folder, 'x'.repeat(108));
    await expect(start({ socket: long })).rejects.toMatchObject({
      code: 'ERR_INVALID_OPTION',
      message: expect.stringMatching(/bytes long.*at most 107/) as unknown,
    });
  });

  test.each([5, '', false])('cannot be %j', async (socket) => {
    await expect(start({ socket })).rejects.toMatchObject({ code: 'ERR_INVALID_OPTION' });
  });

  test('of a ring has the ring’s name, in a folder of the user', async () => {
    vi.stubEnv('XDG_RUNTIME_DIR', folder);
    expect(keySocketPath('demo')).toBe(join(folder, 'openalgo-shm', 'demo.sock'));
    expect(keySocketPath()).toBe(join(folder, 'openalgo-shm', 'ws_proxy_buffer.sock'));
    const own = join(folder, 'openalgo-shm');
    mkdirSync(own, { mode: 0o700 });
    const proxy = await start({ socket: true });
    host = await KeyHost.listen(join(own, `${proxy.ring}.sock`));
    expect(await authenticate(await proxy.client(), 'good')).toMatchObject({ user_id: 'alice' });
    vi.stubEnv('XDG_RUNTIME_DIR', '');
    vi.stubEnv('TMPDIR', '/var/tmp');
    expect(keySocketPath('demo')).toBe(`/var/tmp/openalgo-shm-${userInfo().uid}/demo.sock`);
    vi.stubEnv('TMPDIR', undefined);
    expect(keySocketPath('demo')).toBe(`/tmp/openalgo-shm-${userInfo().uid}/demo.sock`);
  });
});
