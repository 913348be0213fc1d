import { afterEach, describe, expect, test } from 'vitest';
import { InterestPublisher, InterestReader, type InterestChange } from '../../src/shm/interest.ts';
import { LockFreeRingBuffer } from '../../src/shm/ring-buffer.ts';
import { LivingProcess, until } from './living.ts';

const name = `test-interest-${process.pid}`;
const open: { close(): void }[] = [];
const proxies: LivingProcess[] = [];

/** What a feed was told, and what is wanted by all that. */
class Told {
  readonly changes: [string, InterestChange][] = [];
  readonly wantedToo: InterestChange[] = [];
  readonly reader: InterestReader;

  constructor() {
    this.reader = new InterestReader(
      {
        subscribe: (change) => this.changes.push(['subscribe', change]),
        unsubscribe: (change) => this.changes.push(['unsubscribe', change]),
        wantToo: (change) => this.wantedToo.push(change),
      },
      { name },
    );
    open.push(this.reader);
  }

  get wanted(): string[] {
    return this.reader
      .wanted()
      .map(({ exchange, symbol, mode, depth }) => `${exchange}:${symbol} ${mode} ${depth}`)
      .sort();
  }

  async wants(...expected: string[]): Promise<void> {
    await until(`wanted is ${expected.join(', ')}`, () => this.wanted.join() === expected.join());
  }
}

async function proxyProcess(): Promise<LivingProcess> {
  const proxy = LivingProcess.script(new URL('wishing.mjs', import.meta.url), [name]);
  proxies.push(proxy);
  await proxy.says('ready');
  return proxy;
}

function publisher(): InterestPublisher {
  const made = new InterestPublisher({ name });
  open.push(made);
  return made;
}

afterEach(async () => {
  for (const handle of open.splice(0)) handle.close();
  await Promise.all(proxies.splice(0).map((proxy) => proxy.end()));
  LockFreeRingBuffer.unlink(`${name}.interest`);
});

const LTP = 1 << 1;
const QUOTE = 1 << 2;
const DEPTH = 1 << 3;

