import { setImmediate as turn } from 'node:timers/promises';
import { SharedMemoryPublisher } from '../../shm/publisher.ts';
import { SharedMemorySubscriber } from '../../shm/subscriber.ts';
import { aborted, endingSignal, reportReady } from '../ending.ts';
import { FrameClient } from './frame-client.ts';
import { tradedTicks } from './ticks.ts';

/** What a process of the benchmark can do. */
const ROLES = { echo, 'echo-asleep': echoAsleep, publish, receive };

export type Role = keyof typeof ROLES;

/** The ring that an echo answers through. */
export const answersOf = (ring: string): string => `${ring}-answers`;

export const ROLE_NAMES = Object.keys(ROLES) as Role[];

/** Rounds of a busy loop before others on the event loop have a turn. */
const BUSY_ROUNDS = 20_000;

/** Plays a role until this process shall end. */
export async function play(role: Role, args: readonly string[]): Promise<void> {
  const [ringOrUrl = '', count = ''] = args;
  await ROLES[role](endingSignal(), ringOrUrl, count);
}

/** Answers every tick at once, without ever sleeping. */
async function echo(ending: AbortSignal, ring: string): Promise<void> {
  const subscriber = new SharedMemorySubscriber({ name: ring, preset: 'spsc' }).start();
  const publisher = new SharedMemoryPublisher({ name: answersOf(ring), preset: 'spsc' }).start();
  reportReady();
  while (!ending.aborted) {
    for (let round = 0; round < BUSY_ROUNDS; round++) {
      if (subscriber.poll(1).length > 0) publisher.publishMarketData('PONG', { ltp: 1 });
    }
    await turn();
  }
  subscriber.close();
  publisher.stop();
}

/** Answers every tick, asleep in the event loop until it comes. */
async function echoAsleep(ending: AbortSignal, ring: string): Promise<void> {
  const subscriber = new SharedMemorySubscriber({ name: ring, preset: 'spsc' }).start();
  const publisher = new SharedMemoryPublisher({ name: answersOf(ring), preset: 'spsc' }).start();
  subscriber.onBatch((batch) => {
    for (let answers = batch.length; answers > 0; answers--) publisher.publishMarketData('PONG', { ltp: 1 });
  });
  reportReady();
  await aborted(ending);
  subscriber.close();
  publisher.stop();
}

/** Publishes as fast as a lossless ring takes it, in batches. */
async function publish(ending: AbortSignal, ring: string): Promise<void> {
  const publisher = new SharedMemoryPublisher({ name: ring, preset: 'spsc' }).start();
  const ticks = tradedTicks();
  reportReady();
  while (!ending.aborted) {
    for (let round = 0; round < BUSY_ROUNDS / ticks.length; round++) publisher.publishBatch(ticks);
    await turn();
  }
  publisher.stop();
}

/** WebSocket clients that take everything and count it. */
async function receive(ending: AbortSignal, url: string, count: string): Promise<void> {
  const clients = await Promise.all(Array.from({ length: Number(count) }, () => FrameClient.connect(url)));
  for (const client of clients)
    client.send({ action: 'subscribe', symbols: [{ symbol: '*', exchange: '*' }], mode: 'LTP' });
  process.on('message', () => process.send?.({ frames: clients.reduce((sum, { frames }) => sum + frames, 0) }));
  reportReady();
  await aborted(ending);
  for (const client of clients) client.close();
}
