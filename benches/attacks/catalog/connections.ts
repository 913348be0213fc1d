import { type Target, pause } from '../target.ts';

const EVERYTHING = { action: 'subscribe', symbols: [{ symbol: '*', exchange: '*' }], mode: 'LTP' };
/** Most clients that come or go at the same time. */
const MOST_AT_ONCE = 300;

/** One client that reads a byte a second and one that never reads; both have asked for more than fits into the sockets. */
export async function slowReaders(target: Target): Promise<void> {
  const slow = await target.open({ buffer: Buffer.alloc(1) });
  const never = await target.open();
  slow.client.pausesAfterRead = true;
  never.client.socket.pause();
  const timer = setInterval(() => slow.client.socket.resume(), 1_000);
  for (const client of [slow, never]) {
    client.send(EVERYTHING);
    // Every answer is longer than its list, and lies in front of the ticks.
    for (let list = 0; list < 9; list++) {
      const symbols = Array.from({ length: 10_000 }, (_, i) => ({ symbol: `SLOW${i}`, exchange: 'NSE' }));
      client.send({ action: 'subscribe', symbols, mode: 'LTP' });
      target.tally.did('lists');
    }
  }
  await target.untilOver();
  clearInterval(timer);
}

/** Clients that subscribe to everything and reset their connection soon after, while they are written to. */
export async function resets(target: Target, clients: number): Promise<void> {
  await target.parallel(clients, async () => {
    while (!target.isOver) {
      const client = await target.open();
      client.send(EVERYTHING);
      await pause(Math.random() * 100);
      client.reset();
      target.forget(client);
      target.tally.did('resets');
    }
  });
}

/** So many clients a second that connect, subscribe, and go once they are answered. */
export async function comingAndGoing(target: Target, perSecond: number): Promise<void> {
  const visits = new Set<Promise<void>>();
  const visit = async (): Promise<void> => {
    const client = await target.open();
    await client.ask(EVERYTHING);
    client.leave();
    target.forget(client);
    target.tally.did('visits');
  };
  await target.paced(perSecond, () => {
    if (visits.size >= MOST_AT_ONCE) return;
    const visiting = visit().finally(() => visits.delete(visiting));
    visits.add(visiting);
  });
  await Promise.all(visits);
}
