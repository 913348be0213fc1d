import type { Target } from '../target.ts';

/** Keys that a connection tries: fewer than the messages that it may send in a second. */
const KEYS_OF_CONNECTION = 900;
const KEYS_AT_A_TIME = 50;

/** Tries wrong keys, on new connections in turn, as fast as they are answered. */
export async function wrongKeys(target: Target): Promise<void> {
  const most = target.amount(111_600, 10_000);
  let tried = 0;
  const goesOn = (): boolean => tried < most && !target.isOver;
  await target.parallel(20, async () => {
    while (goesOn()) {
      const client = await target.open({ authenticate: false });
      for (let sent = 0; sent < KEYS_OF_CONNECTION && client.isOpen && goesOn(); sent += KEYS_AT_A_TIME) {
        const asked = Array.from({ length: KEYS_AT_A_TIME }, () => {
          tried += 1;
          target.tally.did('keys');
          return client.ask({ action: 'authenticate', api_key: `wrong-${tried}-${Math.random()}` });
        });
        await Promise.all(asked);
      }
      client.leave();
      target.forget(client);
    }
  });
}
