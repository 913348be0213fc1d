import type { ChildProcess } from 'node:child_process';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import { LockFreeRingBuffer } from '../../src/shm/ring-buffer.ts';
import { PROGRAMS, ROOT, firstLine, start, startBench, stop } from './processes.ts';

/** What is asked of a server in one measurement. */
export interface Load {
  clients: number;
  topics: number;
  mode: 1 | 3;
  /** Ticks that are published together: a round, where the feed goes flat out. */
  gather: number;
  /** Ticks a second; 0: flat out. */
  rate: number;
}

/** A running server, and how the load client talks to it. */
export interface Server {
  child: ChildProcess;
  port: number;
  /** Further arguments of the load client. */
  arguments: readonly (string | number)[];
  stop(): Promise<void>;
}

/** Starts a server on core 0. */
export type Launch = (load: Load) => Promise<Server>;

const TOOLS = `${ROOT}.bench/tools/`;

/** How the proxy is started, apart from its defaults. */
export interface ProxyVariant {
  /** How it waits for ticks. Default: as `serve` does by itself. */
  wait?: Wait;
  /** Threads that deliver. Default: as `serve` does by itself. */
  threads?: number;
  /** The cores that it may use. Default: the first. */
  cores?: string;
}

/** How a reader waits for ticks. */
export type Wait = 'spin' | 'adaptive' | 'sleep';

