import type { KeyedFrame } from './frames.ts';

/** What a slow client still has to get: of each topic and mode only the newest tick, in the order they came. */
export class Conflation {
  readonly #frames = new Map<number, string>();
  #replaced = 0;
  /** Called once all that was kept has been taken. */
  onEnd: (() => void) | undefined;

  /** Ticks that newer ones have taken the place of. */
  get replaced(): number {
    return this.#replaced;
  }

  get isEmpty(): boolean {
    return this.#frames.size === 0;
  }

  /** Keeps a frame; true if it took the place of an older one. */
  put(key: number, frame: string): boolean {
    const replaces = this.#frames.delete(key);
    if (replaces) this.#replaced += 1;
    this.#frames.set(key, frame);
    return replaces;
  }

  /** Takes out the oldest frames, at least one, while they are within `maxBytes` together. */
  take(maxBytes: number): KeyedFrame[] {
    const taken: KeyedFrame[] = [];
    let bytes = 0;
    for (const [key, frame] of this.#frames) {
      if (taken.length > 0 && bytes + frame.length > maxBytes) break;
      bytes += frame.length;
      taken.push([key, frame]);
      this.#frames.delete(key);
    }
    return taken;
  }

  /** Drops the frames that are no longer wanted. */
  keep(isWanted: (key: number) => boolean): void {
    for (const key of this.#frames.keys()) {
      if (!isWanted(key)) this.#frames.delete(key);
    }
  }
}
