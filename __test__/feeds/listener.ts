import type { Tick } from '../../src/message.ts';
import type { RingOptions } from '../../src/shm/options.ts';
import { LockFreeRingBuffer } from '../../src/shm/ring-buffer.ts';
import { SharedMemorySubscriber } from '../../src/shm/subscriber.ts';

/** Everything that arrives in a ring of the test's own, from before the first tick on. */
export class Listener {
  readonly ring: RingOptions & { name: string };
  readonly ticks: Tick[] = [];
  readonly publishers = new Set<string>();
  readonly #subscriber: SharedMemorySubscriber;

  constructor(name: string, ring: RingOptions = {}) {
    this.ring = { ...ring, name: `test-${name}-${process.pid}` };
    this.#subscriber = new SharedMemorySubscriber(this.ring).start();
    this.#subscriber.onBatch((batch) => {
      for (const view of batch) {
        this.ticks.push(view.toTick());
        this.publishers.add(view.publisher);
      }
    });
  }

  /** Waits, generously, until a condition holds. */
  async until(what: string, condition: (listener: this) => boolean): Promise<void> {
    const deadline = performance.now() + 30_000;
    while (!condition(this)) {
      if (performance.now() > deadline)
        throw new Error(`after 30 s still not: ${what}; ${this.ticks.length} ticks arrived`);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }

  get stats() {
    return this.#subscriber.getStats();
  }

  /** True while somebody holds a lane. */
  get hasPublisher(): boolean {
    const ring = LockFreeRingBuffer.open(this.ring.name);
    try {
      return ring.stats().publishers.some(({ alive }) => alive);
    } finally {
      ring.close();
    }
  }

  /** Gives everything back and removes the ring. */
  close(): void {
    this.#subscriber.close();
    LockFreeRingBuffer.unlink(this.ring.name);
  }
}