/** The proxy, fed through a ring of its own by the load client. */
export function ownProxy({ wait, threads, cores = '0' }: ProxyVariant = {}): Launch {
  return () =>
    withRing(async (name) => {
      const child = start(cores, process.execPath, [
        'dist/cli/main.js',
        'serve',
        ...['--port', 0, '--ring', name, '--no-snapshot', '--log-level', 'error'],
        ...(wait === undefined ? [] : ['--wait', wait]),
        ...(threads === undefined ? [] : ['--threads', threads]),
      ]);
      const port = Number(/:(\d+)/.exec(await firstLine(child, /ws:\/\//))?.[1]);
      return { child, port, arguments: [], stop: () => stop(child) };
    });
}

/** Whether `serve` of this version has an option. */
export function proxyTakes(option: string): boolean {
  const help = spawnSync(process.execPath, ['dist/cli/main.js', 'serve', '--help'], { cwd: ROOT, encoding: 'utf8' });
  return help.stdout.includes(option);
}

/** An application with the plugin, whose timer blocks its event loop so long, so often. 0: never. */
export function blockingApp(blockMs: number, everyMs: number): Launch {
  return () =>
    withRing(async (name) => {
      const child = startBench(0, 'blocking-app.js', [name, blockMs, everyMs]);
      const port = Number(await firstLine(child, /^\d+$/));
      return { child, port, arguments: [], stop: () => stop(child) };
    });
}

/** The bare sender: the limit. */
export async function bareSender(load: Load): Promise<Server> {
  return generating(startBareSender(load));
}

/** The bare sender, which gets its ticks through a ring from the load client, as the proxy does. */
export function bareSenderInStep(wait: Wait): Launch {
  return (load) =>
    withRing(async (name) => {
      const server = await generating(startBareSender(load, ['--ring', name, '--wait', wait]));
      return { ...server, arguments: ['--protocol', 'plain'] };
    });
}

function startBareSender(load: Load, further: string[] = []): ChildProcess {
  return start(0, `${PROGRAMS}fanout-epoll`, [...loadArguments(load), ...further]);
}

// A server with a ring that the load client feeds and that is gone with the server.
async function withRing(launch: (name: string) => Promise<Server>): Promise<Server> {
  const ring = new LockFreeRingBuffer({ name: `bench-${process.pid}-${Date.now()}` });
  const { name } = ring.info();
  const server = await launch(name);
  return {
    ...server,
    arguments: [...server.arguments, '--feed', 'ring', '--ring', name],
    stop: async () => {
      await server.stop();
      ring.unlink();
      ring.close();
    },
  };
}

/** A load as the programs of the bench take it. */
export function loadArguments({ clients, topics, mode, gather, rate }: Load): (string | number)[] {
  return ['--clients', clients, '--topics', topics, '--mode', mode, '--gather', gather, '--rate', rate];
}

/** `ws` with a JSON.stringify for every client. */
export async function naiveServer({ clients, topics, mode, gather, rate }: Load): Promise<Server> {
  return generating(startBench(0, 'naive-server.js', [clients, topics, mode, gather, rate]));
}

/** uWebSockets, if a C++ compiler and its sources are there. */
export function uWebSockets(): Launch | undefined {
  const program = `${TOOLS}uws`;
  if (!existsSync(program) && !buildUWebSockets(program)) return undefined;
  return ({ clients, topics, mode, gather, rate }) =>
    generating(start(0, program, [0, clients, topics, mode, gather, rate]));
}

/** nats-server with its WebSocket, if Go is there. */
export function natsServer(): Launch | undefined {
  const program = `${TOOLS}nats-server`;
  if (!existsSync(program)) {
    mkdirSync(TOOLS, { recursive: true });
    const made = spawnSync('go', ['install', 'github.com/nats-io/nats-server/v2@latest'], {
      env: { ...process.env, GOBIN: TOOLS.slice(0, -1) },
      stdio: 'ignore',
    });
    if (made.status !== 0) return undefined;
  }
  return async () => {
    const [port, feedPort] = [await freePort(), await freePort()];
    const file = `${TOOLS}nats-${port}.conf`;
    writeFileSync(
      file,
      `host: "127.0.0.1"\nport: ${feedPort}\nwebsocket { host: "127.0.0.1", port: ${port}, no_tls: true }\n`,
    );
    const child = start(0, program, ['-c', file, '-l', '/dev/null']);
    await untilOpen(port);
    const stopAll = async (): Promise<void> => {
      await stop(child);
      rmSync(file);
    };
    return { child, port, arguments: ['--protocol', 'nats', '--feed', 'nats', '--feed-port', feedPort], stop: stopAll };
  };
}

// A server that makes its ticks itself once all clients are there, and prints its port.
async function generating(child: ChildProcess): Promise<Server> {
  const port = Number(await firstLine(child, /^\d+$/));
  return { child, port, arguments: ['--protocol', 'plain', '--feed', 'none'], stop: () => stop(child) };
}

function buildUWebSockets(program: string): boolean {
  const cargo = spawnSync(
    'cargo',
    ['metadata', '--format-version', '1', '--manifest-path', 'benches/fanout/Cargo.toml'],
    {
      cwd: ROOT,
      encoding: 'utf8',
      maxBuffer: 1 << 26,
    },
  );
  if (cargo.status !== 0) return false;
  const { packages } = JSON.parse(cargo.stdout) as { packages: { name: string; manifest_path: string }[] };
  const found = packages.find(({ name }) => name === 'libuwebsockets-sys');
  if (found === undefined) return false;
  const sources = found.manifest_path.replace(/Cargo\.toml$/, 'uWebSockets/');
  const sockets = `${sources}uSockets/src`;
  mkdirSync(TOOLS, { recursive: true });
  const c = ['', '/eventing', '/crypto'].flatMap((folder) =>
    readdirSync(sockets + folder)
      .filter((name) => name.endsWith('.c'))
      .map((name) => `${sockets}${folder}/${name}`),
  );
  const options = ['-O3', '-DLIBUS_NO_SSL', '-DUWS_NO_ZLIB', `-I${sockets}`];
  const compiled = spawnSync('gcc', ['-c', ...options, ...c], { cwd: TOOLS, stdio: 'ignore' });
  const objects = readdirSync(TOOLS).filter((name) => name.endsWith('.o'));
  const linked = spawnSync(
    'g++',
    ['-std=c++20', ...options, `-I${sources}src`, `${ROOT}benches/fanout/peers/uws.cpp`, ...objects, '-o', program],
    { cwd: TOOLS, stdio: 'ignore' },
  );
  return compiled.status === 0 && linked.status === 0;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

async function untilOpen(port: number): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (Date.now() < deadline) {
    try {
      await fetch(`http://127.0.0.1:${port}/`);
      return;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  throw new Error(`nothing listens on port ${port}`);
}
