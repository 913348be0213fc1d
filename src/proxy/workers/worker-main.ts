import { OpenAlgoShmError } from '../../errors.ts';
import { WebSocketProxy } from '../websocket-proxy.ts';
import type { WorkerOptions } from './messages.ts';
import { PrimaryLink } from './primary-link.ts';
import type { WorkerPlace } from './worker-place.ts';

// The process of one worker. It ends with its primary.

let proxy: WebSocketProxy | undefined;
let ending: Promise<void> | undefined;

const link = new PrimaryLink({
  start: (place, options) => void start(place, options),
  stop: () => void end(),
});

// A terminal sends these to all processes of the command: the primary says when to end.
process.on('SIGINT', () => {});
process.on('SIGHUP', () => {});
process.on('SIGTERM', () => void end());

async function start(worker: WorkerPlace, options: WorkerOptions): Promise<void> {
  try {
    proxy = new WebSocketProxy({ ...options, worker });
    await proxy.start();
  } catch (error) {
    if (!(error instanceof OpenAlgoShmError)) throw error;
    link.tell({ type: 'failed', code: error.code, message: error.message });
    return;
  }
  const address = proxy.address();
  if (address !== undefined) link.tell({ type: 'ready', address });
}

function end(): Promise<void> {
  ending ??= (async () => {
    await proxy?.stop();
    process.exit(0);
  })();
  return ending;
}
