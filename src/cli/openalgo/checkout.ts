import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { SetupError } from '../setup-error.ts';
import { readEnvFile } from './env-file.ts';

/** Enough to tell OpenAlgo from anything else. */
const MARKS = ['websocket_proxy/broker_factory.py', 'websocket_proxy/connection_manager.py', 'database/auth_db.py'];

/** OpenAlgo's variable for a flag of ours. */
const FLAGS = { host: 'WEBSOCKET_HOST', port: 'WEBSOCKET_PORT' } as const;

/** Where OpenAlgo's messages between its processes go, if its settings do not say. */
const DEFAULT_BUS = { host: '127.0.0.1', port: '5555' } as const;

/** An address, and the setting that it comes from. */
export interface Address {
  host: string;
  port: number;
}

/** A checkout of OpenAlgo with its settings. */
export class Checkout {
  readonly path: string;
  readonly envPath: string;
  readonly #env: ReadonlyMap<string, string>;

  private constructor(path: string, env: ReadonlyMap<string, string>) {
    this.path = path;
    this.envPath = envPathOf(path);
    this.#env = env;
  }

  /** @throws SetupError `ERR_INVALID_ARGUMENT` where it is none; `ERR_FILE` without its `.env` */
  static open(folder: string): Checkout {
    const path = resolve(folder);
    const missing = MARKS.find((mark) => !existsSync(join(path, mark)));
    if (missing !== undefined) {
      throw new SetupError(
        'ERR_INVALID_ARGUMENT',
        `${path} is not a checkout of OpenAlgo: it has no ${missing}; give the folder that OpenAlgo's app.py is in`,
      );
    }
    try {
      return new Checkout(path, readEnvFile(envPathOf(path)));
    } catch (cause) {
      const reason = existsSync(envPathOf(path)) ? `cannot be read: ${(cause as Error).message}` : 'is not there';
      throw new SetupError(
        'ERR_FILE',
        `${envPathOf(path)} ${reason}; copy .sample.env to .env, fill it in and start OpenAlgo once`,
        { cause },
      );
    }
  }

  /** What its `pyproject.toml` asks of Python, such as `>=3.12`. */
  get requiresPython(): string | undefined {
    const file = join(this.path, 'pyproject.toml');
    if (!existsSync(file)) return undefined;
    return /^requires-python\s*=\s*["']([^"']*)["']/m.exec(readFileSync(file, 'utf8'))?.[1];
  }

  /** False if OpenAlgo starts its own WebSocket server together with its web application. */
  get leavesServerToOthers(): boolean {
    return existsSync('/.dockerenv') || this.#env.get('APP_MODE')?.trim() === 'standalone';
  }

  /**
   * Where its processes exchange messages.
   *
   * @throws SetupError `ERR_INVALID_OPTION`
   */
  get bus(): Address {
    const text = this.#env.get('ZMQ_PORT') || process.env['ZMQ_PORT'] || DEFAULT_BUS.port;
    const port = Number(text);
    if (!Number.isInteger(port) || port < 1 || port > 65_535) {
      throw new SetupError(
        'ERR_INVALID_OPTION',
        `ZMQ_PORT in ${this.envPath} is '${text}'; it must be a port from 1 to 65535`,
      );
    }
    return { host: this.#env.get('ZMQ_HOST') || process.env['ZMQ_HOST'] || DEFAULT_BUS.host, port };
  }
}

/** What the `.env` of a folder says about flags of ours; nothing where there is none that can be read. */
export function flagsOfEnv(folder: string): { path: string; values: Map<string, string> } {
  const path = envPathOf(resolve(folder));
  const values = new Map<string, string>();
  try {
    const env = readEnvFile(path);
    for (const [flag, variable] of Object.entries(FLAGS)) {
      const text = env.get(variable);
      if (text !== undefined && text !== '') values.set(flag, text);
    }
  } catch {
    // The command itself says what is wrong with it.
  }
  return { path, values };
}

function envPathOf(path: string): string {
  return join(path, '.env');
}
