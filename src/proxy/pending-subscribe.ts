import { type Answer, type SubscriptionLine, failedLine } from './answers.ts';

/** A line of a subscribe's answer that a feed may still tell the result of. */
export interface AskedLine {
  /** Its place in the answer. */
  line: number;
  /** What it asks for, by `subscriptionKey`. */
  key: number;
}

/** The answer to a subscribe that has not gone out yet: feeds may still tell what becomes of its lines. */
export class PendingSubscribe {
  readonly #lines: SubscriptionLine[];
  readonly #depth: number;
  readonly #answer: (lines: readonly SubscriptionLine[]) => Answer;
  readonly #places = new Map<number, number[]>();
  /** What no result is known of yet. */
  readonly #open: Set<number>;
  #timer: NodeJS.Timeout | undefined;

  /**
   * @param depth levels a side that the client can get at most.
   * @param asked the lines that may change.
   * @param open the keys of those whose results are waited for.
   * @param answer makes the answer of the lines.
   */
  constructor(
    lines: SubscriptionLine[],
    depth: number,
    asked: readonly AskedLine[],
    open: Set<number>,
    answer: (lines: readonly SubscriptionLine[]) => Answer,
  ) {
    this.#lines = lines;
    this.#depth = depth;
    this.#open = open;
    this.#answer = answer;
    for (const { line, key } of asked) {
      const places = this.#places.get(key);
      if (places === undefined) this.#places.set(key, [line]);
      else places.push(line);
    }
  }

  /** What feeds may still tell the result of. */
  get keys(): Iterable<number> {
    return this.#places.keys();
  }

  /** Number of its lines. */
  get length(): number {
    return this.#lines.length;
  }

  /** Whether nothing is waited for any more. */
  get isReady(): boolean {
    return this.#open.size === 0;
  }

  /** Waits at most this long, ms. */
  startTimer(timeoutMs: number, onTimeout: () => void): void {
    if (this.isReady) return;
    this.#timer = setTimeout(() => {
      this.giveUp();
      onTimeout();
    }, timeoutMs);
    this.#timer.unref();
  }

  /** The broker took it. @param depth levels a side that will come, where they are known */
  accept(key: number, depth: number | undefined): void {
    if (!this.#open.delete(key) || depth === undefined) return;
    for (const place of this.#places.get(key) ?? []) {
      (this.#lines[place] as SubscriptionLine).depth = Math.min(this.#depth, depth);
    }
  }

  /** The broker refused it. */
  refuse(key: number, message: string): void {
    this.#open.delete(key);
    for (const place of this.#places.get(key) ?? []) {
      const line = this.#lines[place] as SubscriptionLine;
      this.#lines[place] = failedLine(line, message, line.broker);
    }
  }

  /** The client does not want it any more: its line stays as it is, whatever the broker says. */
  leave(key: number): void {
    this.#open.delete(key);
    this.#places.delete(key);
  }

  /** The client wants nothing any more. */
  leaveAll(): void {
    this.#open.clear();
    this.#places.clear();
  }

  /** Waits no longer. */
  giveUp(): void {
    this.#open.clear();
  }

  /** Ends the wait. @returns the answer as it is now */
  end(): Answer {
    clearTimeout(this.#timer);
    return this.#answer(this.#lines);
  }
}
