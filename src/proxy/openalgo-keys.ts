import { OpenAlgoShmError } from '../errors.ts';
import { userOfKey } from '../user-of-key.ts';
import type { Identity, KeyCheck } from './auth.ts';
import { isObject } from './protocol.ts';

/** Longest key that OpenAlgo takes, in characters; those that it makes have 64. */
const MAX_KEY_LENGTH = 256;

/** An answer of OpenAlgo's REST API. */
interface RestAnswer {
  status: number;
  /** Undefined where it is no JSON object. */
  body: Readonly<Record<string, unknown>> | undefined;
}

/** What is known of OpenAlgo beside its address. */
export interface OpenAlgoKeysOptions {
  /** How long an answer may take, ms. */
  timeoutMs: number;
  /** The name of OpenAlgo's user; undefined for a name made of the key. */
  userId?: string;
}

/**
 * Asks an OpenAlgo server whether a key is valid. `POST /api/v1/ping` names the user's broker. It answers 403 to a key that
 * is not known, and also while the user is logged out of the broker; `GET /api/v1/chart` needs the key alone and tells the
 * two apart. A server without it, older than that, counts as refusing.
 *
 * No endpoint tells the user's name.
 *
 * @param baseUrl as in the browser, `http://127.0.0.1:5000`.
 * @throws {OpenAlgoShmError} `ERR_INVALID_OPTION` for a URL that is none, and for an empty name.
 */
export function openAlgoKeys(baseUrl: string, { timeoutMs, userId }: OpenAlgoKeysOptions): KeyCheck {
  const base = checkedBase(baseUrl);
  if (userId === '')
    throw new OpenAlgoShmError('ERR_INVALID_OPTION', 'auth.userId is empty, expected the name of a user');
  const ask = (path: string, init: RequestInit): Promise<RestAnswer> => request(endpoint(base, path), init, timeoutMs);
  return async (key) => {
    if (!canBeKey(key)) return undefined;
    const identity: Identity = { userId: userId ?? userOfKey(key) };
    const ping = await ask('ping', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ apikey: key }),
    });
    if (isSuccess(ping)) return withBroker(identity, ping.body?.['data']);
    if (!isRefusal(ping)) throw unexpected(base, ping);
    const chart = await ask(`chart?apikey=${encodeURIComponent(key)}`, { method: 'GET' });
    if (chart.status === 200 && chart.body !== undefined) return identity;
    if (isRefusal(chart) || chart.status === 404) return undefined;
    throw unexpected(base, chart);
  };
}

async function request(url: string, init: RequestInit, timeoutMs: number): Promise<RestAnswer> {
  try {
    const response = await fetch(url, { ...init, redirect: 'error', signal: AbortSignal.timeout(timeoutMs) });
    if (init.method === 'GET' && response.status === 200) {
      // Charts of the user, which may be megabytes: only JSON counts, since some servers answer any path with a page.
      await response.body?.cancel();
      return { status: 200, body: isJson(response) ? {} : undefined };
    }
    const body: unknown = await response.json().catch((error: unknown) => {
      if ((error as Error).name === 'TimeoutError') throw error;
    });
    return { status: response.status, body: isObject(body) ? body : undefined };
  } catch (cause) {
    const reason = (cause as Error).name === 'TimeoutError' ? `gave no answer in ${timeoutMs} ms` : 'cannot be reached';
    // Not the URL, which may have the key in it.
    throw new OpenAlgoShmError('ERR_UPSTREAM', `OpenAlgo at ${new URL(url).origin} ${reason}`, { cause });
  }
}

function isJson({ headers }: Response): boolean {
  return /^application\/json\b/i.test(headers.get('content-type') ?? '');
}

// To others OpenAlgo says that the question is wrong, not the key: they would be asked for again and again.
function canBeKey(key: string): boolean {
  return key.length <= MAX_KEY_LENGTH && !/\p{Surrogate}/u.test(key);
}

function isSuccess({ status, body }: RestAnswer): boolean {
  return status === 200 && body?.['status'] === 'success';
}

// A server in front of OpenAlgo, and OpenAlgo to an address that it has banned, answer 403 too, but not in this form: that
// says nothing of the key.
function isRefusal({ status, body }: RestAnswer): boolean {
  return (status === 401 || status === 403) && body?.['status'] === 'error';
}

function unexpected(base: URL, { status, body }: RestAnswer): OpenAlgoShmError {
  const form = body === undefined ? ', and no JSON' : '';
  const banned = status === 403 ? '; it may have banned the address of this proxy, see its security page' : '';
  return new OpenAlgoShmError(
    'ERR_UPSTREAM',
    `OpenAlgo at ${base.origin} answered with HTTP status ${status}${form}${banned}`,
  );
}

function withBroker(identity: Identity, data: unknown): Identity {
  const broker = isObject(data) ? data['broker'] : undefined;
  return typeof broker === 'string' && broker !== '' ? { ...identity, broker } : identity;
}

function endpoint(base: URL, path: string): string {
  return new URL(`api/v1/${path}`, base).href;
}

function checkedBase(baseUrl: string): URL {
  let base: URL;
  try {
    base = new URL(baseUrl);
  } catch (cause) {
    const message = `auth.openalgo: ${JSON.stringify(baseUrl)} is no URL; give one like http://127.0.0.1:5000`;
    throw new OpenAlgoShmError('ERR_INVALID_OPTION', message, { cause });
  }
  if (base.protocol !== 'http:' && base.protocol !== 'https:') {
    throw new OpenAlgoShmError('ERR_INVALID_OPTION', 'auth.openalgo: the URL must begin with http:// or https://');
  }
  if (base.username !== '' || base.password !== '') {
    throw new OpenAlgoShmError('ERR_INVALID_OPTION', 'auth.openalgo: the URL must not have a user and password in it');
  }
  base.pathname = `${base.pathname.replace(/\/+$/, '')}/`;
  base.search = '';
  base.hash = '';
  return base;
}
