import { SharedMemoryPublisher, type PublisherOptions } from '../../src/shm/publisher.ts';
import { LockFreeRingBuffer } from '../../src/shm/ring-buffer.ts';
import { SharedMemorySubscriber, type SubscriberOptions } from '../../src/shm/subscriber.ts';
import type { Tick } from '../../src/message.ts';

/** A ring of a test's own, with everything that was started on it. */
export class TestRing {
  readonly name: string;
  readonly #open: { close(): void }[] = [];

  constructor(what: string) {
    this.name = `test-${what}-${process.pid}`;
  }

  publisher(options: PublisherOptions = {}): SharedMemoryPublisher {
    const made = new SharedMemoryPublisher({ name: this.name, ...options }).start();
    this.#open.push({ close: () => made.stop() });
    return made;
  }

  subscriber(options: SubscriberOptions = {}): SharedMemorySubscriber {
    const made = new SharedMemorySubscriber({ name: this.name, ...options }).start();
    this.#open.push(made);
    return made;
  }

  /** Closes all handles and removes the ring. */
  end(): void {
    for (const handle of this.#open.splice(0)) handle.close();
    LockFreeRingBuffer.unlink(this.name);
  }
}

/** Every tick that a reader has not read yet, as copies. */
export function drain(reader: SharedMemorySubscriber): Tick[] {
  const ticks: Tick[] = [];
  for (let batch = reader.poll(); batch.length > 0; batch = reader.poll()) {
    for (const tick of batch) ticks.push(tick.toTick());
  }
  return ticks;
}
