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

type Question = { id: number; api_key: string };

/** The socket's side of an adapter host. */
class KeyHost {
  readonly asked: Question[] = [];
  readonly sockets = new Set<Socket>();
  connections = 0;
  readonly #server: Server;
  #answer: (question: Question) => unknown;

  /** @param answer what it says to a question, beside its id; a text goes out as it is, undefined is no answer */
  private constructor(answer: (question: Question) => unknown) {
    this.#answer = answer;
    this.#server = createServer((socket) => {
      this.connections += 1;
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

  async end(): Promise<void> {
    this.#server.close();
    for (const socket of this.sockets) socket.destroy();
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
    const verdicts = Promise.all(['a', 'b', 'c'].map((key) => keys.check(key)));
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
    expect(await keys.check('k'.repeat(1_025))).toBeUndefined();
    const questions = Array.from({ length: 16_385 }, (_, i) => keys.check(`key${i}`));
    await expect(questions.at(-1)).rejects.toMatchObject({ code: 'ERR_UPSTREAM' });
    keys.close();
    const ended = await Promise.allSettled(questions);
    expect(ended.every(({ status }) => status === 'rejected')).toBe(true);
  });
});

describe.skipIf(process.platform === 'win32')('a socket', () => {
  async function refusal(): Promise<unknown> {
    const keys = new KeySocket(path, 20_000);
    try {
      return await keys.check('good').catch((error: unknown) => error);
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
