import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, chownSync, existsSync, rmSync, writeFileSync } from 'node:fs';
import { afterEach, describe, expect, test } from 'vitest';
import { OpenAlgoFeed } from '../../src/feeds/openalgo.ts';
import { SimulatedFeed } from '../../src/feeds/simulated.ts';
import { InterestReader } from '../../src/shm/interest.ts';
import { SharedMemoryPublisher } from '../../src/shm/publisher.ts';
import { LockFreeRingBuffer } from '../../src/shm/ring-buffer.ts';
import { WebSocketProxy } from '../../src/proxy/websocket-proxy.ts';
import { Client, until } from './running-proxy.ts';

/** Far less than the three seconds that a process waits at most for one that holds a name, and more than a busy machine takes. */
const STANDSTILL_MS = 1_000;
const NOBODY = 65_534;

const isPossible = process.platform === 'linux' && spawnSync('flock', ['--version']).status === 0;
const isRoot = process.getuid?.() === 0 && spawnSync('setpriv', ['--version']).status === 0;

const ring = `test-held-${process.pid}-${randomBytes(3).toString('hex')}`;
const fileOf = (name: string) => `/dev/shm/${name}`;
const hasRing = (kind: string) => LockFreeRingBuffer.list().some(({ name }) => name === `${ring}.${kind}`);
let holders: ChildProcess[] = [];
const proxies: WebSocketProxy[] = [];
const open: { close(): void }[] = [];

afterEach(async () => {
  for (const handle of open.splice(0)) handle.close();
  for (const holder of holders) await release(holder);
  for (const proxy of proxies.splice(0)) await proxy.stop();
  LockFreeRingBuffer.unlink(ring);
  for (const name of [ring, `${ring}.interest`, `${ring}.events`]) rmSync(`${fileOf(name)}.lock`, { force: true });
  holders = [];
});

/** Another process that holds the lock of a name, as one does that is stopped while it creates or removes a ring. */
async function hold(name: string, as: readonly string[] = []): Promise<ChildProcess> {
  const words = [...as, 'flock', '--no-fork', `${fileOf(name)}.lock`, 'sh', '-c', 'echo held; exec sleep 60'];
  const holder = spawn(words[0]!, words.slice(1), { stdio: ['ignore', 'pipe', 'inherit'] });
  holders.push(holder);
  await once(holder.stdout!, 'data');
  return holder;
}

async function release(holder: ChildProcess): Promise<void> {
  if (holder.exitCode !== null || holder.signalCode !== null) return;
  const ended = once(holder, 'exit');
  holder.kill('SIGKILL');
  await ended;
}

function proxy(): WebSocketProxy {
  const made = new WebSocketProxy({ port: 0, log: 'silent', ring: { name: ring } });
  proxies.push(made);
  return made;
}

/** Longest time, ms, that the event loop stood still meanwhile. */
async function standstillDuring(work: () => Promise<unknown>): Promise<number> {
  let longest = 0;
  let last = performance.now();
  const look = (): void => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
  };
  const timer = setInterval(look, 5);
  try {
    await work();
    look();
  } finally {
    clearInterval(timer);
  }
  return longest;
}

const busy = expect.objectContaining({ code: 'ERR_SHM_BUSY' });

