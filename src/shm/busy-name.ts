import { setTimeout as sleep } from 'node:timers/promises';
import { hasCode } from '../errors.ts';
import { withoutWaiting } from './options.ts';

/** How long another process may take to create or remove a ring, ms. */
const PATIENCE_MS = 3_000;
/** Time between two attempts, ms. */
const PAUSE_MS = 20;

/**
 * Makes a call again and again while another process creates or removes the ring of the same name, for three seconds at
 * most. The event loop keeps turning meanwhile.
 *
 * @param call leaves nothing behind where it throws
 * @throws {OpenAlgoShmError} `ERR_SHM_BUSY`, and whatever else the call throws
 */
export async function whenNameIsFree<T>(call: () => T): Promise<T> {
  for (const began = performance.now(); ; await sleep(PAUSE_MS)) {
    try {
      return withoutWaiting(call);
    } catch (error) {
      if (!hasCode(error, 'ERR_SHM_BUSY') || performance.now() - began >= PATIENCE_MS) throw error;
    }
  }
}
