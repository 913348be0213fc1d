import type { ServerOptions as HttpOptions } from 'node:http';
import type { ServerOptions as TlsOptions } from 'node:https';
import type { Socket } from 'node:net';
import { Server as TlsServer } from 'node:tls';
import Fastify, { LogController, type FastifyInstance, type FastifyServerOptions } from 'fastify';
import { OpenAlgoShmError } from '../errors.ts';
import { isLoopback } from './addresses.ts';
import type { Answer } from './answers.ts';
import type { Health } from './health.ts';
import { type LogLevel, logger } from './logger.ts';
import { type ProxyOptions, settingsOf } from './options.ts';
import { openalgoShm } from './plugin.ts';
import type { Proxy } from './proxy.ts';
import type { StatsReport } from './schemas.ts';

/** Where the clients of OpenAlgo look for it. */
const DEFAULT_HOST = '127.0.0.1';
const DEFAULT_PORT = 8765;

/** Time for a request to come whole, ms, and for its head. */
const REQUEST_TIMEOUT_MS = 30_000;
const HEADERS_TIMEOUT_MS = 15_000;
/** Longest body of a request, bytes: nothing that is asked for here needs one. */
const BODY_LIMIT = 16 * 1024;
/** Time between looks for requests that take longer, ms. */
const LOOK_MS = 5_000;

/** Options of {@link WebSocketProxy}. */
export interface WebSocketProxyOptions extends ProxyOptions {
  /** Address to listen on. Default 127.0.0.1. Others need `auth`. */
  host?: string;
  /** Port to listen on; 0 for any free one. Default 8765. */
  port?: number;
  /** Whether the page at `/` is the dashboard. Default true. */
  dashboard?: boolean;
  /** Level of the log on standard error, or a logger of pino's kind. Default `info`. */
  log?: LogLevel | NonNullable<FastifyServerOptions['loggerInstance']>;
  /**
   * Options of the server below: TLS (`https`), `trustProxy` and so on. A request that does not come whole within
   * `requestTimeout`, default 30,000 ms, is ended; so is one whose head takes longer than `http.headersTimeout` (with TLS
   * `https.headersTimeout`), default 15,000 ms, and a connection that sends nothing.
   */
  server?: Omit<FastifyServerOptions, 'logger' | 'loggerInstance'> & { http?: HttpOptions; https?: TlsOptions };
}

/** Where a proxy listens. */
export interface ProxyAddress {
  host: string;
  port: number;
  /** URL for clients. */
  url: string;
}

/**
 * The proxy with a server of its own: takes WebSocket clients on any path, as OpenAlgo's does.
 *
 * @example
 * const proxy = new WebSocketProxy();
 * await proxy.start();               // ws://127.0.0.1:8765
 * console.log(proxy.getStats());
 * await proxy.stop();
 */
export class WebSocketProxy {
  readonly #options: ProxyOptions;
  readonly #host: string;
  readonly #port: number;
  readonly #dashboard: boolean;
  readonly #log: WebSocketProxyOptions['log'];
  readonly #serverOptions: WebSocketProxyOptions['server'];
  #server: FastifyInstance | undefined;
  #starting: Promise<this> | undefined;

  /** @throws {OpenAlgoShmError} `ERR_INVALID_OPTION`, `ERR_AUTH_REQUIRED` when the host is not this machine's own and nobody needs a key. */
  constructor({
    host = DEFAULT_HOST,
    port = DEFAULT_PORT,
    log = 'info',
    dashboard = true,
    server,
    ...options
  }: WebSocketProxyOptions = {}) {
    const { auth } = settingsOf(options);
    if (typeof host !== 'string' || host === '') {
      throw new OpenAlgoShmError('ERR_INVALID_OPTION', 'host must be an address, like 127.0.0.1');
    }
    if (!Number.isInteger(port) || port < 0 || port > 65_535) {
      throw new OpenAlgoShmError(
        'ERR_INVALID_OPTION',
        `port is ${String(port)}, expected a whole number from 0 to 65535`,
      );
    }
    if (auth === 'none' && !isLoopback(host)) {
      throw new OpenAlgoShmError(
        'ERR_AUTH_REQUIRED',
        `${host} can be reached from other machines: set auth (keys, a function, or OpenAlgo), or listen on ${DEFAULT_HOST}`,
      );
    }
    this.#options = options;
    this.#host = host;
    this.#port = port;
    this.#dashboard = dashboard;
    this.#log = log;
    this.#serverOptions = server;
  }