describe.skipIf(!isPossible)('while another process holds the name of a ring', () => {
  test('a ring that exists is used by everybody as ever', async () => {
    const existing = new LockFreeRingBuffer({ name: ring });
    await proxy().start();
    await hold(ring);
    const client = await Client.open((await proxy().start()).address()!.url);
    const publisher = new SharedMemoryPublisher({ name: ring }).start();
    await client.ask({ action: 'subscribe', symbol: 'SBIN', exchange: 'NSE', mode: 1 });
    publisher.publishMarketData('SBIN', { ltp: 1 });
    expect(await client.nextOf('market_data')).toMatchObject({ data: { ltp: 1 } });
    expect(LockFreeRingBuffer.list().map(({ name }) => name)).toContain(ring);
    LockFreeRingBuffer.open(ring).close();
    publisher.stop();
    await client.close();
    existing.close();
  });

  test('one that does not exist is an error soon, for whoever calls from JavaScript', async () => {
    await hold(ring);
    const standstill = await standstillDuring(async () => {
      expect(() => new SharedMemoryPublisher({ name: ring }).start()).toThrow(busy);
      expect(() => new LockFreeRingBuffer({ name: ring })).toThrow(busy);
      expect(() => LockFreeRingBuffer.unlink(ring)).toThrow(busy);
      expect(() => LockFreeRingBuffer.removeIfUnused(ring)).toThrow(busy);
    });
    expect(standstill).toBeLessThan(STANDSTILL_MS);
  });

  test('a segment that its creator has not finished is an error soon, and is made anew once nobody holds it', async () => {
    writeFileSync(fileOf(ring), '');
    const holder = await hold(ring);
    expect(await standstillDuring(async () => expect(() => LockFreeRingBuffer.open(ring)).toThrow(busy))).toBeLessThan(
      STANDSTILL_MS,
    );
    await release(holder);
    new LockFreeRingBuffer({ name: ring }).close();
    expect(LockFreeRingBuffer.open(ring).info()).toMatchObject({ name: ring });
  });

  test('a proxy that has no ring yet waits for the name, and the event loop turns', async () => {
    const holder = await hold(ring);
    const standstill = await standstillDuring(async () => {
      const starting = proxy().start();
      setTimeout(() => void release(holder), 500);
      await starting;
    });
    expect(standstill).toBeLessThan(STANDSTILL_MS);
    expect(existsSync(fileOf(ring))).toBe(true);
  });

  test('a proxy tells that it cannot have one after three seconds, in which the event loop turns', async () => {
    await hold(ring);
    const standstill = await standstillDuring(() => expect(proxy().start()).rejects.toMatchObject(busy));
    expect(standstill).toBeLessThan(STANDSTILL_MS);
  });

  test('a proxy and a feed whose ring is gone go on at work, and have another once the name is free', async () => {
    const running = await proxy().start();
    const feed = new SimulatedFeed({ name: ring, rate: 10 }).start();
    const holder = await hold(ring);
    // Not by its own call, which would wait for the name.
    rmSync(fileOf(ring));
    const url = running.address()!.url.replace('ws', 'http');
    const health = async () =>
      ((await (await fetch(`${url}/health`)).json()) as { reasons: { code: string }[] }).reasons;
    const standstill = await standstillDuring(async () => {
      // Proxy and feed look for a newer ring once a second.
      const until = performance.now() + 2_500;
      while (performance.now() < until) expect(await health()).toMatchObject([{ code: 'ring_gone' }]);
    });
    expect(standstill).toBeLessThan(STANDSTILL_MS);
    await release(holder);
    await until('both have another ring', async () => (await health()).length === 0);
    await feed.stop();
  });

  test.each(['interest', 'events'])('a live feed waits for the name of the ring of %s', async (kind) => {
    const holder = await hold(`${ring}.${kind}`);
    const feed = new OpenAlgoFeed({ name: ring, url: 'ws://127.0.0.1:1', apiKey: 'a-key' }).start();
    setTimeout(() => void release(holder), 500);
    await Promise.race([feed.done, until('both rings are there', () => ['interest', 'events'].every(hasRing))]);
    await feed.stop();
  });

  test('feeds hear what clients want as soon as the ring for that can be had', async () => {
    const holder = await hold(`${ring}.interest`);
    const running = await proxy().start();
    const client = await Client.open(running.address()!.url);
    await client.ask({ action: 'subscribe', symbol: 'SBIN', exchange: 'NSE', mode: 1 });
    await release(holder);
    const reader = new InterestReader({ subscribe: () => {}, unsubscribe: () => {} }, { name: ring });
    open.push(reader);
    await until('it is wanted', () => reader.wanted().some(({ symbol }) => symbol === 'SBIN'));
    await client.close();
  });

  test.skipIf(!isRoot)('another user who holds it is in nobody’s way', async () => {
    new LockFreeRingBuffer({ name: ring }).close();
    writeFileSync(`${fileOf(ring)}.lock`, '');
    chmodSync(`${fileOf(ring)}.lock`, 0o666);
    chownSync(`${fileOf(ring)}.lock`, NOBODY, NOBODY);
    await hold(ring, ['setpriv', `--reuid=${NOBODY}`, '--clear-groups']);
    const standstill = await standstillDuring(async () => {
      await proxy().start();
      new SharedMemoryPublisher({ name: ring }).start().stop();
      expect(() => LockFreeRingBuffer.unlink(ring)).toThrow(
        expect.objectContaining({ code: expect.stringMatching(/^ERR_SHM_(BUSY|PERMISSION)$/) }),
      );
    });
    expect(standstill).toBeLessThan(STANDSTILL_MS);
  });
});
