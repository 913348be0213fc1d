import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Client, RunningProxy, maskedFrame, until } from './running-proxy.ts';

let running: RunningProxy;
let bystander: Client;

beforeAll(async () => {
  running = await RunningProxy.start();
  bystander = await running.client();
});
afterAll(() => running.stop());

const text = (message: string): Buffer => Buffer.from(message);
const PING = text('{"action":"ping"}');

/** The close code that the proxy ends a connection with. */
async function closeCodeAfter(...chunks: Buffer[]): Promise<number> {
  const socket = await running.rawClient();
  const bytes: Buffer[] = [];
  socket.on('data', (data: Buffer) => bytes.push(data));
  for (const chunk of chunks) socket.write(chunk);
  const closing = (): number | undefined => {
    const all = Buffer.concat(bytes);
    const at = all.indexOf(Buffer.from([0x88]));
    return at >= 0 && all.length >= at + 4 ? all.readUInt16BE(at + 2) : undefined;
  };
  await until('it was closed', () => closing() !== undefined);
  socket.destroy();
  return closing() as number;
}

test.each<[string, number, Buffer[]]>([
  ['a reserved opcode', 1002, [maskedFrame(0x3, PING)]],
  ['reserved bits', 1002, [maskedFrame(0x1, PING, { rsv: 4 })]],
  ['an unmasked frame', 1002, [Buffer.from([0x81, 2, 0x7b, 0x7d])]],
  ['a continuation of nothing', 1002, [maskedFrame(0x0, PING)]],
  ['a message in a fragmented message', 1002, [maskedFrame(0x1, PING, { fin: false }), maskedFrame(0x1, PING)]],
  ['a ping that is too long', 1002, [maskedFrame(0x9, Buffer.alloc(126))]],
  ['a fragmented ping', 1002, [maskedFrame(0x9, PING, { fin: false })]],
  ['text that is no UTF-8', 1007, [maskedFrame(0x1, Buffer.from([0xff, 0xfe]))]],
  ['a message of more than 1 MiB', 1009, [maskedFrame(0x1, Buffer.alloc((1 << 20) + 1, 0x20))]],
  [
    'a message of more than 64 KiB that is no list of symbols',
    1009,
    [maskedFrame(0x1, Buffer.alloc((1 << 16) + 1, 0x20))],
  ],
  [
    'a long message whose action is no subscribe',
    1009,
    [maskedFrame(0x1, text(JSON.stringify({ action: 'ping', symbols: [], _pingId: 'x'.repeat(1 << 16) })))],
  ],
])('%s ends its own connection with %i', async (_what, code, chunks) => {
  expect(await closeCodeAfter(...chunks)).toBe(code);
  expect(await bystander.ask({ action: 'ping' })).toMatchObject({ type: 'pong' });
});

test('broken frames are counted', () => {
  const { refused } = running.proxy.getStats();
  expect(refused.broken_frame).toBeGreaterThanOrEqual(8);
  expect(refused.message_too_big).toBeGreaterThanOrEqual(3);
});

test('a handshake at a URL that is none is answered, and its connection ended', async () => {
  const socket = connect(running.port, '127.0.0.1');
  let answer = '';
  socket.on('data', (data: Buffer) => (answer += data.toString('latin1')));
  socket.write('GET /%zz HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
  let ended = false;
  socket.on('end', () => (ended = true));
  await until('it was ended', () => ended);
  expect(answer).toMatch(/^HTTP\/1.1 400 /);
});

test('a fragmented message with a ping between its fragments is one message', async () => {
  const socket = await running.rawClient();
  const bytes: Buffer[] = [];
  socket.on('data', (data: Buffer) => bytes.push(data));
  socket.write(maskedFrame(0x1, PING.subarray(0, 5), { fin: false }));
  socket.write(maskedFrame(0x9, text('mark')));
  socket.write(maskedFrame(0x0, PING.subarray(5)));
  await until('the answer came', () => Buffer.concat(bytes).includes('"type":"pong"'));
  expect(Buffer.concat(bytes).subarray(0, 6)).toEqual(Buffer.from([0x8a, 4, ...text('mark')]));
  socket.destroy();
});

test('a binary message of JSON is served like text', async () => {
  bystander.webSocket.send(PING, { binary: true });
  expect(await bystander.next()).toMatchObject({ type: 'pong' });
});

test('a list of 3,000 symbols is longer than 64 KiB and is served', async () => {
  const symbols = Array.from({ length: 3_000 }, (_, i) => ({ symbol: `NIFTY28MAR24${20_000 + i}CE`, exchange: 'NFO' }));
  expect(JSON.stringify(symbols).length).toBeGreaterThan(1 << 16);
  const client = await running.client();
  const answer = await client.ask({ action: 'subscribe', symbols, mode: 1 });
  expect(answer).toMatchObject({ type: 'subscribe', status: 'success' });
  expect(answer['subscriptions']).toHaveLength(3_000);
  await client.close();
});

test('garbage instead of a handshake, and connections that vanish, disturb nobody', async () => {
  const garbage = connect(running.port, '127.0.0.1');
  garbage.on('error', () => undefined);
  garbage.resume();
  garbage.end(Buffer.alloc(4_096, 0xfe));
  await once(garbage, 'close');
  for (let i = 0; i < 20; i++) {
    const socket = await running.rawClient();
    socket.write(maskedFrame(0x1, text('{"action":"subscribe","symbol":"SBIN"}')));
    socket.resetAndDestroy();
  }
  await until('they are gone', () => running.proxy.getStats().clients.connected === 1);
  expect(await bystander.ask({ action: 'ping' })).toMatchObject({ type: 'pong' });
  expect(running.proxy.getStats().subscriptions.total).toBe(0);
});
