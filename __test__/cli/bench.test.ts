import { expect, test } from 'vitest';
import { LockFreeRingBuffer } from '../../src/shm/ring-buffer.ts';
import { run } from './running-command.ts';

test('bench measures ring and fan-out, says what it means, and leaves nothing behind', async () => {
  const { code, stdout, stderr } = await run(['bench', '--seconds=0.2', '--clients=3', '--json']);
  expect([code, stderr]).toEqual([0, '']);
  const { machine, figures, verdict } = JSON.parse(stdout);
  expect(machine).toMatch(/Node\.js/);
  expect(figures.map(({ name }: { name: string }) => name)).toEqual([
    'ring latency, reader busy, p50',
    'ring latency, reader busy, p99',
    'ring latency, reader busy, p99.9',
    'ring latency, reader asleep, p50',
    'ring latency, reader asleep, p99',
    'ring latency, reader asleep, p99.9',
    'ring throughput, LTP ticks in batches',
    'publish to socket, 3 clients, 1000 ticks/s, p50',
    'publish to socket, 3 clients, 1000 ticks/s, p99',
    'deliveries to 3 clients',
  ]);
  expect(figures.filter(({ value }: { value: number }) => !(value > 0))).toEqual([]);
  expect(verdict).toHaveLength(3);
  expect(LockFreeRingBuffer.list().filter(({ name }) => name.startsWith('bench-'))).toEqual([]);
});
