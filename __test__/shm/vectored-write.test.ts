import { once } from 'node:events';
import net from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { VectoredWrite, canWriteVectored } from '../../src/shm/vectored-write.ts';

const open: (net.Server | net.Socket)[] = [];

/** The descriptor of a server's side, and the client's side of a connection. */
async function connection(): Promise<{ fd: number; served: net.Socket; client: net.Socket }> {
  const server = net.createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = net.connect((server.address() as net.AddressInfo).port, '127.0.0.1');
  const [served] = (await once(server, 'connection')) as [net.Socket];
  open.push(server, client, served);
  const { fd } = (served as unknown as { _handle: { fd: number } })._handle;
  return { fd, served, client };
}

async function read(client: net.Socket, length: number): Promise<string> {
  let text = '';
  for await (const chunk of client.iterator({ destroyOnReturn: false })) {
    text += String(chunk);
    if (text.length >= length) break;
  }
  return text;
}

afterEach(() => {
  for (const handle of open.splice(0)) 'destroy' in handle ? handle.destroy() : handle.close();
});

describe.runIf(canWriteVectored())('a vectored write', () => {
  const arena = Buffer.from('0123456789abcdef');

  test('sends each group its own slices, in order', async () => {
    const [a, b, c] = [await connection(), await connection(), await connection()];
    const write = new VectoredWrite();
    write.group([0, 4, 4, 2, 10, 3], 3, [a.fd, b.fd]);
    write.group([15, 1, 0, 1], 2, [c.fd]);
    expect([...write.send(arena)]).toEqual([9, 9, 2]);
    expect(await read(a.client, 9)).toBe('012345abc');
    expect(await read(b.client, 9)).toBe('012345abc');
    expect(await read(c.client, 2)).toBe('f0');
    expect([...write.send(arena)]).toEqual([]);
  });

  test('sends what the socket takes and says how much that was', async () => {
    const { fd, client } = await connection();
    client.pause();
    const large = Buffer.alloc(16 << 20, 'x');
    const write = new VectoredWrite();
    write.group([0, large.length], 1, [fd]);
    const [sent] = write.send(large);
    expect(sent).toBeGreaterThan(0);
    expect(sent).toBeLessThan(large.length);
    write.group([0, 10], 1, [fd]);
    expect([...write.send(large)]).toEqual([0]);
  });

  test('takes more slices than one system call', async () => {
    const { fd, client } = await connection();
    const slices = Array.from({ length: 3000 }, (_, i) => [(i * 2) % 16, 1]).flat();
    const write = new VectoredWrite();
    write.group(slices, 3000, [fd]);
    expect([...write.send(arena)]).toEqual([3000]);
    expect(await read(client, 3000)).toBe('02468ace'.repeat(375));
  });

  test('tells which descriptor failed and serves the others', async () => {
    const { fd, client } = await connection();
    const write = new VectoredWrite();
    write.group([0, 3], 1, [1_000_000, fd]);
    const [failed, sent] = write.send(arena);
    expect(failed).toBeLessThan(0);
    expect(sent).toBe(3);
    expect(await read(client, 3)).toBe('012');
  });

  test('refuses slices outside the arena', async () => {
    const { fd } = await connection();
    for (const slice of [
      [10, 7],
      [-1, 2],
      [0, -1],
      [2 ** 31 - 1, 1],
    ]) {
      const write = new VectoredWrite();
      write.group(slice, 1, [fd]);
      expect(() => write.send(arena)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }));
    }
  });
});
