import { OPCODE, frameHeader } from '../frames.ts';
import type { Target } from '../target.ts';

const MESSAGE_BYTES = 1024 * 1024;
/** A list whose end never comes. One buffer for all clients: it costs the attacker nothing. */
const BEGINNING = Buffer.alloc(MESSAGE_BYTES, '{"action":"subscribe","symbols":[{"symbol":"SBIN","exchange":"NSE"},');

/**
 * Sends messages of 1 MiB without their end: every other client a first fragment, the others a frame whose last byte
 * is missing.
 *
 * @param mustClose whether the server has to close them by itself.
 */
export async function unfinishedMessages(target: Target, mustClose: boolean): Promise<void> {
  const clients = await target.openMany(target.amount(1_000, 100));
  for (const [number, client] of clients.entries()) {
    if (number % 2 === 0) {
      client.write(frameHeader(MESSAGE_BYTES - 1, { opcode: OPCODE.TEXT, final: false }));
      client.write(BEGINNING.subarray(0, MESSAGE_BYTES - 1));
    } else {
      client.write(frameHeader(MESSAGE_BYTES));
      client.write(BEGINNING.subarray(0, MESSAGE_BYTES - 1));
    }
    target.tally.did('unfinished messages');
    if (number % 20 === 19) await new Promise((resolve) => setImmediate(resolve));
  }
  await target.untilOver();
  if (mustClose) await Promise.all(clients.map((client) => client.awaitClose()));
}
