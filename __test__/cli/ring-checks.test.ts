import { existsSync } from 'node:fs';
import { afterEach, describe, expect, test } from 'vitest';
import { EventPublisher } from '../../src/shm/events.ts';
import { SharedMemoryPublisher } from '../../src/shm/publisher.ts';
import { FORMAT_VERSION, LockFreeRingBuffer } from '../../src/shm/ring-buffer.ts';
import { leaveOlderSegment, setFormatVersion } from '../shm/older-segment.ts';
import { PacedPublisher } from './paced-publisher.ts';
import { removeRings, ringExists, run } from './running-command.ts';

const ring = `test-checks-${process.pid}`;
const started: { end(): void }[] = [];
afterEach(() => {
  for (const each of started.splice(0)) each.end();
  removeRings(ring);
});

interface Finding {
  check: string;
  verdict: string;
  found: string;
  remedy?: string;
}

async function doctor(check: string): Promise<Finding | undefined> {
  const { stdout } = await run(['doctor', '--json', '--port=0', `--ring=${ring}`]);
  return (JSON.parse(stdout) as Finding[]).find((finding) => finding.check === check);
}

function publish(options: { bufferSize?: number; topics?: number } = {}): SharedMemoryPublisher {
  const publisher = new SharedMemoryPublisher({ name: ring, publisherName: 'mock', ...options }).start();
  started.push({ end: () => publisher.stop() });
  return publisher;
}

describe('how long a reader may stand still', () => {
  // 20 times slower than it should be, a small ring still holds less than half a second.
  const PACE = 4000;
  const SMALL = 4096;

  test('is a warning of doctor where a busy publisher fills a small ring in less than half a second', async () => {
    started.push(new PacedPublisher({ name: ring, publisherName: 'mock', bufferSize: SMALL }, PACE));
    expect(await doctor('standing still')).toEqual({
      check: 'standing still',
      verdict: 'warning',
      found: expect.stringMatching(/lines\/s of mock a reader may stand still for/),
      remedy: expect.stringMatching(new RegExp(`openalgo-shm cleanup --ring ${ring}, .* larger --buffer-size`)),
    });
  });

  test('is good at the same pace on a default ring', async () => {
    started.push(new PacedPublisher({ name: ring, publisherName: 'mock' }, PACE));
    expect(await doctor('standing still')).toMatchObject({ verdict: 'good', found: expect.stringContaining('mock') });
  });

  test('is good where nothing is published', async () => {
    publish({ bufferSize: SMALL }).publishMarketData('TCS', { ltp: 1 });
    expect(await doctor('standing still')).toMatchObject({ verdict: 'good', found: 'nothing is published now' });
  });

  test('is not looked at without a ring', async () => {
    expect(await doctor('standing still')).toBeUndefined();
    expect(await doctor('ring')).toMatchObject({
      verdict: 'good',
      found: expect.stringContaining('does not exist yet'),
    });
    expect(ringExists(ring)).toBe(false);
  });

  const bench = (...flags: string[]) => run(['bench', '--seconds=0.2', '--clients=1', `--ring=${ring}`, ...flags]);

  test('is said by bench with advice where it is short', async () => {
    started.push(new PacedPublisher({ name: ring, publisherName: 'mock', bufferSize: SMALL }, PACE));
    const { code, stdout } = await bench();
    expect(code).toBe(0);
    expect(stdout).toMatch(
      new RegExp(`^ring ${ring}: at .* lines/s of mock .*: create it anew with .* --buffer-size$`, 'm'),
    );
  });

  test('is a figure in the JSON of bench', async () => {
    started.push(new PacedPublisher({ name: ring, publisherName: 'mock' }, PACE));
    const { standstill } = JSON.parse((await bench('--json')).stdout);
    expect(standstill).toMatchObject({ ring, publisher: 'mock', linesPerSecond: expect.any(Number) });
    expect(standstill.seconds).toBeGreaterThan(0.5);
  });

  test('is left out by bench where the ring is of another version', async () => {
    leaveOlderSegment(ring);
    const { code, stdout, stderr } = await bench('--json');
    expect([code, stderr]).toEqual([0, '']);
    expect(JSON.parse(stdout)).not.toHaveProperty('standstill');
  });
});

