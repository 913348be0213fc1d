import { afterEach, describe, expect, test } from 'vitest';
import type { Tick } from '../../src/message.ts';
import { LockFreeRingBuffer } from '../../src/shm/ring-buffer.ts';
import type { SharedMemorySubscriber } from '../../src/shm/subscriber.ts';
import { LivingProcess } from './living.ts';
import { drain, TestRing } from './test-ring.ts';

const ring = new TestRing('topic-table');
const processes: LivingProcess[] = [];
afterEach(async () => {
  await Promise.all(processes.splice(0).map((process) => process.end()));
  ring.end();
});

/** A tick in short. */
const short = ({ exchange, symbol, ltp }: Tick): string => `${exchange} ${symbol} ${ltp}`;
const read = (reader: SharedMemorySubscriber): string[] => drain(reader).map(short);
const tooMany = expect.objectContaining({ code: 'ERR_TOO_MANY_TOPICS', message: expect.stringContaining('topics') });

describe('a topic beyond the ring’s room for topics is refused, and those that are known go on', () => {
  test('by publishMarketData', () => {
    const reader = ring.subscriber({ topics: 2 });
    const publisher = ring.publisher();
    publisher.publishMarketData('A', { ltp: 1 });
    publisher.publishMarketData('A', { ltp: 2, exchange: 'BSE' });
    for (let attempt = 0; attempt < 3; attempt++) {
      expect(() => publisher.publishMarketData('C', { ltp: 3 })).toThrow(tooMany);
    }
    publisher.publishMarketData('A', { ltp: 4 });
    expect(read(reader)).toEqual(['NSE A 1', 'BSE A 2', 'NSE A 4']);
    expect(publisher.getStats()).toMatchObject({ messagesPublished: 3, messagesRejected: 0 });
    expect(reader.ringInfo).toMatchObject({ topics: 2 });
    expect(reader.ringStats().publishers).toMatchObject([{ topics: 2, topicsRefused: 3, messagesPublished: 3 }]);
  });

  test('by publishBatch, which publishes those before it', () => {
    const reader = ring.subscriber({ topics: 2 });
    const publisher = ring.publisher();
    const ticks = ['A', 'B', 'A', 'C', 'B'].map((symbol, ltp) => ({ symbol, ltp }));
    expect(() => publisher.publishBatch(ticks)).toThrow(tooMany);
    expect(read(reader)).toEqual(['NSE A 0', 'NSE B 1', 'NSE A 2']);
    expect(publisher.getStats().messagesPublished).toBe(3);
    expect(publisher.publishBatch([ticks[4]!, ticks[0]!])).toBe(2);
    expect(read(reader)).toEqual(['NSE B 4', 'NSE A 0']);
    expect(reader.ringStats().publishers).toMatchObject([{ topics: 2, topicsRefused: 1, messagesPublished: 5 }]);
  });

  test('by publishBatch in a later group of 64, after those before it', () => {
    const reader = ring.subscriber({ topics: 2 });
    const publisher = ring.publisher();
    const ticks = Array.from({ length: 200 }, (_, ltp) => ({ symbol: ltp === 150 ? 'C' : 'AB'[ltp % 2]!, ltp }));
    expect(() => publisher.publishBatch(ticks)).toThrow(tooMany);
    expect(drain(reader).map(({ ltp }) => ltp)).toEqual(Array.from({ length: 150 }, (_, i) => i));
  });

  test('by topic()', () => {
    const reader = ring.subscriber({ topics: 2 });
    const publisher = ring.publisher();
    const topics = [publisher.topic('A'), publisher.topic('B')];
    expect(() => publisher.topic('C')).toThrow(tooMany);
    for (const topic of topics) topic.ltp(1);
    publisher.topic('B').ltp(2);
    expect(read(reader)).toEqual(['NSE A 1', 'NSE B 1', 'NSE B 2']);
    expect(reader.ringStats().publishers).toMatchObject([{ topics: 2, topicsRefused: 1 }]);
  });

  test('by each publisher for itself', () => {
    const reader = ring.subscriber({ topics: 1 });
    const [one, two] = [ring.publisher({ publisherName: 'one' }), ring.publisher({ publisherName: 'two' })];
    one.publishMarketData('A', { ltp: 1 });
    two.publishMarketData('B', { ltp: 2 });
    expect(() => one.publishMarketData('B', { ltp: 3 })).toThrow(tooMany);
    expect(read(reader)).toEqual(['NSE A 1', 'NSE B 2']);
    expect(reader.ringStats().publishers.map(({ topicsRefused }) => topicsRefused)).toEqual([1, 0]);
  });

  test('also by the next owner of the lane, whose table it is then', () => {
    const reader = ring.subscriber({ topics: 2, lanes: 1 });
    const first = ring.publisher();
    first.publishMarketData('A', { ltp: 1 });
    first.stop();
    const second = ring.publisher();
    second.publishMarketData('B', { ltp: 2 });
    expect(() => second.publishMarketData('C', { ltp: 3 })).toThrow(tooMany);
    second.publishMarketData('A', { ltp: 4 });
    expect(read(reader)).toEqual(['NSE A 1', 'NSE B 2', 'NSE A 4']);
  });

  test('and the ring has room for 32,768 unless it is said otherwise', () => {
    const { topics } = ring.publisher().ringInfo!;
    expect(topics).toBe(32_768);
    ring.end();
    expect(ring.publisher({ topics: 262_144 }).ringInfo).toMatchObject({ topics: 262_144 });
  });

  test('a second handle with another number of topics is told both', () => {
    ring.publisher({ topics: 100 });
    expect(() => new LockFreeRingBuffer({ name: ring.name, topics: 200 })).toThrow(
      expect.objectContaining({ code: 'ERR_SHM_MISMATCH', message: expect.stringMatching(/100 topics.*200 topics/) }),
    );
  });
});

