import { randomUUID } from 'node:crypto';
import { WebSocket } from 'ws';
import { OpenAlgoShmError } from '../errors.ts';
import { isRecord, type RawRecord } from './dialect-values.ts';
import { parsePythonJson } from './python-json.ts';
import { shownUrl } from './shown-url.ts';

/** What a connection does with what comes unasked. */
export interface OpenAlgoListener {
  onTick(message: RawRecord): void;
  onOrderUpdate(update: RawRecord): void;
  onMalformed(reason: string, text: string): void;
}

export interface OpenAlgoConnectionOptions {
  /** As in `ws://127.0.0.1:8765`. */
  url: string;
  apiKey: string;
  /** Longest time that the server may take to answer a request, or to open the connection, ms. */
  answerTimeoutMs: number;
  /** Time between pings, ms; a server that has sent nothing at all until the next is gone. */
  pingIntervalMs: number;
}

/** Who the server says that the key belongs to. */
export interface OpenAlgoAccount {
  broker?: string;
  userId?: string;
}

/** The server answered a request with an error. */
export class UpstreamRefusal extends OpenAlgoShmError {
  /** The server's own code, as `AUTHENTICATION_ERROR`. */
  readonly upstreamCode: string;

  constructor(upstreamCode: string, message: string) {
    super('ERR_UPSTREAM', `OpenAlgo refuses (${upstreamCode}): ${message}`);
    this.upstreamCode = upstreamCode;
  }
}

interface Request {
  readonly id: string;
  readonly resolve: (answer: RawRecord) => void;
  readonly reject: (reason: Error) => void;
  readonly timeout: NodeJS.Timeout;
}

/** Types that are answers; an error of OpenAlgo has none. */
const ANSWERS: ReadonlySet<unknown> = new Set([
  undefined,
  'error',
  'auth',
  'subscribe',
  'unsubscribe',
  'subscribe_orders',
]);

/** Longest time for the server to agree that the connection ends, ms. */
const CLOSING_MS = 1_000;

/** An authenticated connection to a running OpenAlgo, as an ordinary client of it. */
export class OpenAlgoConnection {
  /** Resolves with the reason when the connection is gone. */
  readonly closed: Promise<string>;
  account: OpenAlgoAccount = {};
  readonly #socket: WebSocket;
  readonly #listener: OpenAlgoListener;
  readonly #answerTimeoutMs: number;
  #request: Request | undefined;
  /** Errors name no request, so there is only ever one: the others wait for it. */
  #turn: Promise<unknown> = Promise.resolve();
  #heard = true;
  #goneBecause = '';