describe('interest', () => {
  test('reaches a feed in another process, each topic and mode once', async () => {
    const told = new Told();
    const proxy = await proxyProcess();
    proxy.tell(`set NSE RELIANCE ${LTP | DEPTH} 20`);
    proxy.tell(`set NFO NIFTY28APR2425000CE ${QUOTE} 0`);
    await told.wants('NFO:NIFTY28APR2425000CE 2 0', 'NSE:RELIANCE 1 0', 'NSE:RELIANCE 3 20');
    expect(told.changes).toEqual([
      ['subscribe', { exchange: 'NSE', symbol: 'RELIANCE', mode: 1, depth: 0 }],
      ['subscribe', { exchange: 'NSE', symbol: 'RELIANCE', mode: 3, depth: 20 }],
      ['subscribe', { exchange: 'NFO', symbol: 'NIFTY28APR2425000CE', mode: 2, depth: 0 }],
    ]);
  });

  test('is counted over proxies: a topic ends when the last of them leaves it', async () => {
    const told = new Told();
    const [one, two] = [await proxyProcess(), await proxyProcess()];
    one.tell(`set NSE TCS ${LTP} 0`);
    await told.wants('NSE:TCS 1 0');
    two.tell(`set NSE TCS ${LTP | QUOTE} 0`);
    await told.wants('NSE:TCS 1 0', 'NSE:TCS 2 0');
    two.tell('set NSE TCS 0 0');
    await told.wants('NSE:TCS 1 0');
    one.tell('set NSE TCS 0 0');
    await told.wants();
    const ends = told.changes.filter(([kind]) => kind === 'unsubscribe').map(([, { mode }]) => mode);
    expect(ends).toEqual([2, 1]);
  });

  test('has the depth of who wants the deepest book, up and down', async () => {
    const told = new Told();
    const [one, two] = [await proxyProcess(), await proxyProcess()];
    one.tell(`set NSE TCS:50 ${DEPTH} 5`);
    await told.wants('NSE:TCS:50 3 5');
    two.tell(`set NSE TCS:50 ${DEPTH} 50`);
    await told.wants('NSE:TCS:50 3 50');
    await two.end('SIGKILL');
    await told.wants('NSE:TCS:50 3 5');
    expect(told.changes.map(([kind, { depth }]) => [kind, depth])).toEqual([
      ['subscribe', 5],
      ['subscribe', 50],
      ['subscribe', 5],
    ]);
  });

  test('of one more proxy in what is wanted already is heard once', async () => {
    const feed = new Told();
    const [first, second] = [publisher(), publisher()];
    first.set('NSE', 'TCS', LTP | DEPTH, 5);
    await feed.wants('NSE:TCS 1 0', 'NSE:TCS 3 5');
    second.set('NSE', 'TCS', LTP | QUOTE, 0);
    second.set('NSE', 'INFY', LTP, 0);
    await feed.wants('NSE:INFY 1 0', 'NSE:TCS 1 0', 'NSE:TCS 2 0', 'NSE:TCS 3 5');
    // Both repeat what they want: that is nothing new.
    first.set('NSE', 'LAST', LTP, 0);
    await feed.wants('NSE:INFY 1 0', 'NSE:LAST 1 0', 'NSE:TCS 1 0', 'NSE:TCS 2 0', 'NSE:TCS 3 5');
    await new Promise((resolve) => setTimeout(resolve, 1_200));
    expect(feed.wantedToo).toEqual([{ exchange: 'NSE', symbol: 'TCS', mode: 1, depth: 0 }]);
  });

  test('of a proxy that is killed is forgotten, that of the others stays', async () => {
    const told = new Told();
    const [dying, living] = [await proxyProcess(), await proxyProcess()];
    living.tell(`set NSE SBIN ${QUOTE} 0`);
    await told.wants('NSE:SBIN 2 0');
    dying.tell(`set NSE SBIN ${QUOTE} 0`);
    dying.tell(`set NSE INFY ${QUOTE} 0`);
    await told.wants('NSE:INFY 2 0', 'NSE:SBIN 2 0');
    await dying.end('SIGKILL');
    await told.wants('NSE:SBIN 2 0');
    expect(told.changes.at(-1)).toEqual(['unsubscribe', { exchange: 'NSE', symbol: 'INFY', mode: 2, depth: 0 }]);
    const unsubscribed = told.changes.filter(([kind]) => kind === 'unsubscribe');
    expect(unsubscribed).toHaveLength(1);
  });

  test('of a proxy that is killed ends too when another has taken its lane at once', async () => {
    const told = new Told();
    const dying = await proxyProcess();
    dying.tell(`set NSE INFY ${QUOTE} 0`);
    await told.wants('NSE:INFY 2 0');
    await dying.end('SIGKILL');
    const heir = publisher();
    heir.set('NSE', 'WIPRO', LTP, 0);
    await told.wants('NSE:WIPRO 1 0');
  });

  test('of a proxy that only stands still is kept', async () => {
    const told = new Told();
    const still = await proxyProcess();
    const other = await proxyProcess();
    still.tell(`set NSE INFY ${QUOTE} 0`);
    await told.wants('NSE:INFY 2 0');
    still.child.kill('SIGSTOP');
    const dying = await proxyProcess();
    dying.tell(`set NSE SBIN ${QUOTE} 0`);
    await told.wants('NSE:INFY 2 0', 'NSE:SBIN 2 0');
    await dying.end('SIGKILL');
    other.tell(`set NSE TCS ${LTP} 0`);
    // The dead one is forgotten in the same look that spares the one that stands still.
    await told.wants('NSE:INFY 2 0', 'NSE:TCS 1 0');
  });

  test('reaches a feed that starts late', async () => {
    const proxy = await proxyProcess();
    proxy.tell(`set MCX CRUDEOIL19NOV24FUT ${LTP | QUOTE | DEPTH} 5`);
    const before = new Told();
    await before.wants('MCX:CRUDEOIL19NOV24FUT 1 0', 'MCX:CRUDEOIL19NOV24FUT 2 0', 'MCX:CRUDEOIL19NOV24FUT 3 5');
    const late = new Told();
    await late.wants('MCX:CRUDEOIL19NOV24FUT 1 0', 'MCX:CRUDEOIL19NOV24FUT 2 0', 'MCX:CRUDEOIL19NOV24FUT 3 5');
  });

  test('that is withdrawn and comes back at once is heard as both', async () => {
    const told = new Told();
    const proxy = publisher();
    proxy.set('NSE', 'TCS', LTP, 0);
    await told.wants('NSE:TCS 1 0');
    proxy.set('NSE', 'TCS', 0, 0);
    proxy.set('NSE', 'TCS', LTP, 0);
    await until('all is heard', () => told.changes.length === 3);
    expect(told.changes.map(([what]) => what)).toEqual(['subscribe', 'unsubscribe', 'subscribe']);
    proxy.set('NSE', 'TCS', LTP | QUOTE, 0);
    proxy.set('NSE', 'TCS', QUOTE, 0);
    await told.wants('NSE:TCS 2 0');
  });

  test('of a proxy that closes ends at once', async () => {
    const told = new Told();
    const proxy = await proxyProcess();
    proxy.tell(`set NSE INFY ${QUOTE} 0`);
    await told.wants('NSE:INFY 2 0');
    proxy.tell('close');
    await told.wants();
  });

  test('may be larger than its ring: what is lost is right again after the next rounds', async () => {
    const proxy = publisher();
    for (let i = 0; i < 20_000; i++) proxy.set('NFO', `OPTION${i}`, LTP, 0);
    const told = new Told();
    await until('all 20,000 are wanted', () => told.reader.wanted().length === 20_000);
    for (let i = 1; i < 20_000; i++) proxy.set('NFO', `OPTION${i}`, 0, 0);
    await told.wants('NFO:OPTION0 1 0');
  });

  test('goes on in the newer segment when the ring was removed', async () => {
    const told = new Told();
    const proxy = await proxyProcess();
    proxy.tell(`set NSE INFY ${QUOTE} 0`);
    await told.wants('NSE:INFY 2 0');
    LockFreeRingBuffer.unlink(`${name}.interest`);
    await until('the feed has joined the newer segment', () => told.changes.length >= 2);
    await told.wants('NSE:INFY 2 0');
  });

  test('may be in the longest names and the deepest book', async () => {
    const told = new Told();
    const [exchange, symbol] = ['E'.repeat(16), 'S'.repeat(48)];
    publisher().set(exchange, symbol, LTP | DEPTH, 200);
    await told.wants(`${exchange}:${symbol} 1 0`, `${exchange}:${symbol} 3 200`);
  });

  test('with a name that no message holds is refused to who wants it', () => {
    const interest = publisher();
    expect(() => interest.set('NSE', 'S'.repeat(49), LTP, 0)).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_SYMBOL' }),
    );
    expect(interest.size).toBe(0);
  });
});
