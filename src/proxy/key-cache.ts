import type { Asker, Authenticator, Identity, KeyCheck } from './auth.ts';
import { type KeyCheckLimits, TooManyKeyChecks } from './key-check-limits.ts';
import { OldestFirst } from './oldest-first.ts';
import { digestOf } from './static-keys.ts';

/** How long a refused key is remembered at most, ms. */
const REFUSED_MS = 10_000;

/** Most keys without a session that are remembered as accepted, and as refused; the oldest of each goes first. */
const MAX_REMEMBERED = 10_000;

/** Shortest time between two looks for keys to check again, ms. */
const SHORTEST_ROUND_MS = 20;

interface Remembered {
  readonly id: string;
  /** The key itself, only while a session that it opened lives: those that were refused may be long, and many. */
  key: string | undefined;
  identity: Identity | undefined;
  checkedAt: number;
  /** Whether the key may have been revoked since: it is checked again as soon as that can be. */
  isDoubtful: boolean;
  /** Set while a check is under way. */
  checking: Promise<Identity | undefined> | undefined;
  /** Those that it is for, until it has ended. */
  askers: Set<Asker>;
  watchers: Set<(identity: Identity | undefined) => void>;
}

/** What a {@link KeyCache} may have. */
export interface KeyCacheOptions {
  /** Bounds of the checks of new keys. */
  limits?: KeyCheckLimits;
  /** Ends what the check has open. */
  onClose?: () => void;
}

/**
 * Asks a check once per key and cache time, and checks the keys of live sessions again before that time
 * is over, so that a revoked key ends them within it.
 */
export class KeyCache implements Authenticator {
  readonly open = false;
  readonly #check: KeyCheck;
  readonly #cacheMs: number;
  readonly #onTrouble: (error: unknown) => void;
  readonly #options: KeyCacheOptions;
  readonly #remembered = new Map<string, Remembered>();
  /** Those that neither a session nor a check needs: refused ones put no accepted ones away. */
  readonly #idle = { accepted: new OldestFirst<Remembered>(), refused: new OldestFirst<Remembered>() };
  readonly #round: NodeJS.Timeout | undefined;
  /** Grows whenever keys may have changed: what was asked before says nothing of now. */
  #generation = 0;

  constructor(check: KeyCheck, cacheMs: number, onTrouble: (error: unknown) => void, options: KeyCacheOptions = {}) {
    this.#options = options;
    this.#check = check;
    this.#cacheMs = cacheMs;
    this.#onTrouble = onTrouble;
    if (cacheMs === Infinity) return;
    this.#round = setInterval(() => this.#checkWatched(), Math.max(SHORTEST_ROUND_MS, cacheMs / 8));
    this.#round.unref();
  }

  async verify(key: string, asker: Asker): Promise<Identity | undefined> {
    const known = this.#remembered.get(idOf(key));
    if (known !== undefined && this.#isFresh(known)) {
      if (known.isDoubtful) {
        known.askers.add(asker);
        this.#checkAgain(known, key);
      }
      return known.identity;
    }
    const entry = known ?? this.#entryOf(key);
    entry.askers.add(asker);
    // A key that was accepted before is no guess: those who guess from its owner's address do not keep it out.
    return this.#refresh(entry, key, entry.identity === undefined ? asker.address : undefined);
  }

  watch(key: string, onChecked: (identity: Identity | undefined) => void): () => void {
    const entry = this.#entryOf(key);
    // A function of its own, so that two sessions never share an entry of the set.
    const watcher = (identity: Identity | undefined): void => onChecked(identity);
    entry.watchers.add(watcher);
    entry.key = key;
    this.#sort(entry);
    // It was refused after it had been accepted, and before it was watched.
    if (entry.identity === undefined) this.#checkAgain(entry);
    return () => {
      entry.watchers.delete(watcher);
      if (entry.watchers.size > 0) return;
      entry.key = undefined;
      this.#sort(entry);
    };
  }

  /** Keys may have changed: forgets what was known, and checks the keys of all live sessions again now. */
  recheck(): void {
    this.#generation += 1;
    for (const entry of this.#remembered.values()) {
      entry.checkedAt = -Infinity;
      this.#checkAgain(entry);
    }
  }

  /**
   * Keys may have changed, unheard: checks those of all live sessions again now, and others that were accepted when they
   * are used next; they hold until the answer is there. What was refused is forgotten.
   */
  doubt(): void {
    for (const entry of this.#remembered.values()) {
      if (entry.identity === undefined) entry.checkedAt = -Infinity;
      entry.isDoubtful = true;
      this.#checkAgain(entry);
    }
  }

