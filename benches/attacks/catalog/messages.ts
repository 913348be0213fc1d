import { OPCODE, clientFrame } from '../frames.ts';
import type { Target } from '../target.ts';

const PING_FRAME = clientFrame('attack', { opcode: OPCODE.PING });

/** Clients just below the limit of 1,000 messages a second, with as many ping frames, and one client far above it. */
export async function tinyMessages(target: Target, clients: number): Promise<void> {
  const open = await target.openMany(clients);
  const greedy = await target.open();
  await target.paced(900, () => {
    for (const client of open) {
      client.send({ action: 'ping' });
      client.write(PING_FRAME);
    }
    for (let i = 0; i < 20; i++) greedy.send({ action: 'ping' });
    target.tally.did('pings', 2 * open.length + 20);
  });
}
