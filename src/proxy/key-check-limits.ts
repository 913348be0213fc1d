import { addressGroup, isLoopback } from './addresses.ts';
import { OldestFirst } from './oldest-first.ts';

/** Checks that are under way at the same time. */
const MOST = 8;
/** Of these, new keys: keys of live sessions are checked again although new ones hang. */
const MOST_NEW = 6;
/** Of these, those of one address. */
const MOST_OF_ADDRESS = 2;
/** New keys that wait. */
const MOST_WAITING = 256;
/** Of these, those of one address. */
const MOST_WAITING_OF_ADDRESS = 16;
/** How long a new key waits, ms: OpenAlgo's clients wait five seconds for their answer. */
const LONGEST_WAIT_MS = 4_000;
/** Addresses whose wrong keys are remembered. */
const MOST_ADDRESSES = 10_000;

/** How many wrong keys an address may try at once, and how many more a second. */
interface Guesses {
  atOnce: number;
  perSecond: number;
}
const GUESSES: Guesses = { atOnce: 10, perSecond: 0.2 };
/** Of this machine: behind a local reverse proxy all clients have its address. */
const GUESSES_OF_THIS_MACHINE: Guesses = { atOnce: 100, perSecond: 5 };

/** A key is not checked, since too many are being checked already, or were wrong; it may be later. */
export class TooManyKeyChecks extends Error {
  override readonly name = 'TooManyKeyChecks';
}

/** Ends a check. @param isGuess whether the key was refused, and for the first time */
export type EndCheck = (isGuess: boolean) => void;

/** What wants to be checked. */
export interface CheckRequest {
  /** Where the new key comes from; undefined for a key that was accepted before, which goes first and is not refused. */
  address: string | undefined;
  /** Whether anybody waits for the result. */
  isWanted(): boolean;
}

interface Waiting extends CheckRequest {
  timer: NodeJS.Timeout | undefined;
  begin(end: EndCheck): void;
  refuse(error: Error): void;
}

/**
 * Bounds the keys that are being checked at the same time, and slows down those who try wrong ones: a check costs its
 * server far more than a guess costs whoever sends it. What is beyond the bound waits for a moment. This machine's own
 * addresses have only the bounds of all, since behind a local reverse proxy all clients have those.
 */
export class KeyCheckLimits {
  readonly #ofAddress = new Map<string, { underWay: number; waiting: number }>();
  /** Keys that were accepted before, and wait. */
  readonly #again = new Set<Waiting>();
  /** New keys that wait. */
  readonly #new = new Set<Waiting>();
  /** How many wrong keys the addresses that tried some may try at once now. */
  readonly #wrong = new Map<string, { left: number; at: number }>();
  readonly #guessers = new OldestFirst<string>();
  #underWay = 0;
  /** Of these, new keys. */
  #newUnderWay = 0;