  private constructor(options: OpenAlgoConnectionOptions, listener: OpenAlgoListener) {
    this.#listener = listener;
    this.#answerTimeoutMs = options.answerTimeoutMs;
    this.#socket = new WebSocket(options.url, { handshakeTimeout: options.answerTimeoutMs, perMessageDeflate: false });
    this.#socket.on('message', (data) => this.#read(String(data)));
    this.#socket.on('pong', () => (this.#heard = true));
    this.#socket.on('ping', () => (this.#heard = true));
    const pinging = setInterval(() => this.#ping(), options.pingIntervalMs);
    this.closed = new Promise((resolve) => {
      this.#socket.on('error', (error) => (this.#goneBecause ||= error.message));
      this.#socket.once('close', (code, reason) => {
        clearInterval(pinging);
        const why = this.#goneBecause || `closed with code ${code}${reason.length > 0 ? ` (${String(reason)})` : ''}`;
        this.#settle()?.reject(new OpenAlgoShmError('ERR_UPSTREAM', `the connection to OpenAlgo is gone: ${why}`));
        resolve(why);
      });
    });
  }

  /**
   * Connects and authenticates.
   *
   * @throws `UpstreamRefusal` for a key or a broker that the server refuses, `ERR_UPSTREAM` where there is no answer
   */
  static async open(
    options: OpenAlgoConnectionOptions,
    listener: OpenAlgoListener,
    signal: AbortSignal,
  ): Promise<OpenAlgoConnection> {
    const connection = new OpenAlgoConnection(options, listener);
    const abort = () => connection.close();
    signal.addEventListener('abort', abort);
    void connection.closed.then(() => signal.removeEventListener('abort', abort));
    if (signal.aborted) abort();
    try {
      await connection.#opened();
      const answer = await connection.request({ action: 'authenticate', api_key: options.apiKey });
      const { broker, user_id: userId } = answer;
      if (typeof broker === 'string') connection.account.broker = broker;
      if (typeof userId === 'string') connection.account.userId = userId;
      return connection;
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  /**
   * Asks the server for something and waits for its answer, after those asked for before.
   *
   * @throws `UpstreamRefusal` for an error, `ERR_UPSTREAM` where the connection is gone or no answer comes
   */
  request(message: RawRecord): Promise<RawRecord> {
    const answer = this.#turn.then(() => this.#ask(message));
    this.#turn = answer.catch(() => undefined);
    return answer;
  }

  /** Ends the connection. Idempotent. */
  close(): void {
    if (this.#socket.readyState === WebSocket.CONNECTING) this.#socket.terminate();
    else this.#socket.close(1000);
    setTimeout(() => this.#socket.terminate(), CLOSING_MS).unref();
  }

  #opened(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#socket.once('open', resolve);
      void this.closed.then((why) =>
        reject(
          new OpenAlgoShmError('ERR_UPSTREAM', `OpenAlgo at ${shownUrl(this.#socket.url)} cannot be reached: ${why}`),
        ),
      );
    });
  }

  #ask(message: RawRecord): Promise<RawRecord> {
    return new Promise((resolve, reject) => {
      if (this.#socket.readyState !== WebSocket.OPEN) {
        reject(new OpenAlgoShmError('ERR_UPSTREAM', 'the connection to OpenAlgo is gone'));
        return;
      }
      const id = randomUUID();
      const timeout = setTimeout(
        () => this.#giveUp(`it gave no answer in ${this.#answerTimeoutMs} ms`),
        this.#answerTimeoutMs,
      );
      this.#request = { id, resolve, reject, timeout };
      this.#socket.send(JSON.stringify({ ...message, request_id: id }));
    });
  }

  #settle(): Request | undefined {
    const request = this.#request;
    this.#request = undefined;
    clearTimeout(request?.timeout);
    return request;
  }

  #ping(): void {
    if (this.#socket.readyState !== WebSocket.OPEN) return;
    if (!this.#heard) {
      this.#giveUp('it has fallen silent');
      return;
    }
    this.#heard = false;
    this.#socket.ping();
  }

  /** A late answer could be taken for that of another request: better a new connection. */
  #giveUp(reason: string): void {
    this.#goneBecause ||= reason;
    this.#socket.terminate();
  }

  #read(text: string): void {
    this.#heard = true;
    let message: unknown;
    try {
      message = parsePythonJson(text);
    } catch {
      return this.#listener.onMalformed('no JSON', text);
    }
    if (!isRecord(message)) return this.#listener.onMalformed('no JSON object', text);
    if (message['type'] === 'market_data') this.#listener.onTick(message);
    else if (message['type'] === 'order_update') this.#listener.onOrderUpdate(message);
    else if (ANSWERS.has(message['type'])) this.#answer(message);
  }

  #answer(message: RawRecord): void {
    const { request_id: id, status, code, message: text } = message;
    if (this.#request === undefined || (id !== undefined && id !== this.#request.id)) return;
    const request = this.#settle() as Request;
    const isError = status === 'error' && message['type'] !== 'unsubscribe';
    if (isError) request.reject(new UpstreamRefusal(String(code ?? 'UNKNOWN'), String(text ?? 'no message')));
    else request.resolve(message);
  }
}
