import type { Target } from '../target.ts';

const subscribe = (symbols: object[]): object => ({ action: 'subscribe', symbols, mode: 'LTP' });

let invented = 0;

/** Names that nobody has used before. */
function inventedSymbols(count: number): object[] {
  return Array.from({ length: count }, () => {
    invented += 1;
    return { symbol: `X${invented.toString(36).toUpperCase()}`, exchange: 'NSE' };
  });
}

/** Asks for a list, again as soon as it is answered. */
export async function wildcardList(target: Target): Promise<void> {
  const message = subscribe(Array.from({ length: 34_000 }, () => ({ symbol: '*', exchange: '*' })));
  let client = await target.open();
  while (!target.isOver) {
    if (!client.isOpen) client = await target.open();
    await client.ask(message);
    target.tally.did('lists');
  }
}

/** Asks for lists of new names and leaves them again, so that there is always room for the next. */
export async function inventedLists(target: Target, clients: number): Promise<void> {
  const length = target.amount(10_000, 5_000);
  await target.parallel(clients, async () => {
    let client = await target.open();
    while (!target.isOver) {
      if (!client.isOpen) client = await target.open();
      await client.ask(subscribe(inventedSymbols(length)));
      await client.ask({ action: 'unsubscribe_all' });
      target.tally.did('lists');
    }
  });
}

/** Asks for lists of 750 KB and leaves nothing, so that most of each list is beyond the client's limit. */
export async function longLists(target: Target, clients: number): Promise<void> {
  const entryBytes = JSON.stringify({ symbol: 'X123456', exchange: 'NSE' }).length + 1;
  const length = Math.floor((750 * 1024) / entryBytes);
  await target.parallel(clients, async () => {
    let client = await target.open();
    while (!target.isOver) {
      if (!client.isOpen) client = await target.open();
      await client.ask(subscribe(inventedSymbols(length)));
      target.tally.did('lists');
    }
  });
}