  /**
   * Begins a check, at once or when there is room for it.
   *
   * @returns a function that ends it, to be called once; a promise of it where it has to wait.
   * @throws {TooManyKeyChecks} where too many wait, for too long, or an address has tried too many wrong keys.
   */
  begin({ address, isWanted }: CheckRequest): EndCheck | Promise<EndCheck> {
    const group = address === undefined ? undefined : addressGroup(address);
    const obstacle = this.#tooManyGuesses(group);
    if (obstacle !== undefined) throw obstacle;
    if (this.#hasRoom(group)) return this.#start(group);
    if (group !== undefined) this.#refuseCrowd(group);
    return new Promise((resolve, reject) => {
      const waiting: Waiting = { address: group, isWanted, timer: undefined, begin: resolve, refuse: reject };
      if (group === undefined) return void this.#again.add(waiting);
      waiting.timer = setTimeout(() => this.#leave(waiting, tooMany()), LONGEST_WAIT_MS).unref();
      this.#new.add(waiting);
      this.#of(group).waiting += 1;
    });
  }

  /** Refuses whatever waits. */
  close(): void {
    for (const waiting of [...this.#again, ...this.#new]) this.#leave(waiting, tooMany());
  }

  #hasRoom(group: string | undefined): boolean {
    if (this.#underWay >= MOST) return false;
    if (group === undefined) return true;
    if (this.#newUnderWay >= MOST_NEW) return false;
    const underWay = this.#ofAddress.get(group)?.underWay ?? 0;
    if (underWay >= MOST_OF_ADDRESS && !isLoopback(group)) return false;
    // All that are under way may turn out to be wrong.
    return this.#guessesLeft(group) - underWay >= 1;
  }

  #refuseCrowd(group: string): void {
    const ofAddress = this.#ofAddress.get(group)?.waiting ?? 0;
    const isCrowd = ofAddress >= MOST_WAITING_OF_ADDRESS && !isLoopback(group);
    if (isCrowd || this.#new.size >= MOST_WAITING) throw tooMany();
  }

  #start(group: string | undefined): EndCheck {
    this.#underWay += 1;
    if (group !== undefined) {
      this.#newUnderWay += 1;
      this.#of(group).underWay += 1;
    }
    return (isGuess) => {
      this.#underWay -= 1;
      if (group !== undefined) {
        this.#newUnderWay -= 1;
        this.#of(group).underWay -= 1;
        this.#forgetIfIdle(group);
        if (isGuess) this.#noteWrong(group);
      }
      this.#next();
    };
  }

  #next(): void {
    for (const queue of [this.#again, this.#new]) {
      for (const waiting of queue) {
        if (this.#underWay >= MOST) return;
        const { address } = waiting;
        const obstacle = waiting.isWanted()
          ? this.#tooManyGuesses(address)
          : new TooManyKeyChecks('Nobody waits for the result any more');
        if (obstacle !== undefined) this.#leave(waiting, obstacle);
        else if (this.#hasRoom(address)) {
          this.#leave(waiting);
          waiting.begin(this.#start(address));
        }
      }
    }
  }

  #leave(waiting: Waiting, error?: Error): void {
    clearTimeout(waiting.timer);
    this.#again.delete(waiting);
    if (this.#new.delete(waiting) && waiting.address !== undefined) {
      this.#of(waiting.address).waiting -= 1;
      this.#forgetIfIdle(waiting.address);
    }
    if (error !== undefined) waiting.refuse(error);
  }

  #of(group: string): { underWay: number; waiting: number } {
    let counts = this.#ofAddress.get(group);
    if (counts === undefined) this.#ofAddress.set(group, (counts = { underWay: 0, waiting: 0 }));
    return counts;
  }

  #forgetIfIdle(group: string): void {
    const { underWay, waiting } = this.#of(group);
    if (underWay === 0 && waiting === 0) this.#ofAddress.delete(group);
  }

  #tooManyGuesses(group: string | undefined): TooManyKeyChecks | undefined {
    if (group === undefined) return undefined;
    const left = this.#guessesLeft(group);
    if (left >= 1) return undefined;
    const seconds = Math.ceil((1 - left) / guessesOf(group).perSecond);
    return new TooManyKeyChecks(`Too many wrong API keys from this address; try again in ${seconds} s`);
  }

  #guessesLeft(group: string): number {
    const { atOnce, perSecond } = guessesOf(group);
    const known = this.#wrong.get(group);
    if (known === undefined) return atOnce;
    return Math.min(atOnce, known.left + ((performance.now() - known.at) / 1000) * perSecond);
  }

  #noteWrong(group: string): void {
    const left = Math.max(0, this.#guessesLeft(group) - 1);
    this.#wrong.set(group, { left, at: performance.now() });
    this.#guessers.add(group);
    if (this.#guessers.size <= MOST_ADDRESSES) return;
    const oldest = this.#guessers.takeOldest();
    if (oldest !== undefined) this.#wrong.delete(oldest);
  }
}

function guessesOf(group: string): Guesses {
  return isLoopback(group) ? GUESSES_OF_THIS_MACHINE : GUESSES;
}

function tooMany(): TooManyKeyChecks {
  return new TooManyKeyChecks('Too many API keys are being checked; try again');
}
