import { OpenAlgoShmError } from '../errors.ts';
import { SharedMemorySubscriber } from '../shm/subscriber.ts';
import type { TickView } from '../shm/tick-view.ts';

/** Looks for the ring again this often once it is gone, ms. */
const LOOK_MS = 500;

/**
 * Reads the ticks of a ring that others have made, without ever making one; follows the name when the ring is
 * removed and made anew.
 */
export class RingReader {
  readonly #ring: string;
  readonly #onTick: (tick: TickView) => void;
  #subscriber: SharedMemorySubscriber | undefined;
  readonly #look: NodeJS.Timeout;
  #lostBefore = 0;

  /** @throws OpenAlgoShmError `ERR_SHM_NOT_FOUND` and those of opening a ring */
  constructor(ring: string, from: 'newest' | 'oldest', onTick: (tick: TickView) => void) {
    this.#ring = ring;
    this.#onTick = onTick;
    this.#join(from);
    this.#look = setInterval(() => this.#follow(), LOOK_MS);
  }

  /** True while there is a ring. */
  get attached(): boolean {
    return this.#subscriber !== undefined;
  }

  /** Ticks that were overwritten before they were read. */
  get lost(): number {
    return this.#lostBefore + (this.#subscriber?.getStats().messagesLost ?? 0);
  }

  close(): void {
    clearInterval(this.#look);
    this.#leave();
  }

  #join(from: 'newest' | 'oldest'): void {
    const options = { name: this.#ring, subscriberName: 'watch', from, register: false, create: false };
    const subscriber = new SharedMemorySubscriber(options).start();
    subscriber.onBatch((batch) => {
      for (const tick of batch) this.#onTick(tick);
    });
    this.#subscriber = subscriber;
  }

  #leave(): void {
    if (this.#subscriber !== undefined) this.#lostBefore = this.lost;
    this.#subscriber?.close();
    this.#subscriber = undefined;
  }

  #follow(): void {
    if (this.#subscriber?.isCurrent() === true) return;
    this.#leave();
    try {
      this.#join('oldest');
    } catch (error) {
      // It cannot be joined yet; the next look tries again.
      if (!(error instanceof OpenAlgoShmError)) throw error;
    }
  }
}
