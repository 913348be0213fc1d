import { spawnSync } from 'node:child_process';
import { accessSync, constants, readFileSync, statfsSync } from 'node:fs';
import { createServer } from 'node:net';
import { availableParallelism, cpus, platform, release, totalmem } from 'node:os';
import { hasCode } from '../errors.ts';
import { DEFAULT_TOPICS } from '../shm/options.ts';
import { companionsOf, LockFreeRingBuffer } from '../shm/ring-buffer.ts';
import { bytes, count } from './figures.ts';
import { olderVersion } from './ring-figures.ts';
import { ENOUGH_SECONDS, standstillOf, standstillText } from './standstill.ts';

/** What one check has found. */
export interface Finding {
  check: string;
  verdict: 'good' | 'warning' | 'bad';
  /** What is there. */
  found: string;
  /** What to change, with the command for it. */
  remedy?: string;
}

/** What the user means to run here. */
export interface Intention {
  host: string;
  port: number;
  ring: string;
  bufferSize: number;
  topics?: number;
  depthLevels: number;
  lanes?: number;
}

const SHM = '/dev/shm';
const DEFAULT_LANES = 8;
/** Open files that a proxy with its clients should be allowed. */
const ENOUGH_FILES = 8192;
/** Oldest kernel whose memory population and file locks are used, as major * 1000 + minor. */
const POPULATE_KERNEL = 5014;

/** Everything that could keep ring and proxy from working well on this machine. */
export async function checkMachine(intention: Intention): Promise<Finding[]> {
  return [
    node(),
    native(),
    kernel(),
    cores(),
    clock(),
    timeOfDay(),
    ...(platform() === 'linux' ? [sharedMemory(intention), limits('files'), limits('locks')] : []),
    await port(intention),
    ...(await ring(intention)),
    ...beside(intention),
    leftovers(intention),
  ];
}

function node(): Finding {
  const major = Number(process.versions.node.split('.')[0]);
  const found = `Node.js ${process.versions.node}`;
  if (major >= 20) return good('node', found);
  return bad('node', found, 'install Node.js 20 or newer: https://nodejs.org');
}

function native(): Finding {
  LockFreeRingBuffer.list();
  return good('native core', `loaded for ${platform()} ${process.arch}`);
}

function kernel(): Finding {
  const found = `${platform()} ${release()}`;
  if (platform() !== 'linux')
    return warning('kernel', found, 'figures are best on Linux; elsewhere waiting readers poll');
  const [major = 0, minor = 0] = release().split('.').map(Number);
  if (major * 1000 + minor >= POPULATE_KERNEL) return good('kernel', found);
  return warning(
    'kernel',
    found,
    'before Linux 5.14 the first lap of a publisher takes page faults: the first ticks are slower',
  );
}

function cores(): Finding {
  const usable = availableParallelism();
  const found = `${usable} usable, ${cpus()[0]?.model ?? 'unknown model'}`;
  if (usable >= 2) return good('cores', found);
  return warning(
    'cores',
    found,
    'one core: publisher and proxy take turns, and each waits for the other; give it a second one',
  );
}

function clock(): Finding {
  if (platform() !== 'linux') return good('clock', 'the system’s monotonic clock');
  const source = readText('/sys/devices/system/clocksource/clocksource0/current_clocksource');
  if (source === undefined) return good('clock', 'the system’s monotonic clock');
  if (['tsc', 'kvm-clock', 'arch_sys_counter', 'hyperv_clocksource_tsc_page'].includes(source))
    return good('clock', source);
  return warning(
    'clock',
    `${source}, which costs a system call a reading`,
    'if the machine has tsc: echo tsc | sudo tee /sys/devices/system/clocksource/clocksource0/current_clocksource',
  );
}

/** Ticks carry the time of day; latencies do not depend on it. */
function timeOfDay(): Finding {
  const { stdout, status } = spawnSync('timedatectl', ['show', '--property=NTPSynchronized', '--value'], {
    encoding: 'utf8',
    timeout: 2000,
  });
  if (status !== 0) return good('time of day', 'not known here whether it is set by the network');
  if (stdout.trim() === 'yes') return good('time of day', 'set by the network');
  return warning('time of day', 'not set by the network: ages of ticks will be off', 'sudo timedatectl set-ntp true');
}

