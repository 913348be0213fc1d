import { existsSync } from 'node:fs';
import { afterEach, describe, expect, test } from 'vitest';
import { EventPublisher, EventReader } from '../../src/shm/events.ts';
import { InterestPublisher } from '../../src/shm/interest.ts';
import { FORMAT_VERSION, LockFreeRingBuffer } from '../../src/shm/ring-buffer.ts';
import { leaveOlderSegment, setFormatVersion } from './older-segment.ts';
import { drain, TestRing } from './test-ring.ts';

const ring = new TestRing('format-version');
const { name } = ring;
afterEach(() => ring.end());

const found = () => LockFreeRingBuffer.list().find((segment) => segment.name === name);

test('a ring has the version of this package', () => {
  ring.publisher();
  expect(FORMAT_VERSION).toBe(4);
  expect(found()).toMatchObject({ version: FORMAT_VERSION, inUse: true });
});

describe.runIf(existsSync('/dev/shm'))('a segment of another format version', () => {
  test.each<[string, () => unknown]>([
    ['a publisher', () => ring.publisher()],
    ['a subscriber', () => ring.subscriber()],
    ['a subscriber that creates none', () => ring.subscriber({ create: false })],
    ['a ring that is created', () => new LockFreeRingBuffer({ name })],
    ['a ring that is opened', () => LockFreeRingBuffer.open(name)],
  ])('is refused to %s, with both versions and what to do', (_, open) => {
    for (const version of [FORMAT_VERSION - 1, FORMAT_VERSION + 1]) {
      leaveOlderSegment(name, version);
      expect(open).toThrow(
        expect.objectContaining({
          code: 'ERR_SHM_VERSION',
          message: expect.stringMatching(
            new RegExp(`format version ${version}, .*${FORMAT_VERSION}.*openalgo-shm cleanup`),
          ),
        }),
      );
      LockFreeRingBuffer.unlink(name);
    }
  });

  test.each<[string, (options: { name: string }) => unknown]>([
    ['interest', (options) => new InterestPublisher(options)],
    ['events', (options) => new EventPublisher(options)],
    ['events', (options) => new EventReader(options)],
  ])('is refused where it has the name of the ring for %s', (kind, open) => {
    leaveOlderSegment(`${name}.${kind}`);
    expect(() => open({ name })).toThrow(expect.objectContaining({ code: 'ERR_SHM_VERSION' }));
  });

  test('stays as it is when it is refused, and is listed with its version', () => {
    leaveOlderSegment(name);
    expect(() => ring.publisher()).toThrow(expect.objectContaining({ code: 'ERR_SHM_VERSION' }));
    expect(found()).toMatchObject({ version: 1, inUse: false });
  });

  test('is removed where nobody holds it; then the name is free', () => {
    leaveOlderSegment(name);
    expect(LockFreeRingBuffer.removeIfUnused(name)).toBe(true);
    expect(found()).toBeUndefined();
    const reader = ring.subscriber();
    ring.publisher().publishMarketData('TCS', { ltp: 1 });
    expect(drain(reader)).toMatchObject([{ symbol: 'TCS', ltp: 1 }]);
  });

  test('is kept while a process holds it', () => {
    const publisher = ring.publisher();
    setFormatVersion(name, 1);
    expect(LockFreeRingBuffer.removeIfUnused(name)).toBe(false);
    expect(found()).toMatchObject({ version: 1, inUse: true });
    publisher.stop();
    expect(LockFreeRingBuffer.removeIfUnused(name)).toBe(true);
  });

  test('is removed by a publisher’s cleanup only if it can be opened: else the reason is said', () => {
    const publisher = ring.publisher();
    setFormatVersion(name, 1);
    expect(() => publisher.cleanup()).toThrow(expect.objectContaining({ code: 'ERR_SHM_VERSION' }));
    expect(found()).toMatchObject({ version: 1, inUse: false });
  });
});
