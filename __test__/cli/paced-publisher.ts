import { SharedMemoryPublisher, type PublisherOptions } from '../../src/shm/publisher.ts';

/** Ms from one batch to the next. */
const EVERY_MS = 5;

/** A publisher that publishes LTP ticks at a pace which it never exceeds. */
export class PacedPublisher {
  readonly publisher: SharedMemoryPublisher;
  readonly #timer: NodeJS.Timeout;

  constructor(options: PublisherOptions, ticksPerSecond: number) {
    this.publisher = new SharedMemoryPublisher(options).start();
    const ticks = Array.from({ length: (ticksPerSecond * EVERY_MS) / 1000 }, (_, ltp) => ({ symbol: 'TCS', ltp }));
    this.#timer = setInterval(() => this.publisher.publishBatch(ticks), EVERY_MS);
  }

  end(): void {
    clearInterval(this.#timer);
    this.publisher.cleanup();
  }
}