  /**
   * Attaches to the ring, or creates it, and listens. Does nothing if it runs already.
   *
   * @throws {OpenAlgoShmError} `ERR_PORT_IN_USE`, and those of attaching to the ring.
   */
  start(): Promise<this> {
    this.#starting ??= this.#start().catch((error: unknown) => {
      this.#starting = undefined;
      throw error;
    });
    return this.#starting;
  }

  /** Sees the clients off with 1001, stops listening and leaves the ring. Idempotent. */
  async stop(): Promise<void> {
    await this.#starting?.catch(() => undefined);
    const server = this.#server;
    this.#server = undefined;
    this.#starting = undefined;
    await server?.close();
  }

  /** Where it listens; undefined unless it runs. */
  address(): ProxyAddress | undefined {
    const address = this.#server?.server.address();
    if (address === null || typeof address !== 'object') return undefined;
    const scheme = this.#serverOptions !== undefined && 'https' in this.#serverOptions ? 'wss' : 'ws';
    const host = address.family === 'IPv6' ? `[${address.address}]` : address.address;
    return { host: address.address, port: address.port, url: `${scheme}://${host}:${address.port}` };
  }

  /**
   * The figures of `GET /stats`.
   *
   * @throws {OpenAlgoShmError} `ERR_CLOSED` unless it runs.
   */
  getStats(): StatsReport {
    return this.#proxy().stats();
  }

  /** Whether ticks can be expected, and why not. @throws {OpenAlgoShmError} `ERR_CLOSED` unless it runs. */
  health(): Health {
    return this.#proxy().health();
  }

  /**
   * Sends an order update to the sessions of its user that asked for them.
   *
   * @returns the number of sessions that it went to.
   * @throws {OpenAlgoShmError} `ERR_CLOSED` unless it runs.
   */
  deliverOrderUpdate(userId: string, payload: Answer): number {
    return this.#proxy().deliverOrderUpdate(userId, payload);
  }

  /** The proxy inside. @throws {OpenAlgoShmError} `ERR_CLOSED` unless it runs. */
  get proxy(): Proxy {
    return this.#proxy();
  }

  async #start(): Promise<this> {
    const logController = new LogController({ disableRequestLogging: true });
    const loggerInstance = typeof this.#log === 'object' ? this.#log : logger(this.#log);
    // A connection that was never used, a browser's for instance, would keep the server from closing.
    const options = {
      logController,
      forceCloseConnections: true,
      bodyLimit: BODY_LIMIT,
      ...boundedInTime(this.#serverOptions),
      loggerInstance,
    };
    const server = Fastify(options) as unknown as FastifyInstance;
    try {
      const cutOff = followConnections(server);
      await server.register(openalgoShm, { ...this.#options, anyPath: true, dashboard: this.#dashboard });
      server.openalgoShm.connections.watch(server.server, Boolean(this.#serverOptions?.trustProxy));
      // After the plugin's own hooks, which see the clients off.
      server.addHook('preClose', async () => cutOff());
      await server.listen({ host: this.#host, port: this.#port });
    } catch (error) {
      await server.close();
      throw this.#explain(error);
    }
    this.#server = server;
    return this;
  }

  #explain(error: unknown): unknown {
    const code = (error as { code?: unknown }).code;
    const where = `${this.#host}:${this.#port}`;
    if (code === 'EADDRINUSE') {
      const message = `${where} is in use, perhaps by another proxy; stop it or give another port`;
      return new OpenAlgoShmError('ERR_PORT_IN_USE', message, { cause: error });
    }
    if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND' || code === 'EACCES') {
      const message = `cannot listen on ${where} (${code}); give an address of this machine and a port above 1023`;
      return new OpenAlgoShmError('ERR_INVALID_OPTION', message, { cause: error });
    }
    return error;
  }

  #proxy(): Proxy {
    if (this.#server === undefined)
      throw new OpenAlgoShmError('ERR_CLOSED', 'the proxy does not run; call start() first');
    return this.#server.openalgoShm;
  }
}

/** The options of a server that waits for no request for ever. */
function boundedInTime(options: WebSocketProxyOptions['server'] = {}): NonNullable<WebSocketProxyOptions['server']> {
  const { requestTimeout = REQUEST_TIMEOUT_MS } = options;
  const times = {
    requestTimeout,
    headersTimeout: Math.min(HEADERS_TIMEOUT_MS, requestTimeout || HEADERS_TIMEOUT_MS),
    connectionsCheckingInterval: Math.min(LOOK_MS, requestTimeout || LOOK_MS),
  };
  if (options.https) {
    return { ...options, requestTimeout, https: { handshakeTimeout: HEADERS_TIMEOUT_MS, ...times, ...options.https } };
  }
  return { ...options, requestTimeout, http: { ...times, ...options.http } };
}

/**
 * Follows the connections of a TLS server, since those that never finish its handshake are known to nobody else and would
 * keep it from closing.
 *
 * @returns a function that cuts off those that are left.
 */
function followConnections({ server }: FastifyInstance): () => void {
  const sockets = new Set<Socket>();
  if (server instanceof TlsServer) {
    server.on('connection', (socket: Socket) => sockets.add(socket.once('close', () => sockets.delete(socket))));
  }
  return () => sockets.forEach((socket) => socket.destroy());
}
