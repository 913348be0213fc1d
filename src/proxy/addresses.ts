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
 * What clients of one address are counted by: of IPv6 the first 64 bits, since whoever has one address of a network has all
 * of them. An IPv4 address in IPv6's form counts as what it is.
 */
export function addressGroup(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped !== undefined) return mapped;
  if (isIP(address) !== 6 || isLoopback(address)) return address;
  const [, head = '', tail = ''] = /^([^%]*?)(?:::([^%]*))?(?:%.*)?$/.exec(address) ?? [];
  const groups = (text: string): string[] => (text === '' ? [] : text.split(':'));
  const [before, after] = [groups(head), groups(tail)];
  const zeros = Array<string>(Math.max(0, 8 - before.length - after.length)).fill('0');
  const network = [...before, ...zeros, ...after].slice(0, 4).map((group) => Number.parseInt(group, 16).toString(16));
  return `${network.join(':')}::/64`;
}

/**
 * Whether a page of this origin may connect.
 *
 * @param origin the request's Origin; undefined when it comes from no page.
 * @param allowed origins, `*` for all; undefined for the default.
 * @param open whether nobody needs a key: then by default only pages of this machine may, files included. Not those of
 * origin `null`: any page of the world can have a frame of that origin.
 */
export function isOriginAllowed(
  origin: string | undefined,
  allowed: readonly string[] | undefined,
  open: boolean,
): boolean {
  if (origin === undefined) return true;
  if (allowed !== undefined) return allowed.includes('*') || allowed.includes(origin);
  if (!open || origin.startsWith('file:')) return true;
  return URL.canParse(origin) && isLoopback(new URL(origin).hostname);
}

/**
 * Whether a request that comes without an Origin may be one of this machine's own, where nobody needs a key. A page
 * whose name was made to lead to this machine sends none, but it cannot help sending its name as the Host.
 *
 * @param host the request's Host; undefined when it comes from no browser.
 * @param origins those that may connect, `*` for all; undefined for none but this machine's.
 */
export function isHostAllowed(host: string | undefined, origins: readonly string[] = []): boolean {
  if (host === undefined || origins.includes('*')) return true;
  if (URL.canParse(`http://${host}`) && isLoopback(new URL(`http://${host}`).hostname)) return true;
  return origins.some((origin) => URL.canParse(origin) && new URL(origin).host === host.toLowerCase());
}
