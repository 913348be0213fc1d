import { symbolOf } from '../ticks.ts';
import type { Target } from '../target.ts';

const EVERYTHING = { symbol: '*', exchange: '*' };

/** Two clients with equal subscriptions, one of which changes one of them all the time. */
export async function switchedSymbol(target: Target): Promise<void> {
  const symbols = Array.from({ length: target.amount(9_000, 3_000) }, (_, i) => ({
    symbol: `EQUAL${i}`,
    exchange: 'NSE',
  }));
  const clients = await target.openMany(2);
  await Promise.all(clients.map((client) => client.ask({ action: 'subscribe', symbols, mode: 'LTP' })));
  const instrument = { symbol: 'EQUAL0', exchange: 'NSE' };
  await target.paced(900, (number) => {
    clients[0]?.send({ action: number % 2 === 0 ? 'unsubscribe' : 'subscribe', symbols: [instrument], mode: 'LTP' });
    target.tally.did('switches');
  });
}

/** Subscribes to everything again and again, each of the clients so many times a second. */
export async function wildcardAgain(target: Target, clients: number): Promise<void> {
  const open = await target.openMany(clients);
  await target.paced(900, () => {
    for (const client of open) client.send({ action: 'subscribe', symbols: [EVERYTHING], mode: 'LTP' });
    target.tally.did('subscribes', open.length);
  });
}

/** Each client wants the ticking topics at an interval that no other has. */
export async function manyIntervals(target: Target): Promise<void> {
  const symbols = Array.from({ length: 10 }, (_, topic) => ({ symbol: symbolOf(topic), exchange: 'NSE' }));
  const clients = await target.openMany(target.amount(300, 100));
  await Promise.all(
    clients.map((client, i) => client.ask({ action: 'subscribe', symbols, mode: 'LTP', interval_ms: i + 1 })),
  );
  await target.untilOver();
}
