// Everything is asked for beside the page itself, wherever the proxy is mounted.
const STORED_KEY = 'openalgo-shm.key';

/** The key that the proxy wants, if it wants one. */
export const key = {
  get: () => sessionStorage.getItem(STORED_KEY) ?? undefined,
  set: (value) => sessionStorage.setItem(STORED_KEY, value),
  forget: () => sessionStorage.removeItem(STORED_KEY),
};

/** The proxy wants a key, or another one. */
export class KeyWanted extends Error {}

/** Asks the proxy; 503 is an answer too, that of an ill feed. */
export async function ask(path) {
  const current = key.get();
  const response = await fetch(new URL(path, document.baseURI), {
    headers: current === undefined ? {} : { 'X-API-Key': current },
    cache: 'no-store',
  });
  if (response.status === 401) throw new KeyWanted();
  if (!response.ok && response.status !== 503) throw new Error(`${path} answers ${response.status}`);
  return response.json();
}

/** Instruments by words of their names. */
export function searchTopics(query, limit) {
  return ask(`topics?limit=${limit}&query=${encodeURIComponent(query)}`);
}
