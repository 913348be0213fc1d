import type { Authenticator, Identity, KeyCheck } from './auth.ts';
import { digestOf } from './static-keys.ts';

/** How long a refused key is remembered at most, ms. */
const REFUSED_MS = 10_000;

/** Most keys remembered; the oldest without a session goes first. */
const MAX_REMEMBERED = 10_000;

/** Shortest time between two looks for keys to check again, ms. */
const SHORTEST_ROUND_MS = 20;

interface Remembered {
  /** The key itself, only while a session that it opened lives: those that were refused may be long, and many. */
  key: string | undefined;
  identity: Identity | undefined;
  checkedAt: number;
  /** Set while a check is under way. */
  checking: Promise<Identity | undefined> | undefined;
  watchers: Set<() => void>;
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
  readonly #onClose: () => void;
  readonly #remembered = new Map<string, Remembered>();
  readonly #round: NodeJS.Timeout | undefined;
  /** Grows whenever keys may have changed: what was asked before says nothing of now. */
  #generation = 0;

  /** @param onClose ends what the check has open. */
  constructor(
    check: KeyCheck,
    cacheMs: number,
    onTrouble: (error: unknown) => void,
    onClose: () => void = () => undefined,
  ) {
    this.#onClose = onClose;
    this.#check = check;
    this.#cacheMs = cacheMs;
    this.#onTrouble = onTrouble;
    if (cacheMs === Infinity) return;
    this.#round = setInterval(() => this.#checkWatched(), Math.max(SHORTEST_ROUND_MS, cacheMs / 8));
    this.#round.unref();
  }

  async verify(key: string): Promise<Identity | undefined> {
    const entry = this.#entryOf(key);
    if (entry.checking === undefined && this.#isFresh(entry)) return entry.identity;
    return this.#refresh(entry, key);
  }

  watch(key: string, onRevoked: () => void): () => void {
    const entry = this.#entryOf(key);
    // A function of its own, so that two sessions never share an entry of the set.
    const watcher = (): void => onRevoked();
    entry.watchers.add(watcher);
    entry.key = key;
    return () => {
      entry.watchers.delete(watcher);
      if (entry.watchers.size === 0) entry.key = undefined;
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

  close(): void {
    clearInterval(this.#round);
    this.#remembered.clear();
    this.#onClose();
  }

  #entryOf(key: string): Remembered {
    const id = digestOf(key).toString('base64');
    let entry = this.#remembered.get(id);
    if (entry === undefined) {
      entry = { key: undefined, identity: undefined, checkedAt: -Infinity, checking: undefined, watchers: new Set() };
      this.#remembered.set(id, entry);
      this.#forgetOldest();
    }
    return entry;
  }

  #isFresh(entry: Remembered): boolean {
    const lifetime = entry.identity === undefined ? Math.min(REFUSED_MS, this.#cacheMs) : this.#cacheMs;
    return performance.now() - entry.checkedAt < lifetime;
  }

  #refresh(entry: Remembered, key: string): Promise<Identity | undefined> {
    entry.checking ??= this.#ask(entry, key).finally(() => {
      entry.checking = undefined;
    });
    return entry.checking;
  }

  // What was asked before keys changed may be wrong now, and is asked once more.
  async #ask(entry: Remembered, key: string): Promise<Identity | undefined> {
    const generation = this.#generation;
    const identity = await this.#check(key);
    if (generation !== this.#generation) return this.#ask(entry, key);
    entry.identity = identity;
    entry.checkedAt = performance.now();
    if (identity === undefined) for (const onRevoked of [...entry.watchers]) onRevoked();
    return identity;
  }

  // A check that fails says nothing about the key: its sessions go on, and it is asked again next time.
  #checkWatched(): void {
    for (const entry of this.#remembered.values()) {
      if (performance.now() - entry.checkedAt >= this.#cacheMs * 0.75) this.#checkAgain(entry);
    }
  }

  #checkAgain(entry: Remembered): void {
    if (entry.key === undefined || entry.checking !== undefined) return;
    this.#refresh(entry, entry.key).catch(this.#onTrouble);
  }

  #forgetOldest(): void {
    if (this.#remembered.size <= MAX_REMEMBERED) return;
    for (const [id, entry] of this.#remembered) {
      if (entry.watchers.size > 0 || entry.checking !== undefined) continue;
      this.#remembered.delete(id);
      return;
    }
  }
}
