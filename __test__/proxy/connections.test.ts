import { once } from 'node:events';
import { type Socket, connect } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { addressGroup } from '../../src/proxy/addresses.ts';
import { certificate, hasOpenSsl } from './certificate.ts';
import { RunningProxy, until } from './running-proxy.ts';

let running: RunningProxy;
const sockets: Socket[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await running?.stop();
});

/** A connection that has sent this and no more; `closed` once the proxy has ended it. */
async function unfinished(text = ''): Promise<{ socket: Socket; closed: Promise<string> }> {
  const socket = connect(running.port, '127.0.0.1');
  sockets.push(socket);
  let received = '';
  socket.setEncoding('utf8').on('data', (data: string) => (received += data));
  socket.on('error', () => undefined);
  const closed = new Promise<string>((resolve) => socket.once('close', () => resolve(received)));
  await once(socket, 'connect');
  socket.write(text);
  return { socket, closed };
}

const refused = () => running.proxy.getStats().refused;

describe('connections that are no clients', () => {
  test.each([
    '',
    'GET / HTTP/1.1\r\nHost: x\r\nUpgrade: webso',
    'POST /stats HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n',
  ])('are bounded for each address when they have sent %j, and make room when they go', async (text) => {
    running = await RunningProxy.start({ limits: { connectionsPerAddress: 5 }, server: { requestTimeout: 60_000 } });
    const first = await unfinished(text);
    for (let count = 1; count < 5; count++) await unfinished(text);
    const beyond = await unfinished(text);
    expect(await beyond.closed).toBe('');
    expect(refused().too_many_connections).toBe(1);
    first.socket.destroy();
    await until('there is room again', async () => {
      const client = await running.client().catch(() => undefined);
      return client !== undefined;
    });
  });

  test('count no more once they are clients, and those that were refused as clients still do', async () => {
    running = await RunningProxy.start({ limits: { connectionsPerAddress: 2, clients: 4 } });
    for (let count = 0; count < 4; count++) await running.client();
    for (let count = 0; count < 2; count++) await running.rawClient();
    expect(refused()).toMatchObject({ too_many_connections: 0, too_many_clients: 2 });
    const beyond = await unfinished();
    expect(await beyond.closed).toBe('');
    expect(refused().too_many_connections).toBe(1);
  });

  test('of this machine may be as many as clients: behind a local reverse proxy all have its address', async () => {
    running = await RunningProxy.start({ limits: { clients: 150 } });
    for (let count = 0; count < 150; count++) await unfinished();
    expect(await (await unfinished()).closed).toBe('');
    expect(refused().too_many_connections).toBe(1);
  });

  test.skipIf(!hasOpenSsl)('with TLS count from the first byte on, and no more once they are clients', async () => {
    running = await RunningProxy.start({ limits: { connectionsPerAddress: 2 }, server: { https: certificate() } });
    for (let count = 0; count < 4; count++) await running.client('/', { rejectUnauthorized: false });
    for (let count = 0; count < 2; count++) await unfinished();
    expect(await (await unfinished()).closed).toBe('');
    expect(refused().too_many_connections).toBe(1);
  });
});

describe('a request that does not end', () => {
  test.each([
    ['in its body', 'POST /stats HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc'],
    ['in its head', 'GET /health HTTP/1.1\r\nHost: x\r\n'],
    ['before it begins', ''],
  ])('%s is ended, and counted', async (_where, text) => {
    running = await RunningProxy.start({ server: { requestTimeout: 200 } });
    const client = await running.client();
    const { closed } = await unfinished(text);
    expect(await closed).toContain('408');
    expect(refused().slow_request).toBe(1);
    expect(await client.ask({ action: 'ping' })).toMatchObject({ type: 'pong' });
  });
});

test.each([
  ['192.168.1.2', '192.168.1.2'],
  ['::ffff:192.168.1.2', '192.168.1.2'],
  ['::1', '::1'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:0DB8:1:2::9', '2001:db8:1:2::/64'],
  ['2001:db8::5', '2001:db8:0:0::/64'],
  ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  ['no address', 'no address'],
])('the address %s counts as %s', (address, group) => {
  expect(addressGroup(address)).toBe(group);
});
