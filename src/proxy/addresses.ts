import { BlockList, isIP } from 'node:net';

/** This machine's own addresses, those of IPv4 in any form. */
const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4');
LOOPBACK.addAddress('::1', 'ipv6');

/** True for an address or host name that only this machine can reach. A dot at the end of a name changes nothing. */
export function isLoopback(host: string | undefined): boolean {
  if (host === undefined) return false;
  const name = host.replace(/^\[|\]$|\.$/g, '').toLowerCase();
  if (name === 'localhost') return true;
  const address = name.replace(/%.*$/, '');
  const version = isIP(address);
  return version !== 0 && LOOPBACK.check(address, version === 4 ? 'ipv4' : 'ipv6');
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
 * @param host the request's Host, as the connection brought it: what a reverse proxy says in other headers, anybody can
 * say; undefined when it comes from no browser. With this machine's names and addresses the port does not matter.
 * @param origins those that may connect, `*` for all; undefined for none but this machine's. The host and the port of one
 * may be the Host.
 */
export function isHostAllowed(host: string | undefined, origins: readonly string[] = []): boolean {
  if (host === undefined || origins.includes('*')) return true;
  if (!HOST.test(host)) return false;
  if (isLoopback(urlOf(`http://${host}`)?.hostname)) return true;
  return origins.some((origin) => {
    const allowed = urlOf(origin);
    return allowed !== undefined && hostOf(allowed) === hostOf(urlOf(`${allowed.protocol}//${host}`));
  });
}

/** A name, an IPv4 address, or an IPv6 one in brackets, and a port. */
const HOST = /^(?:[\w.-]+|\[[\da-f:.]+\])(?::\d+)?$/i;

function urlOf(text: string): URL | undefined {
  return URL.canParse(text) ? new URL(text) : undefined;
}

// Without the port that the scheme has anyway.
function hostOf(url: URL | undefined): string | undefined {
  return url && `${url.hostname.replace(/\.$/, '')}:${url.port}`;
}
