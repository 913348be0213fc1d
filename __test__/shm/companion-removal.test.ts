import { afterEach, expect, test } from 'vitest';
import { EventPublisher } from '../../src/shm/events.ts';
import { InterestPublisher } from '../../src/shm/interest.ts';
import { SharedMemoryPublisher } from '../../src/shm/publisher.ts';
import { LockFreeRingBuffer } from '../../src/shm/ring-buffer.ts';

const name = `test-companions-${process.pid}`;
const rings = () =>
  LockFreeRingBuffer.list()
    .map((ring) => ring.name)
    .filter((found) => found.startsWith(name))
    .toSorted();

afterEach(() => {
  for (const ring of rings()) LockFreeRingBuffer.unlink(ring);
});

function ringWithCompanions(): SharedMemoryPublisher {
  const publisher = new SharedMemoryPublisher({ name }).start();
  new InterestPublisher({ name }).close();
  new EventPublisher({ name }).close();
  expect(rings()).toEqual([name, `${name}.events`, `${name}.interest`]);
  return publisher;
}

test('a publisher’s cleanup takes the rings beside its own away', () => {
  expect(ringWithCompanions().cleanup()).toBe(true);
  expect(rings()).toEqual([]);
});

test('so does unlinking a ring, by its handle or by its name', () => {
  ringWithCompanions().stop();
  const ring = LockFreeRingBuffer.open(name);
  expect(ring.unlink()).toBe(true);
  ring.close();
  expect(rings()).toEqual([]);
  ringWithCompanions().stop();
  expect(LockFreeRingBuffer.unlink(name)).toBe(true);
  expect(rings()).toEqual([]);
});

test('one that somebody holds stays', () => {
  const publisher = ringWithCompanions();
  const interest = new InterestPublisher({ name });
  publisher.cleanup();
  expect(rings()).toEqual([`${name}.interest`]);
  interest.close();
});