describe('names outlive the publisher that was killed', () => {
  async function process(publisherName: string): Promise<LivingProcess> {
    const started = LivingProcess.script(new URL('publishing.mjs', import.meta.url), [ring.name, publisherName]);
    processes.push(started);
    await started.says('ready');
    return started;
  }

  async function publish(from: LivingProcess, ...ticks: string[]): Promise<void> {
    for (const tick of ticks) from.tell(tick);
    await from.says(`published ${ticks.at(-1)}`);
  }

  test('its successor goes on with the table, and a reader that was there reads both', async () => {
    const reader = ring.subscriber({ lanes: 1 });
    const old = ['NSE SBIN 1', 'BSE SBIN 2', 'NSE TCS 3', 'NSE SBIN 4'];
    const dying = await process('zerodha');
    await publish(dying, ...old);
    await dying.end('SIGKILL');
    const successor = await process('angel');
    // Known topics in another order, and new ones in between.
    const young = ['NSE TCS 5', 'NSE INFY 6', 'NSE SBIN 7', 'BSE TCS 8', 'BSE SBIN 9', 'NSE INFY 10'];
    await publish(successor, ...young);
    expect(read(reader)).toEqual([...old, ...young]);
    expect(reader.ringStats().publishers).toMatchObject([
      { publisher: 'angel', topics: 5, messagesPublished: 10, alive: true },
    ]);
    expect(reader.getStats()).toMatchObject({ messagesReceived: 10, messagesLost: 0, messagesCorrupt: 0 });
  });

  test('a reader that had read the old ticks reads those of the successor with the same and with new names', async () => {
    const reader = ring.subscriber({ lanes: 1 });
    const dying = await process('zerodha');
    await publish(dying, 'NSE SBIN 1', 'NSE TCS 2');
    expect(read(reader)).toEqual(['NSE SBIN 1', 'NSE TCS 2']);
    await dying.end('SIGKILL');
    await publish(await process('zerodha'), 'NSE INFY 3', 'NSE SBIN 4', 'NSE TCS 5');
    expect(read(reader)).toEqual(['NSE INFY 3', 'NSE SBIN 4', 'NSE TCS 5']);
  });

  test('a reader that comes when nobody publishes any more reads the names of what is still there', async () => {
    const keeper = new LockFreeRingBuffer({ name: ring.name });
    const dying = await process('zerodha');
    const ticks = ['NSE SBIN 1', 'MCX GOLD 2', 'NSE SBIN 3'];
    await publish(dying, ...ticks);
    await dying.end('SIGKILL');
    expect(read(ring.subscriber({ from: 'oldest' }))).toEqual(ticks);
    keeper.close();
  });

  test('over generations no number gets another name', async () => {
    const early = ring.subscriber({ lanes: 1 });
    const expected: string[] = [];
    for (let generation = 0; generation < 4; generation++) {
      const owner = await process(`owner${generation}`);
      const ticks = Array.from({ length: 30 }, (_, i) => {
        const symbol = i % 3 === 0 ? `OF-ALL${i}` : `OF-${generation % 2}-${29 - i}`;
        return `NSE ${symbol} ${generation * 100 + i}`;
      });
      await publish(owner, ...ticks);
      await owner.end('SIGKILL');
      expected.push(...ticks);
    }
    expect(read(early)).toEqual(expected);
    expect(read(ring.subscriber({ from: 'oldest' }))).toEqual(expected);
    expect(early.ringStats().publishers).toMatchObject([{ topics: 10 + 2 * 20, alive: false }]);
  });

  test('two lanes name the same topics in different orders, and nothing mixes', async () => {
    const reader = ring.subscriber({ lanes: 2 });
    const [one, two] = [await process('one'), await process('two')];
    await publish(one, 'NSE A 1', 'NSE B 2', 'NSE C 3');
    await publish(two, 'NSE C 4', 'NSE B 5', 'NSE A 6');
    expect(read(reader).sort()).toEqual(['NSE A 1', 'NSE A 6', 'NSE B 2', 'NSE B 5', 'NSE C 3', 'NSE C 4']);
  });
});
