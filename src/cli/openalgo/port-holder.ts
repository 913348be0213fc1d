import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** The state of a listening socket in the kernel's tables. */
const LISTENING = '0A';
const MOST_SHOWN = 120;

/** The process that listens on a TCP port. */
export interface PortHolder {
  pid: number;
  /** Its command line. */
  command: string;
}

/** The process that listens on a port; undefined where that cannot be found: only on Linux, and only of the same user. */
export function holderOf(port: number): PortHolder | undefined {
  const sockets = listenersOn(port);
  if (sockets.size === 0) return undefined;
  const pid = namesWithin('/proc').find((name) => /^\d+$/.test(name) && holdsOne(name, sockets));
  if (pid === undefined) return undefined;
  const words = textOf(`/proc/${pid}/cmdline`).split('\0').join(' ').trim();
  return { pid: Number(pid), command: words.slice(0, MOST_SHOWN) };
}

/** The sockets that listen on a port, as links of open files name them. */
function listenersOn(port: number): Set<string> {
  const sockets = new Set<string>();
  for (const table of ['/proc/net/tcp', '/proc/net/tcp6']) {
    for (const line of textOf(table).split('\n').slice(1)) {
      const [, local, , state, , , , , , inode] = line.trim().split(/\s+/);
      if (state === LISTENING && Number.parseInt(local!.split(':')[1]!, 16) === port) sockets.add(`socket:[${inode}]`);
    }
  }
  return sockets;
}

function holdsOne(pid: string, sockets: ReadonlySet<string>): boolean {
  return namesWithin(`/proc/${pid}/fd`).some((file) => {
    try {
      return sockets.has(readlinkSync(`/proc/${pid}/fd/${file}`));
    } catch {
      return false;
    }
  });
}

function namesWithin(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
