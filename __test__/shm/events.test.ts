import { afterEach, describe, expect, test } from 'vitest';
import { CompanionReader, CompanionWriter, type MessageBuffer } from '../../src/shm/companion-ring.ts';
import { EventPublisher, EventReader, MAX_EVENT_BYTES, type RingEvent } from '../../src/shm/events.ts';
import { LockFreeRingBuffer } from '../../src/shm/ring-buffer.ts';
import { LivingProcess, until } from './living.ts';

const name = `test-events-${process.pid}`;
const open: { close(): void }[] = [];

function publisher(ownerName = 'openalgo'): EventPublisher {
  const made = new EventPublisher({ name, ownerName });
  open.push(made);
  return made;
}

function reader(): { events: [RingEvent, string][]; reader: EventReader } {
  const made = new EventReader({ name });
  open.push(made);
  const events: [RingEvent, string][] = [];
  made.onEvent((event, from) => events.push([event, from]));
  return { events, reader: made };
}

const order = {
  type: 'order_update',
  user_id: 'u',
  orderid: '240',
  symbol: 'NIFTY25AUG26FUT',
  rejection_reason: '₹ too low',
};

afterEach(() => {
  for (const handle of open.splice(0)) handle.close();
  LockFreeRingBuffer.unlink(`${name}.events`);
});

describe('an event', () => {
  test('reaches every reader whole, with the name of the feed', async () => {
    const [one, two] = [reader(), reader()];
    publisher().publish(order);
    await until('both have it', () => one.events.length + two.events.length === 2);
    expect(one.events).toEqual([[order, 'openalgo']]);
    expect(two.events).toEqual([[order, 'openalgo']]);
  });

  test('comes from another process', async () => {
    const { events } = reader();
    const feed = LivingProcess.script(new URL('telling.mjs', import.meta.url), [name, JSON.stringify(order)]);
    await until('it has come', () => events.length === 1);
    expect(events).toEqual([[order, 'teller']]);
    await feed.end();
  });

  test('may take all of its room and no byte more', async () => {
    const { events } = reader();
    const feed = publisher();
    const overhead = JSON.stringify({ type: 'order_update', text: '' }).length;
    const longest = { type: 'order_update', text: 'x'.repeat(MAX_EVENT_BYTES - overhead) };
    feed.publish(longest);
    await until('it has come', () => events.length === 1);
    expect(events[0]![0]).toEqual(longest);
    expect(() => feed.publish({ ...longest, text: `${longest.text}x` })).toThrow(
      expect.objectContaining({ code: 'ERR_MESSAGE_TOO_LONG' }),
    );
  });

  test('comes whole at every length', async () => {
    const { events } = reader();
    const feed = publisher();
    const sent = Array.from({ length: 300 }, (_, length) => ({ type: 'order_update', text: '₹x'.repeat(length) }));
    for (const event of sent) feed.publish(event);
    await until('all have come', () => events.length === sent.length);
    expect(events.map(([event]) => event)).toEqual(sent);
  });

  test('follows those before it in order, through bursts', async () => {
    const { events } = reader();
    const feed = publisher();
    for (let i = 0; i < 200; i++) feed.publish({ type: 'order_update', i });
    await until('all have come', () => events.length === 200);
    expect(events.map(([event]) => event['i'])).toEqual(Array.from({ length: 200 }, (_, i) => i));
  });

  test('reaches those who read already and those who come, when the ring was removed just before', async () => {
    const before = reader();
    const feed = publisher();
    feed.publish(order);
    await until('the first has come', () => before.events.length === 1);
    LockFreeRingBuffer.unlink(`${name}.events`);
    const late = reader();
    feed.publish({ ...order, orderid: '241' });
    await until('both have the second', () => before.events.length === 2 && late.events.length === 1);
    expect([before.events[1]![0]['orderid'], late.events[0]![0]['orderid']]).toEqual(['241', '241']);
  });

  test('comes with its lane, which is told when its feed is gone, however it went', async () => {
    const { events, reader: consumer } = reader();
    const [lanes, gone]: [number[], number[]] = [[], []];
    consumer.onEvent((_event, _from, lane) => lanes.push(lane));
    consumer.onGone((lane) => gone.push(lane));
    const stays = publisher('stays');
    const leaves = publisher('leaves');
    stays.publish(order);
    leaves.publish(order);
    const killed = LivingProcess.script(new URL('telling.mjs', import.meta.url), [name, JSON.stringify(order)]);
    await until('all have come', () => events.length === 3);
    const [ofStaying, ofLeaving, ofKilled] = lanes;
    expect(new Set(lanes).size).toBe(3);
    leaves.close();
    await until('one is gone', () => gone.length === 1);
    await killed.end();
    // Another process may take the lane at once.
    const next = LivingProcess.script(new URL('telling.mjs', import.meta.url), [name, JSON.stringify(order)]);
    await until('it has come', () => events.length === 4 && gone.length === 2);
    await next.end();
    await until('it is gone too', () => gone.length === 3);
    expect(gone.slice(0, 2)).toEqual([ofLeaving, ofKilled]);
    expect(gone).not.toContain(ofStaying);
  });

  test('that was overwritten before it was read is counted', async () => {
    const { events, reader: consumer } = reader();
    const feed = publisher();
    for (let i = 0; i < 5_000; i++) feed.publish({ type: 'order_update', i });
    await until('the newest has come', () => events.at(-1)?.[0]['i'] === 4_999);
    expect(events.length + consumer.getStats().eventsLost).toBe(5_000);
    expect(consumer.getStats().eventsLost).toBeGreaterThan(0);
  });

  test('that was published before the ring was removed is read first; the count of the lost goes on', () => {
    const seen: number[] = [];
    const each = ({ f64 }: MessageBuffer, at: number): void => void seen.push(f64[at]!);
    const consumer = new CompanionReader('events', name, 'proxy', each);
    const write = (writer: CompanionWriter, numbers: number[]): void => {
      for (const number of numbers) writer.write(({ f64 }, at) => ((f64[at] = number), 1));
      writer.flush();
    };
    const older = new CompanionWriter('events', name, 'feed');
    open.push(consumer, older);
    write(
      older,
      Array.from({ length: 10_000 }, (_, i) => i),
    );
    LockFreeRingBuffer.unlink(`${name}.events`);
    const newer = new CompanionWriter('events', name, 'feed');
    open.push(newer);
    write(newer, [10_000, 10_001]);
    expect(seen).toEqual([]);
    expect(consumer.follow()).toBe(true);
    expect(seen.at(-1)).toBe(9_999);
    expect(consumer.messagesLost).toBeGreaterThan(0);
    expect(seen.length + consumer.messagesLost).toBe(10_000);
  });
});
