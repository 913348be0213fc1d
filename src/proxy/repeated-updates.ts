import { createHash } from 'node:crypto';
import type { Body } from './protocol.ts';

/** How long two feeds may be apart that tell the same, ms. */
const APART_MS = 10_000;
/** Most order updates that are remembered. */
const MOST = 1_000;

interface Told {
  at: number;
  /** How often each feed has told it, by its lane. */
  readonly times: Map<number, number>;
}

/**
 * Order updates that several feeds tell, as those of OpenAlgo's bus and of its WebSocket do. The same one from the same feed
 * once more is no repetition: that is how the broker has sent it.
 */
export class RepeatedUpdates {
  readonly #told = new Map<string, Told>();

  /**
   * Notes an order update.
   *
   * @param lane of the feed that tells it.
   * @param owner whose it is.
   * @returns whether another feed has told it as often already.
   */
  isRepeated(lane: number, owner: string, update: Body): boolean {
    const id = idOf(owner, update);
    const now = performance.now();
    let told = this.#told.get(id);
    if (told === undefined || now - told.at > APART_MS) told = { at: now, times: new Map() };
    // As the newest.
    this.#told.delete(id);
    this.#told.set(id, told);
    this.#forgetOldest();
    const before = Math.max(0, ...told.times.values());
    const times = (told.times.get(lane) ?? 0) + 1;
    told.times.set(lane, times);
    return times <= before;
  }

  #forgetOldest(): void {
    if (this.#told.size <= MOST) return;
    const [oldest] = this.#told.keys();
    if (oldest !== undefined) this.#told.delete(oldest);
  }
}

// Feeds differ in the order of the fields, and in those that are set again for each client.
function idOf(owner: string, { type: _type, user_id: _user, ...update }: Body): string {
  const fields = Object.entries(update).sort(([a], [b]) => (a < b ? -1 : 1));
  return createHash('sha256')
    .update(JSON.stringify([owner, fields]))
    .digest('base64');
}