describe('a publisher that has named as many topics as the ring has room for', () => {
  function refuseSome(): void {
    const publisher = publish({ topics: 2 });
    for (const symbol of ['A', 'B']) publisher.publishMarketData(symbol, { ltp: 1 });
    for (const symbol of ['C', 'D', 'C']) {
      expect(() => publisher.publishMarketData(symbol, { ltp: 1 })).toThrow(
        expect.objectContaining({ code: 'ERR_TOO_MANY_TOPICS' }),
      );
    }
  }

  test('is a warning of doctor, with what to do', async () => {
    refuseSome();
    expect(await doctor('topics')).toEqual({
      check: 'topics',
      verdict: 'warning',
      found: 'mock has named 2 topics, and 3 ticks of further ones were refused',
      remedy: expect.stringMatching(/cleanup --ring .* larger --topics$/),
    });
  });

  test('is no finding as long as nothing was refused', async () => {
    const publisher = publish({ topics: 2 });
    for (const symbol of ['A', 'B', 'A']) publisher.publishMarketData(symbol, { ltp: 1 });
    expect(await doctor('topics')).toBeUndefined();
    expect((await doctor('ring'))!.found).toContain('2 topics a lane');
  });

  test('is shown by stats, for people and as JSON', async () => {
    refuseSome();
    const { stdout } = await run(['stats', `--ring=${ring}`, '--json']);
    expect(JSON.parse(stdout)).toMatchObject({
      ring: { topics: 2, capacity: 16_384 },
      publishers: [{ name: 'mock', messages_published: 2, lines_published: 2, topics: 2, topics_refused: 3 }],
    });
    const screen = (await run(['stats', `--ring=${ring}`])).stdout;
    expect(screen).toMatch(/16,384 lines and 2 topics a lane/);
    expect(screen).toMatch(/mock .* 2 \(3 refused\)/);
  });

  test('is avoided with --topics', async () => {
    const { stdout } = await run(['feed', 'simulated', '--help']);
    expect(stdout).toMatch(/--topics <n> +topics that one publisher can name \(default: 32768\)/);
    const { code, stderr } = await run(['serve', '--topics=0']);
    expect([code, stderr]).toEqual([2, expect.stringMatching(/--topics.*whole number from 1 to 262144/)]);
    const printed = await run(['serve', '--print-config'], { env: { OPENALGO_SHM_TOPICS: '100000' } });
    expect(JSON.parse(printed.stdout).settings).toMatchObject({ topics: { value: 100_000, source: 'environment' } });
  });
});

describe.runIf(existsSync('/dev/shm'))('a segment of an older format version', () => {
  test('fails doctor, with both versions and what to do', async () => {
    leaveOlderSegment(ring);
    const { code, stdout } = await run(['doctor', '--port=0', `--ring=${ring}`]);
    expect(code).toBe(1);
    expect(stdout).toMatch(
      new RegExp(`✗ ring .*version 1, .*${FORMAT_VERSION}.*\n +→ end the programs .*cleanup --ring ${ring}$`, 'm'),
    );
    expect(stdout).toMatch(new RegExp(`! leftovers .*${ring} \\(format version 1, this is ${FORMAT_VERSION}\\)`));
  });

  test.each([['watch'], ['stats'], ['feed', 'simulated'], ['serve', '--port=0']])(
    'is refused by %s with both versions',
    async (...words) => {
      leaveOlderSegment(ring);
      const { code, stdout, stderr } = await run([...words, `--ring=${ring}`]);
      expect([code, stdout]).toEqual([1, '']);
      expect(stderr).toMatch(
        new RegExp(`^openalgo-shm: ERR_SHM_VERSION: .*version 1, .*${FORMAT_VERSION}.*cleanup.*\n$`),
      );
    },
  );

  test('is listed and removed by cleanup, with those beside it', async () => {
    new EventPublisher({ name: ring }).close();
    for (const name of [ring, `${ring}.events`]) {
      if (name === ring) leaveOlderSegment(name);
      else setFormatVersion(name, 1);
    }
    const listed = await run(['cleanup', `--ring=${ring}`, '--dry-run', '--json']);
    expect(JSON.parse(listed.stdout)).toMatchObject({ removed: [{ version: 1 }, { version: 1 }], held: [] });
    expect(ringExists(ring)).toBe(true);
    const { code, stdout } = await run(['cleanup', `--ring=${ring}`]);
    expect(code).toBe(0);
    expect(stdout).toContain(`removed ${ring} (format version 1, this is ${FORMAT_VERSION}) (`);
    expect([ring, `${ring}.events`].map(ringExists)).toEqual([false, false]);
  });

  test('is kept by cleanup while a process holds it, and removed when that has ended', async () => {
    const publisher = publish();
    setFormatVersion(ring, 1);
    const { code, stdout } = await run(['cleanup', `--ring=${ring}`]);
    expect(code).toBe(1);
    expect(stdout).toMatch(
      new RegExp(`^kept ${ring} \\(format version 1, .*\\): held by a process of another version`),
    );
    publisher.stop();
    expect((await run(['cleanup', `--ring=${ring}`])).code).toBe(0);
    expect(ringExists(ring)).toBe(false);
  });

  test('makes room for a new ring once it is removed', async () => {
    leaveOlderSegment(ring);
    await run(['cleanup', `--ring=${ring}`]);
    new LockFreeRingBuffer({ name: ring }).close();
    expect(await doctor('ring')).toMatchObject({ verdict: 'good' });
  });
});
