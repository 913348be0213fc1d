import { OpenAlgoShmError } from '../errors.ts';
import { userOfKey } from '../user-of-key.ts';
import type { Identity, KeyCheck } from './auth.ts';
import { isObject } from './protocol.ts';

/**
 * Asks an OpenAlgo server whether a key is valid: `POST /api/v1/ping`, which names the user's broker, and
 * answers 403 to a key it does not know. It does not tell the user's name: users are told apart by key.
 *
 * @param baseUrl as in the browser, `http://127.0.0.1:5000`.
 * @throws {OpenAlgoShmError} `ERR_INVALID_OPTION` for a URL that is none.
 */
export function openAlgoKeys(baseUrl: string, timeoutMs: number): KeyCheck {
  const url = pingUrl(baseUrl);
  return async (key) => {
    const response = await ask(url, key, timeoutMs);
    if (response.status === 401 || response.status === 403) return undefined;
    const answer: unknown = await response.json().catch(() => undefined);
    if (response.ok && isObject(answer) && answer['status'] === 'success') return identityOf(key, answer['data']);
    throw new OpenAlgoShmError(
      'ERR_UPSTREAM',
      `OpenAlgo at ${url.origin} answered with HTTP status ${response.status}`,
    );
  };
}

async function ask(url: URL, key: string, timeoutMs: number): Promise<Response> {
  try {
    return await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ apikey: key }),
      redirect: 'error',
      signal: AbortSignal.timeout(timeoutMs),
    });
  } catch (cause) {
    const reason = (cause as Error).name === 'TimeoutError' ? `gave no answer in ${timeoutMs} ms` : 'cannot be reached';
    throw new OpenAlgoShmError('ERR_UPSTREAM', `OpenAlgo at ${url.origin} ${reason}`, { cause });
  }
}

function identityOf(key: string, data: unknown): Identity {
  const userId = userOfKey(key);
  const broker = isObject(data) ? data['broker'] : undefined;
  return typeof broker === 'string' && broker !== '' ? { userId, broker } : { userId };
}

function pingUrl(baseUrl: string): URL {
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
  base.pathname = `${base.pathname.replace(/\/+$/, '')}/api/v1/ping`;
  return base;
}