/** Bytes that the rings for interest and events take beside that of ticks, with a few feeds and proxies. */
const COMPANION_BYTES = 8 * 1024 * 1024;

/** Bytes of a topic in a publisher's table. */
const TOPIC_BYTES = 64;

/** Bytes that one publisher can take at most. */
function laneBytes({ bufferSize, topics = DEFAULT_TOPICS }: Intention): number {
  return bufferSize + topics * TOPIC_BYTES;
}

/** Bytes that a ring can take at most, with what stands beside it. */
function mostBytes(intention: Intention): number {
  return laneBytes(intention) * (intention.lanes ?? DEFAULT_LANES) + COMPANION_BYTES;
}

function sharedMemory(intention: Intention): Finding {
  try {
    accessSync(SHM, constants.R_OK | constants.W_OK);
  } catch {
    return bad('/dev/shm', 'cannot be written', 'mount it: sudo mount -t tmpfs -o size=1g,mode=1777 tmpfs /dev/shm');
  }
  const { bavail, blocks, bsize } = statfsSync(SHM);
  const free = bavail * bsize;
  const most = mostBytes(intention);
  const found = `${bytes(free)} free of ${bytes(blocks * bsize)}; this ring takes ${bytes(intention.bufferSize)} a publisher and ${TOPIC_BYTES} B a topic, ${bytes(most)} at most`;
  const larger = `sudo mount -o remount,size=${bytes(most * 2)
    .replace(/\.\d+ | /, '')
    .replace('iB', '')} /dev/shm (Docker: --shm-size)`;
  if (free < intention.bufferSize * 2) return bad('/dev/shm', found, larger);
  if (free < most) return warning('/dev/shm', found, larger);
  if (most > totalmem() / 2)
    return warning('/dev/shm', found, `it is more than half of this machine's memory: use a smaller --buffer-size`);
  return good('/dev/shm', found);
}

const LIMITS = {
  files: {
    row: 'Max open files',
    least: ENOUGH_FILES,
    why: 'a client takes two open files',
    flag: 'n',
    item: 'nofile',
  },
  locks: { row: 'Max file locks', least: 64, why: 'a lane and a reader hold a lock each', flag: 'x', item: 'locks' },
} as const;

function limits(of: keyof typeof LIMITS): Finding {
  const { row, least, why, flag, item } = LIMITS[of];
  const line = readText('/proc/self/limits')
    ?.split('\n')
    .find((text) => text.startsWith(row));
  const soft = line?.slice(row.length).trim().split(/\s+/)[0];
  if (soft === undefined) return good(`limit on ${of}`, 'not known here');
  if (soft === 'unlimited' || Number(soft) >= least)
    return good(`limit on ${of}`, soft === 'unlimited' ? soft : count(Number(soft)));
  const remedy = `${why}: ulimit -${flag} ${least} (for good: "* soft ${item} ${least}" in /etc/security/limits.conf)`;
  return warning(`limit on ${of}`, soft, remedy);
}

async function port({ host, port: wanted }: Intention): Promise<Finding> {
  const server = createServer();
  const error = await new Promise<NodeJS.ErrnoException | undefined>((resolve) => {
    server.once('error', resolve);
    server.listen({ host, port: wanted, exclusive: true }, () => resolve(undefined));
  });
  if (error === undefined) {
    await new Promise((resolve) => server.close(resolve));
    return good('port', `${host}:${wanted} is free`);
  }
  if (error.code === 'EADDRINUSE') {
    const remedy = `see who has it: ss -ltnp 'sport = :${wanted}', or take another: --port ${wanted + 1}`;
    return warning('port', `${host}:${wanted} is in use, perhaps by a proxy that runs already`, remedy);
  }
  return bad(
    'port',
    `${host}:${wanted} cannot be used (${error.code})`,
    'give an address of this machine and a port above 1023',
  );
}

