import { createServer } from 'node:net';
import { SetupError } from '../setup-error.ts';
import type { Address } from './checkout.ts';
import { holderOf, type PortHolder } from './port-holder.ts';

/** How OpenAlgo is kept from starting its own server. */
const WITHOUT_SERVER =
  "put APP_MODE='standalone' into OpenAlgo's .env and start OpenAlgo again (in Docker: start it without websocket_proxy.server)";

/**
 * Makes sure that an address can be listened on.
 *
 * @param setting what it is called, for messages
 * @throws SetupError `ERR_PORT_IN_USE` naming who has it; `ERR_INVALID_OPTION` where it is no address of this machine
 */
export async function requireFree({ host, port }: Address, setting: string): Promise<void> {
  if (port === 0) return;
  const error = await listenOnce(host === '*' ? '0.0.0.0' : host, port);
  if (error === undefined) return;
  const where = `${host}:${port} (${setting})`;
  if (error.code === 'EADDRINUSE') throw new SetupError('ERR_PORT_IN_USE', `${where} ${takenBy(holderOf(port))}`);
  throw new SetupError(
    'ERR_INVALID_OPTION',
    `${where} cannot be listened on: ${error.message}; give an address of this machine and a port above 1023`,
  );
}

async function listenOnce(host: string, port: number): Promise<NodeJS.ErrnoException | undefined> {
  const server = createServer();
  const error = await new Promise<NodeJS.ErrnoException | undefined>((resolve) => {
    server.once('error', resolve);
    server.listen({ host, port, exclusive: true }, () => resolve(undefined));
  });
  if (error === undefined) await new Promise((resolve) => server.close(resolve));
  return error;
}

function takenBy(holder: PortHolder | undefined): string {
  if (holder === undefined) return `is taken by another process; if that is OpenAlgo's own server, ${WITHOUT_SERVER}`;
  const who = `is taken by process ${holder.pid} (${holder.command})`;
  if (/openalgo[-_]shm|dist\/cli\/main\.js/.test(holder.command)) {
    return `${who}, which belongs to openalgo-shm already; end it first`;
  }
  return `${who}; end it, and if it is OpenAlgo's own server, ${WITHOUT_SERVER}`;
}