  close(): void {
    clearInterval(this.#round);
    this.#remembered.clear();
    this.#idle.accepted.clear();
    this.#idle.refused.clear();
    this.#options.limits?.close();
    this.#options.onClose?.();
  }

  #entryOf(key: string): Remembered {
    const id = idOf(key);
    let entry = this.#remembered.get(id);
    if (entry === undefined) {
      entry = {
        id,
        key: undefined,
        identity: undefined,
        checkedAt: -Infinity,
        isDoubtful: false,
        checking: undefined,
        askers: new Set(),
        watchers: new Set(),
      };
      this.#remembered.set(id, entry);
    }
    return entry;
  }

  #isFresh(entry: Remembered): boolean {
    const lifetime = entry.identity === undefined ? Math.min(REFUSED_MS, this.#cacheMs) : this.#cacheMs;
    return performance.now() - entry.checkedAt < lifetime;
  }

  /** @param address where a new key comes from; undefined for one that was accepted before. */
  #refresh(entry: Remembered, key: string, address: string | undefined): Promise<Identity | undefined> {
    if (entry.checking === undefined) {
      entry.checking = this.#askWithin(entry, key, address).finally(() => {
        entry.checking = undefined;
        entry.askers.clear();
        this.#sort(entry);
      });
      this.#sort(entry);
    }
    return entry.checking;
  }

  async #askWithin(entry: Remembered, key: string, address: string | undefined): Promise<Identity | undefined> {
    const begun = this.#options.limits?.begin({ address, isWanted: () => isWanted(entry) });
    // At once where it can be: a check that is to go before others is asked for in this turn.
    const end = begun instanceof Promise ? await begun : begun;
    const wasWrong = entry.identity === undefined && entry.checkedAt !== -Infinity;
    let isGuess = false;
    try {
      const identity = await this.#ask(entry, key, address === undefined);
      // The same wrong key again is a key that nobody has changed yet, and no guess.
      isGuess = identity === undefined && !wasWrong;
      return identity;
    } finally {
      end?.(isGuess);
    }
  }

  // What was asked before keys changed may be wrong now, and is asked once more.
  async #ask(entry: Remembered, key: string, recheck: boolean): Promise<Identity | undefined> {
    const generation = this.#generation;
    const identity = await this.#check(key, { recheck, isWanted: () => isWanted(entry) });
    if (generation !== this.#generation) return this.#ask(entry, key, recheck);
    entry.identity = identity;
    entry.checkedAt = performance.now();
    entry.isDoubtful = false;
    for (const onChecked of [...entry.watchers]) onChecked(identity);
    return identity;
  }

  // A check that fails says nothing about the key: its sessions go on, and it is asked again next time.
  #checkWatched(): void {
    for (const entry of this.#remembered.values()) {
      if (entry.isDoubtful || performance.now() - entry.checkedAt >= this.#cacheMs * 0.75) this.#checkAgain(entry);
    }
  }

  #checkAgain(entry: Remembered, key = entry.key): void {
    if (key === undefined || entry.checking !== undefined) return;
    this.#refresh(entry, key, undefined).catch((error: unknown) => {
      // Its sessions have ended meanwhile.
      if (!(error instanceof TooManyKeyChecks)) this.#onTrouble(error);
    });
  }

  /** Notes whether an entry may be forgotten, and forgets the oldest of too many. */
  #sort(entry: Remembered): void {
    const { accepted, refused } = this.#idle;
    accepted.delete(entry);
    refused.delete(entry);
    const isNeeded = entry.watchers.size > 0 || entry.checking !== undefined;
    if (isNeeded || this.#remembered.get(entry.id) !== entry) return;
    // Nothing is known of it: it could not be checked.
    if (entry.checkedAt === -Infinity) return void this.#remembered.delete(entry.id);
    const idle = entry.identity === undefined ? refused : accepted;
    idle.add(entry);
    if (idle.size <= MAX_REMEMBERED) return;
    const oldest = idle.takeOldest();
    if (oldest !== undefined) this.#remembered.delete(oldest.id);
  }
}

function isWanted({ key, askers }: Remembered): boolean {
  return key !== undefined || [...askers].some(({ isGone }) => !isGone);
}

function idOf(key: string): string {
  return digestOf(key).toString('base64');
}
