import { OpenAlgoShmError } from '../errors.ts';
import { userOfKey } from '../user-of-key.ts';
import { KeyCache } from './key-cache.ts';
import { KeyCheckLimits } from './key-check-limits.ts';
import { KeySocket } from './key-socket.ts';
import { keySocketPath } from './key-socket-path.ts';
import { type KeyEntry, fileKeys, staticKeys } from './static-keys.ts';
import { openAlgoKeys } from './openalgo-keys.ts';

/** Who a key belongs to. */
export interface Identity {
  userId: string;
  /** The user's broker, where the check tells. */
  broker?: string;
}

/**
 * Says whose a key is, or undefined for a key that is not valid. An exception means that the key could not
 * be checked now: a new client is told so, and the sessions that it already opened go on.
 */
export type KeyCheck = (key: string, purpose: CheckPurpose) => Promise<Identity | undefined>;

/** What a key is checked for. */
export interface CheckPurpose {
  /** Whether the key was accepted before: such checks go before those of new keys. */
  recheck: boolean;
  /** Whether anybody waits for the result. */
  isWanted(): boolean;
}

/** The client that wants a key checked. */
export interface Asker {
  /** Where it comes from. */
  readonly address: string;
  /** Whether it has gone, so that its key need not be checked any more. */
  readonly isGone: boolean;
}

/** What an `auth` function may return: an identity or a user's name, or something false for an unknown key. */
export type KeyVerdict = Identity | string | boolean | null | undefined;

/**
 * Who may connect.
 *
 * - `'none'`: everybody, from this machine only.
 * - `keys`: a list (with or without user names), a `file` (one key a line, then perhaps a user name; read
 *   again when it changes) or an environment variable `env` (keys separated by commas), or several of them.
 * - `verify`: a function, asked once per key and cache time. One that gives no answer within `timeoutMs`, default 5,000 ms,
 *   counts as one that fails: the key could not be checked.
 * - `openalgo`: the base URL of an OpenAlgo server, whose REST API is asked once per key and cache time. It does not tell
 *   the user's name: `userId` says it, as order updates carry it. Without it the name is made of the key, until a feed
 *   tells whose key that is.
 * - `socket`: the Unix socket of the adapter host, or on Windows its named pipe; `true` for the one of the ring. It is
 *   asked once per key and cache time, and says when keys may have changed.
 */
export type AuthOption =
  | 'none'
  | { keys?: readonly KeyEntry[]; file?: string; env?: string }
  | ((key: string) => KeyVerdict | Promise<KeyVerdict>)
  | { verify: (key: string) => KeyVerdict | Promise<KeyVerdict>; cacheMs?: number; timeoutMs?: number }
  | { openalgo: string; userId?: string; cacheMs?: number; timeoutMs?: number }
  | { socket: string | true; cacheMs?: number; timeoutMs?: number };

/** Checks keys, and ends sessions whose key is revoked. */
export interface Authenticator {
  /** True when nobody needs to authenticate. */
  readonly open: boolean;
  /** @throws {TooManyKeyChecks} at a limit, and whatever else kept the key from being checked. */
  verify(key: string, asker: Asker): Promise<Identity | undefined>;
  /**
   * Watches a key of a live session; the returned function ends the watch.
   *
   * @param onChecked hears whose the key is whenever it was checked again; undefined once it is revoked.
   */
  watch(key: string, onChecked: (identity: Identity | undefined) => void): () => void;
  close(): void;
}

const DEFAULT_CACHE_MS = 60_000;
const DEFAULT_TIMEOUT_MS = 5_000;
const FILE_CHECK_MS = 5_000;

/** The user of every session when nobody needs to authenticate. */
export const LOCAL_USER: Identity = { userId: 'local' };

/**
 * Makes the authenticator of an option.
 *
 * @param ring name of the ring, which the default socket is named after.
 * @param onTrouble hears of keys that could not be checked again.
 * @throws {OpenAlgoShmError} `ERR_INVALID_OPTION`, `ERR_FILE`.
 */
export function authenticator(
  option: AuthOption,
  ring: string | undefined,
  onTrouble: (error: unknown) => void,
): Authenticator {
  if (option === 'none') return OPEN;
  if (typeof option === 'function') return authenticator({ verify: option }, ring, onTrouble);
  if ('verify' in option) {
    const { verify, cacheMs = DEFAULT_CACHE_MS, timeoutMs = DEFAULT_TIMEOUT_MS } = option;
    return new KeyCache(checkOf(verify, timeoutMs), cacheMs, onTrouble);
  }
  if ('openalgo' in option) {
    const { userId, timeoutMs = DEFAULT_TIMEOUT_MS } = option;
    const check = openAlgoKeys(option.openalgo, { timeoutMs, ...(userId !== undefined && { userId }) });
    return new KeyCache(check, option.cacheMs ?? DEFAULT_CACHE_MS, onTrouble, { limits: new KeyCheckLimits() });
  }
  if ('socket' in option) {
    const path = option.socket === true ? keySocketPath(ring) : option.socket;
    const keys = new KeySocket(path, option.timeoutMs ?? DEFAULT_TIMEOUT_MS);
    const check: KeyCheck = (key, purpose) => keys.check(key, purpose);
    const cache = new KeyCache(check, option.cacheMs ?? DEFAULT_CACHE_MS, onTrouble, {
      limits: new KeyCheckLimits(),
      onClose: () => keys.close(),
    });
    keys.onChanged(() => cache.recheck());
    keys.onReconnected(() => cache.doubt());
    return cache;
  }
  return listed(option, onTrouble);
}

const OPEN: Authenticator = {
  open: true,
  verify: () => Promise.resolve(LOCAL_USER),
  watch: () => () => undefined,
  close: () => undefined,
};

function listed(
  option: { keys?: readonly KeyEntry[]; file?: string; env?: string },
  onTrouble: (error: unknown) => void,
): Authenticator {
  const fixed = [...(option.keys ?? []), ...keysOfEnvironment(option.env)];
  if (option.file === undefined && fixed.length === 0) {
    throw new OpenAlgoShmError('ERR_INVALID_OPTION', 'auth: no key is given; set keys, file or env');
  }
  if (option.file === undefined) return new KeyCache(staticKeys(fixed), Infinity, onTrouble);
  return new KeyCache(fileKeys(option.file, fixed, onTrouble), FILE_CHECK_MS, onTrouble);
}

function keysOfEnvironment(variable: string | undefined): string[] {
  if (variable === undefined) return [];
  const keys = (process.env[variable] ?? '').split(',').map((key) => key.trim());
  const found = keys.filter((key) => key !== '');
  if (found.length > 0) return found;
  throw new OpenAlgoShmError(
    'ERR_INVALID_OPTION',
    `auth: the environment variable ${variable} holds no key; set it to one or more, separated by commas`,
  );
}

function checkOf(verify: (key: string) => KeyVerdict | Promise<KeyVerdict>, timeoutMs: number): KeyCheck {
  return async (key) => {
    const verdict = await inTime(verify(key), timeoutMs);
    if (!verdict) return undefined;
    if (verdict === true) return { userId: userOfKey(key) };
    return typeof verdict === 'string' ? { userId: verdict } : verdict;
  };
}

async function inTime<T>(asked: T | Promise<T>, timeoutMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    const error = new OpenAlgoShmError('ERR_UPSTREAM', `auth.verify gave no answer in ${timeoutMs} ms`);
    timer = setTimeout(() => reject(error), timeoutMs);
  });
  try {
    return await Promise.race([asked, late]);
  } finally {
    clearTimeout(timer);
  }
}
