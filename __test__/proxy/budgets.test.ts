import type { Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { maskedFrame, type Received, RunningProxy, until } from './running-proxy.ts';

let running: RunningProxy;
afterEach(() => running.stop());

const invented = (count: number, name = 'X') =>
  Array.from({ length: count }, (_, index) => ({ exchange: 'NSE', symbol: `${name}${index}` }));
const linesOf = (answer: Received) => answer['subscriptions'] as { symbol: string; status: string; message?: string }[];

describe('a long list', () => {
  test('is answered once for equal entries, and brings their last value once', async () => {
    running = await RunningProxy.start();
    const publisher = running.publisher();
    publisher.publishMarketData('SBIN', { ltp: 1 });
    await until('it was read', () => running.proxy.getStats().threads[0]!.messages_received === 1);
    const client = await running.client();
    const symbols = Array.from({ length: 15_000 }, () => ({ exchange: 'NSE', symbol: '*' }));
    const answer = await client.ask({ action: 'subscribe', symbols, mode: 1 });
    expect(linesOf(answer)).toMatchObject([{ symbol: '*', status: 'success' }]);
    await client.settle();
    expect(client.ticks()).toHaveLength(1);
    client.send({ action: 'unsubscribe', symbols });
    expect((await client.nextOf('unsubscribe'))['successful']).toHaveLength(1);
  });

  test('lets other clients be answered meanwhile, and keeps the order of its own messages', async () => {
    running = await RunningProxy.start({ limits: { unknownTopicsPerClient: 20_000 } });
    const [long, other] = [await running.client(), await running.client()];
    long.send({ action: 'subscribe', symbols: invented(9_000), mode: 1 });
    long.send({ action: 'ping', _pingId: 'behind' });
    long.send({ action: 'unsubscribe', symbols: invented(9_000) });
    await until('the list is being served', () => running.proxy.getStats().messages.received > 0);
    await other.ask({ action: 'ping' });
    expect((await long.next())['type']).toBe('subscribe');
    expect((await long.next())['_pingId']).toBe('behind');
    expect((await long.next())['type']).toBe('unsubscribe');
    expect(running.proxy.getStats().subscriptions.total).toBe(0);
  });

  test('of a client that goes meanwhile leaves nothing behind', async () => {
    running = await RunningProxy.start();
    const client = await running.client();
    client.send({ action: 'subscribe', symbols: invented(4_000), mode: 1 });
    await until('it is read', () => running.proxy.getStats().messages.received === 1);
    client.webSocket.terminate();
    await until('it has gone', () => running.proxy.getStats().clients.connected === 0);
    expect(running.proxy.getStats().subscriptions).toMatchObject({ total: 0, topics: 0 });
  });
});

test('more work than its share is refused with the limit and the time, costs nobody else, and passes', async () => {
  running = await RunningProxy.start({ limits: { entriesPerSecond: 1_000 } });
  const [greedy, other] = [await running.client(), await running.client()];
  const symbols = invented(1_000);
  for (let round = 0; round < 20; round++) {
    greedy.send({ action: round % 2 === 0 ? 'subscribe' : 'unsubscribe', symbols, mode: 1, request_id: round });
  }
  await until('all are answered', () => greedy.received.length >= 20);
  const refused = greedy.received.filter(({ type }) => type === 'error');
  expect(refused.length).toBeGreaterThan(0);
  expect(refused[0]).toMatchObject({
    code: 'RATE_LIMIT_EXCEEDED',
    message: expect.stringMatching(/^More than 1000 entries and last values in a second; try again in \d+ ms$/),
  });
  expect(running.proxy.getStats().refused.work_budget).toBe(refused.length);
  expect(greedy.received.map(({ request_id: id }) => id)).toEqual(Array.from({ length: 20 }, (_, round) => round));
  expect(await other.ask({ action: 'subscribe', symbols: invented(10), mode: 1 })).toMatchObject({ status: 'success' });
  const waitMs = Number(/(\d+) ms$/.exec(String(refused.at(-1)!['message']))![1]);
  await new Promise((resolve) => setTimeout(resolve, waitMs));
  greedy.received.length = 0;
  greedy.send({ action: 'unsubscribe_all' });
  await until('it is answered', () => greedy.received.length === 1);
  expect(greedy.received).toMatchObject([{ type: 'unsubscribe', status: 'success' }]);
});

test('what is read costs its share, whatever is in it, and is not refused for what itself costs', async () => {
  running = await RunningProxy.start({ limits: { entriesPerSecond: 100 } });
  const client = await running.client();
  // No entry of these counts as one.
  const message = { action: 'subscribe', symbols: Array.from({ length: 100_000 }, () => ({})), mode: 1 };
  client.send(message);
  expect(await client.next()).toMatchObject({ type: 'subscribe', status: 'success' });
  client.send(message);
  expect(await client.next()).toMatchObject({ type: 'error', code: 'RATE_LIMIT_EXCEEDED' });
});

test('names that were left count no more', async () => {
  running = await RunningProxy.start({ limits: { unknownTopicsPerClient: 10 } });
  const client = await running.client();
  for (const name of ['A', 'B', 'C']) {
    const symbols = invented(9, name);
    expect(await client.ask({ action: 'subscribe', symbols, mode: 1 })).toMatchObject({ status: 'success' });
    expect(await client.ask({ action: 'unsubscribe', symbols })).toMatchObject({ status: 'success' });
  }
});

test('names that never tick have a quota for each client, and those that tick count no more', async () => {
  running = await RunningProxy.start({ limits: { unknownTopicsPerClient: 10 } });
  const publisher = running.publisher();
  const client = await running.client();
  const answer = await client.ask({ action: 'subscribe', symbols: invented(12), mode: 1 });
  const refusal =
    'More than 10 instruments that have never ticked, or too many of all clients; unsubscribe some, or try again later';
  expect(linesOf(answer).map(({ status, message }) => message ?? status)).toEqual([
    ...Array<string>(10).fill('success'),
    refusal,
    refusal,
  ]);
  expect(running.proxy.getStats().refused.too_many_unknown_topics).toBe(2);
  const other = await running.client();
  expect(await other.ask({ action: 'subscribe', symbols: invented(3, 'Y'), mode: 1 })).toMatchObject({
    status: 'success',
  });
  for (const { symbol } of invented(4)) publisher.publishMarketData(symbol, { ltp: 1 });
  await until('they have ticked', () => client.ticks().length === 4);
  client.received.length = 0;
  client.send({ action: 'subscribe', symbols: invented(5, 'Z'), mode: 1 });
  await until('it is answered', () => client.received.length > 0);
  expect(linesOf(client.received[0]!).map(({ status }) => status)).toEqual([
    ...Array<string>(4).fill('success'),
    'error',
  ]);
});

/** The close code that comes. */
function closeCode(socket: Socket): Promise<number> {
  return new Promise((resolve) => {
    let all = Buffer.alloc(0);
    socket.on('data', (data) => {
      all = Buffer.concat([all, data]);
      const at = all.indexOf(0x88);
      if (at >= 0 && all.length >= at + 4) resolve(all.readUInt16BE(at + 2));
    });
    socket.on('close', () => resolve(1006));
  });
}

describe('very many short messages in one read', () => {
  const messages = Buffer.concat(Array.from({ length: 3_000 }, () => maskedFrame(1, Buffer.from('1'))));

  test('of a client without a key do not wait in memory', async () => {
    running = await RunningProxy.start({ auth: { keys: ['secret'] } });
    const socket = await running.rawClient();
    const code = closeCode(socket);
    socket.write(messages);
    expect(await code).toBe(1008);
    expect(running.proxy.getStats().refused.not_authenticated).toBe(1);
  });

  test('wait for the check of the key before them, and are all answered', async () => {
    let answer: (user: string) => void = () => undefined;
    running = await RunningProxy.start({ auth: () => new Promise<string>((resolve) => (answer = resolve)) });
    const socket = await running.rawClient();
    let text = '';
    socket.setEncoding('latin1').on('data', (data: string) => (text += data));
    const frameOf = (message: object) => maskedFrame(1, Buffer.from(JSON.stringify(message)));
    const asked = Array.from({ length: 1_000 }, () => frameOf({ action: 'get_broker_info' }));
    // In one write, so that they come in one read.
    socket.write(Buffer.concat([frameOf({ action: 'authenticate', api_key: 'k' }), ...asked]));
    await until('they are there', () => running.proxy.getStats().messages.received > 1);
    answer('alice');
    await until('all are answered', () => text.split('"type":"broker_info","status":"success"').length === 1_001);
    socket.destroy();
  });
});

describe('messages that begin and do not end', () => {
  const begin = async (bytes: number): Promise<{ socket: Socket; code: Promise<number> }> => {
    const socket = await running.rawClient();
    const code = closeCode(socket);
    socket.write(maskedFrame(1, Buffer.alloc(bytes, 'x'), { fin: false }));
    return { socket, code };
  };
  test('are bounded for a client without a key', async () => {
    running = await RunningProxy.start({ auth: { keys: ['a-secret-key-of-length'] } });
    const clients = [await begin(20_000), await begin(900_000)];
    expect(await Promise.all(clients.map(({ code }) => code))).toEqual([1009, 1009]);
    expect(running.proxy.getStats().refused.message_too_big).toBe(2);
  });

  test.each<[string, Buffer]>([
    ['a message', maskedFrame(1, Buffer.from('{"action":"ping"}'))],
    ['pings', Buffer.concat(Array.from({ length: 40 }, () => maskedFrame(9, Buffer.alloc(100, 'p'))))],
  ])('are bounded for a client without a key, whatever is hidden behind %s', async (_what, before) => {
    running = await RunningProxy.start({ auth: { keys: ['a-secret-key-of-length'] } });
    const socket = await running.rawClient();
    const code = closeCode(socket);
    const ping = maskedFrame(1, Buffer.from('{"action":"ping"}'));
    const unfinished = maskedFrame(1, Buffer.alloc(60_000, 'x'), { fin: false });
    // In one read an end and a beginning, then a little more.
    socket.write(Buffer.concat([ping, before, unfinished.subarray(0, 15_000)]));
    await until('it is read', () => running.proxy.getStats().messages.received > 0);
    await new Promise((resolve) => setTimeout(resolve, 50));
    socket.write(unfinished.subarray(15_000, 18_000));
    expect(await code).toBe(1009);
    expect(running.proxy.getStats().refused.message_too_big).toBe(1);
  });

  test('are waited for where the key before them is being checked', async () => {
    let answer: (user: string) => void = () => undefined;
    running = await RunningProxy.start({ auth: () => new Promise<string>((resolve) => (answer = resolve)) });
    const client = await running.client();
    client.send({ action: 'authenticate', api_key: 'k' });
    client.send({ action: 'subscribe', symbols: invented(9_000), mode: 1 });
    await until('the key is being checked', () => running.proxy.getStats().messages.received === 1);
    await new Promise((resolve) => setTimeout(resolve, 50));
    answer('alice');
    expect(await client.next()).toMatchObject({ type: 'auth', status: 'success' });
    expect(await client.next()).toMatchObject({ type: 'subscribe', status: 'success' });
  });

  test('are bounded for all clients together', async () => {
    running = await RunningProxy.start();
    const clients: Awaited<ReturnType<typeof begin>>[] = [];
    for (let count = 0; count < 40; count++) clients.push(await begin(1_000_000));
    const codes: number[] = [];
    for (const { code } of clients) void code.then((heard) => codes.push(heard));
    const refused = (): number => running.proxy.getStats().refused.unfinished_message;
    await until('some are refused, and hear why', () => refused() >= 20 && codes.length === refused());
    expect(new Set(codes)).toEqual(new Set([1013]));
    expect(codes.length).toBeLessThan(clients.length);
    // Those that hold the room lose it after a second to whoever comes.
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    const list = invented(4_000).map((entry) => ({ ...entry, note: 'x'.repeat(150) }));
    const newcomer = await running.client();
    expect(await newcomer.ask({ action: 'subscribe', symbols: list, mode: 1 })).toMatchObject({ status: 'success' });
    newcomer.webSocket.close();
    for (const { socket } of clients) socket.destroy();
    // What they held is free again.
    await until('they have gone', () => running.proxy.getStats().clients.connected === 0);
    const client = await running.client();
    const symbols = invented(4_000).map((entry) => ({ ...entry, note: 'x'.repeat(150) }));
    expect(await client.ask({ action: 'subscribe', symbols, mode: 1 })).toMatchObject({ status: 'success' });
  });

  test('that end after all are served, in whatever pieces they come', async () => {
    running = await RunningProxy.start();
    const socket = await running.rawClient();
    const message = Buffer.from(JSON.stringify({ action: 'subscribe', symbols: invented(2_000), mode: 1 }));
    const whole = maskedFrame(1, message);
    for (let at = 0; at < whole.length; at += 10_000) {
      socket.write(whole.subarray(at, at + 10_000));
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    await until('it is served', () => running.proxy.getStats().subscriptions.total === 2_000);
    socket.destroy();
  });
});

test('control frames add up to no unfinished message, however many there are, and hide none', async () => {
  running = await RunningProxy.start();
  const socket = await running.rawClient();
  let closed = false;
  socket.on('close', () => (closed = true));
  socket.resume();
  const ping = maskedFrame(9, Buffer.alloc(100, 'p'));
  for (let round = 0; round < 20; round++) {
    for (let i = 0; i < 20; i++) socket.write(ping);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  socket.write(maskedFrame(1, Buffer.from('{"action":"ping"}')));
  await until('it is served', () => running.proxy.getStats().messages.received === 1);
  expect(closed).toBe(false);
  const { refused } = running.proxy.getStats();
  expect([refused.unfinished_message, refused.message_too_big]).toEqual([0, 0]);
  socket.destroy();
});