async function ring({ ring: name, depthLevels }: Intention): Promise<Finding[]> {
  let buffer: LockFreeRingBuffer;
  try {
    buffer = LockFreeRingBuffer.open(name);
  } catch (error) {
    return [unopened(name, error)];
  }
  try {
    const info = buffer.info();
    const shape = `${name} exists: ${info.policy}, ${info.lanes} lanes, ${count(info.capacity)} lines, ${count(info.topics)} topics a lane, depth ${info.depthLevels}`;
    const deeper = `books deeper than ${info.depthLevels} do not fit: end its users, then openalgo-shm cleanup --ring ${name}`;
    return [
      info.depthLevels >= depthLevels ? good('ring', shape) : warning('ring', shape, deeper),
      ...fullTables(buffer),
      await standstill(buffer),
    ];
  } finally {
    buffer.close();
  }
}

function unopened(name: string, error: unknown): Finding {
  if (hasCode(error, 'ERR_SHM_NOT_FOUND'))
    return good('ring', `${name} does not exist yet; the first process creates it`);
  const reason = error instanceof Error ? error.message : String(error);
  if (hasCode(error, 'ERR_SHM_VERSION')) {
    const remedy = `end the programs of the other version, then openalgo-shm cleanup --ring ${name}`;
    return bad('ring', `${name} cannot be opened: ${reason}`, remedy);
  }
  return bad('ring', `${name} cannot be opened`, reason);
}

/** What has the name of a ring beside that of ticks and is none: feeds do not hear then what clients want. */
function beside({ ring: name }: Intention): Finding[] {
  return companionsOf(name).flatMap((companion) => {
    try {
      LockFreeRingBuffer.open(companion).close();
      return [];
    } catch (error) {
      if (hasCode(error, 'ERR_SHM_NOT_FOUND')) return [];
      return [{ ...unopened(companion, error), verdict: 'warning' as const }];
    }
  });
}

/** Publishers that had to refuse ticks because they have named as many topics as the ring has room for. */
function fullTables(buffer: LockFreeRingBuffer): Finding[] {
  const { name, topics, publishers } = buffer.stats();
  return publishers
    .filter(({ topicsRefused }) => topicsRefused > 0)
    .map(({ publisher, topicsRefused }) =>
      warning(
        'topics',
        `${publisher} has named ${count(topics)} topics, and ${count(topicsRefused)} ticks of further ones were refused`,
        `end the ring's users, openalgo-shm cleanup --ring ${name}, and start with a larger --topics`,
      ),
    );
}

async function standstill(buffer: LockFreeRingBuffer): Promise<Finding> {
  const found = await standstillOf(buffer);
  if (found === undefined) return good('standing still', 'nothing is published now');
  const text = standstillText(found);
  if (found.seconds >= ENOUGH_SECONDS) return good('standing still', text);
  return warning(
    'standing still',
    text,
    `end the ring's users, openalgo-shm cleanup --ring ${found.ring}, and start with a larger --buffer-size`,
  );
}

function leftovers({ ring: name }: Intention): Finding {
  const unused = LockFreeRingBuffer.list().filter(({ inUse }) => !inUse);
  if (unused.length === 0) return good('leftovers', 'no shared memory without a process');
  const names = unused.map((segment) => `${segment.name}${olderVersion(segment.version)}`).join(', ');
  const size = unused.reduce((sum, segment) => sum + segment.bytes, 0);
  const only = unused.every((segment) => segment.name === name) ? ` --ring ${name}` : '';
  return warning('leftovers', `${names}: up to ${bytes(size)} that no process holds`, `openalgo-shm cleanup${only}`);
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return undefined;
  }
}

function good(check: string, found: string): Finding {
  return { check, verdict: 'good', found };
}

function warning(check: string, found: string, remedy: string): Finding {
  return { check, verdict: 'warning', found, remedy };
}

function bad(check: string, found: string, remedy: string): Finding {
  return { check, verdict: 'bad', found, remedy };
}
