import { spawn, type ChildProcess } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { root, until } from './running-command.ts';

/** A port that nobody has at this moment. */
export async function freePort(): Promise<number> {
  const server = await listening();
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** A server that listens on a port of this machine. */
export async function listening(port = 0): Promise<Server> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return server;
}

/** The broker of the stand-in's adapter: takes subscriptions, but for a symbol UNKNOWN, and sends what a test says. */
class Broker {
  readonly server: Server;
  readonly #connections = new Set<Socket>();
  /** Symbols that were subscribed, over all connections. */
  readonly subscribed: string[] = [];

  constructor(server: Server) {
    this.server = server;
    server.on('connection', (socket) => this.#serve(socket));
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  tick(topic: string, data: object): void {
    this.#send({ op: 'tick', topic, data });
  }

  close(): void {
    for (const socket of this.#connections) socket.destroy();
    this.server.close();
  }

  #serve(socket: Socket): void {
    this.#connections.add(socket);
    socket.on('error', () => {}).on('close', () => this.#connections.delete(socket));
    createInterface({ input: socket }).on('line', (line) => {
      const { op, symbol } = JSON.parse(line) as { op: string; symbol?: string };
      const isKnown = symbol !== 'UNKNOWN';
      if (op === 'subscribe' && isKnown) this.subscribed.push(symbol!);
      const answer = isKnown ? { status: 'success' } : { status: 'error', message: 'no such symbol' };
      socket.write(`${JSON.stringify(answer)}\n`);
    });
  }

  #send(message: object): void {
    for (const socket of this.#connections) socket.write(`${JSON.stringify(message)}\n`);
  }
}

/** A checkout of the stand-in for OpenAlgo in a folder of its own, with its broker. */
export class StandIn {
  readonly path: string;
  readonly broker: Broker;
  readonly webSocketPort: number;
  readonly busPort: number;
  readonly #folder: string;
  readonly #python: string;

  private constructor(folder: string, python: string, broker: Broker, ports: [number, number]) {
    this.#folder = folder;
    this.#python = python;
    this.path = join(folder, 'checkout');
    this.broker = broker;
    [this.webSocketPort, this.busPort] = ports;
    cpSync(join(root, 'crates/python/tests/stand_in'), this.path, {
      recursive: true,
      filter: (path) => !path.includes('__pycache__'),
    });
    mkdirSync(join(this.path, 'db'));
    this.configure();
  }

  static async make(python: string): Promise<StandIn> {
    // Paths of Unix sockets are short.
    const folder = mkdtempSync(join(tmpdir(), 'oas-'));
    const ports: [number, number] = [await freePort(), await freePort()];
    return new StandIn(folder, python, new Broker(await listening()), ports);
  }

  /** What keeps processes of a test out of the user's own folders. */
  get environment(): Record<string, string> {
    return { TMPDIR: this.#folder, XDG_RUNTIME_DIR: '' };
  }

  /** Writes `.env`. */
  configure(settings: Record<string, string> = {}): void {
    const all = {
      APP_MODE: 'standalone',
      DATABASE_URL: 'sqlite:///db/openalgo.db',
      MOCK_BROKER_PORT: String(this.broker.port),
      WEBSOCKET_HOST: '127.0.0.1',
      WEBSOCKET_PORT: String(this.webSocketPort),
      ZMQ_HOST: '127.0.0.1',
      ZMQ_PORT: String(this.busPort),
      ...settings,
    };
    writeFileSync(
      join(this.path, '.env'),
      Object.entries(all)
        .map(([name, value]) => `${name} = '${value}'\n`)
        .join(''),
    );
  }

  /** Lets its web application do what a user does there: log in, make a key. */
  async use(...commands: readonly Record<string, unknown>[]): Promise<void> {
    const web: ChildProcess = spawn(this.#python, ['flask_side.py'], {
      cwd: this.path,
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    let said = '';
    web.stdout!.setEncoding('utf8').on('data', (text: string) => (said += text));
    for (const command of commands) web.stdin!.write(`${JSON.stringify(command)}\n`);
    web.stdin!.end();
    await until('the web application', () => said.split('"done"').length > commands.length);
    await until('its end', () => web.exitCode !== null);
  }

  remove(): void {
    this.broker.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
