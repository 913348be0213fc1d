import { isIP } from 'node:net';

/** True for an address or host name that only this machine can reach. */
export function isLoopback(host: string | undefined): boolean {
  if (host === undefined) return false;
  const name = host.replace(/^\[|\]$/g, '').toLowerCase();
  if (name === 'localhost' || name === '::1') return true;
  const address = name.startsWith('::ffff:') ? name.slice('::ffff:'.length) : name;
  return isIP(address) === 4 && address.startsWith('127.');
}

/**
 * Whether a page of this origin may connect.
 *
 * @param origin the request's Origin; undefined when it comes from no page.
 * @param allowed origins, `*` for all; undefined for the default.
 * @param open whether nobody needs a key: then by default only pages of this machine may, files included.
 */
export function isOriginAllowed(
  origin: string | undefined,
  allowed: readonly string[] | undefined,
  open: boolean,
): boolean {
  if (origin === undefined) return true;
  if (allowed !== undefined) return allowed.includes('*') || allowed.includes(origin);
  if (!open || origin === 'null' || origin.startsWith('file:')) return true;
  return URL.canParse(origin) && isLoopback(new URL(origin).hostname);
}
