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
  /** A subscription that was taken before has ended: other proxies of this kind tell that, OpenAlgo does not. */
  onRefused(notice: RawRecord): void;
  onMalformed(reason: string, text: string): void;
}

export interface OpenAlgoConnectionOptions {
  /** As in `ws://127.0.0.1:8765`. */
  url: string;
  /** Longest time that the server may take to answer a request, or to open the connection, ms. */
  answerTimeoutMs: number;
  /**
   * Time between pings, ms; a server that has sent nothing at all until the next is gone. Not while a request is under
   * way: OpenAlgo answers nothing else while it works on a list.
   */
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

  /** Whether the server has no broker's adapter for this client now, or does not know the client any more. */
  get hasNoBroker(): boolean {
    return this.upstreamCode.startsWith('BROKER_') || this.upstreamCode === 'NOT_AUTHENTICATED';
  }
}

type Message = RawRecord & { action: string };

interface Request {
  readonly id: string;
  /** Type of its answer. */
  readonly type: string;
  /** Whether the server may be busy with it for long. */
  readonly isWork: boolean;
  readonly resolve: (answer: RawRecord) => void;
  readonly reject: (reason: Error) => void;
  readonly timeout: NodeJS.Timeout;
}

/** Types of answers where they differ from the action. */
const ANSWER_TYPES: Readonly<Record<string, string>> = { authenticate: 'auth', get_broker_info: 'broker_info' };

/** Time for an answer that takes the server no work, ms. */
const QUESTION_MS = 5_000;
/** Questions without an answer after which none is asked any more: other requests wait for them. */
const MOST_UNANSWERED = 5;
/** Longest time for the server to agree that the connection ends, ms. */
const CLOSING_MS = 1_000;

/** A connection to a running OpenAlgo, as an ordinary client of it. */
export class OpenAlgoConnection {
  /** Resolves with the reason when the connection is gone. */
  readonly closed: Promise<string>;
  /** Aborted when the connection is gone. */
  readonly gone: AbortSignal;
  readonly #socket: WebSocket;
  readonly #listener: OpenAlgoListener;
  readonly #answerTimeoutMs: number;
  #tellsBroker = true;
  /** Questions for the broker in a row that were not answered. */
  #unanswered = 0;
  #request: Request | undefined;
  /** Errors name no request, so there is only ever one: the others wait for it. */
  #turn: Promise<unknown> = Promise.resolve();
  #heard = true;
  #goneBecause = '';

  private constructor(options: OpenAlgoConnectionOptions, listener: OpenAlgoListener) {
    this.#listener = listener;
    this.#answerTimeoutMs = options.answerTimeoutMs;
    const ending = new AbortController();
    this.gone = ending.signal;
    this.#socket = new WebSocket(options.url, { handshakeTimeout: options.answerTimeoutMs, perMessageDeflate: false });
    this.#socket.on('message', (data) => this.#read(String(data)));
    this.#socket.on('pong', () => (this.#heard = true));
    this.#socket.on('ping', () => (this.#heard = true));
    const pinging = setInterval(() => this.#ping(), options.pingIntervalMs);
    this.closed = new Promise((resolve) => {
      this.#socket.on('error', (error) => (this.#goneBecause ||= error.message));
      this.#socket.once('close', (code, reason) => {
        clearInterval(pinging);
        ending.abort();
        const why = this.#goneBecause || `closed with code ${code}${reason.length > 0 ? ` (${String(reason)})` : ''}`;
        this.#settle()?.reject(new OpenAlgoShmError('ERR_UPSTREAM', `the connection to OpenAlgo is gone: ${why}`));
        resolve(why);
      });
    });
  }

  /**
   * Connects.
   *
   * @throws `ERR_UPSTREAM` where there is no answer
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
      return connection;
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  /**
   * Asks the server for something and waits for its answer, after those asked for before. Without an answer in time the
   * connection ends: a late one could be taken for that of another request.
   *
   * @throws `UpstreamRefusal` for an error, `ERR_UPSTREAM` where the connection is gone or no answer comes
   */
  request(message: Message): Promise<RawRecord> {
    return this.#inTurn(() => this.#ask(message, true, this.#answerTimeoutMs));
  }

  /**
   * Authenticates, for the first time or once more: OpenAlgo then makes a broker's adapter, unless it has one.
   *
   * @throws as {@link request}
   */
  async authenticate(apiKey: string): Promise<OpenAlgoAccount> {
    const question = { action: 'authenticate', api_key: apiKey };
    // OpenAlgo may try twice to reach its broker.
    const { broker, user_id: userId } = await this.#inTurn(() => this.#ask(question, true, 2 * this.#answerTimeoutMs));
    return { ...(typeof broker === 'string' && { broker }), ...(typeof userId === 'string' && { userId }) };
  }

  /**
   * Whether OpenAlgo has a broker's adapter; undefined where the server does not tell.
   *
   * @throws `ERR_UPSTREAM` where the connection is gone
   */
  async hasBroker(): Promise<boolean | undefined> {
    if (!this.#tellsBroker) return undefined;
    try {
      const question = { action: 'get_broker_info' };
      const { adapter_status: status } = await this.#inTurn(() => this.#ask(question, false, QUESTION_MS));
      this.#unanswered = status === undefined ? this.#unanswered + 1 : 0;
      if (this.#unanswered === MOST_UNANSWERED) this.#tellsBroker = false;
      return status === undefined ? undefined : status !== 'disconnected';
    } catch (error) {
      if (!(error instanceof UpstreamRefusal)) throw error;
      if (error.hasNoBroker) return false;
      this.#tellsBroker = error.upstreamCode !== 'INVALID_ACTION';
      return undefined;
    }
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

  #inTurn<T>(ask: () => Promise<T>): Promise<T> {
    const answer = this.#turn.then(ask);
    this.#turn = answer.catch(() => undefined);
    return answer;
  }

  /** @param isWork whether the connection ends without an answer; else the answer is then empty. */
  #ask(message: Message, isWork: boolean, timeoutMs: number): Promise<RawRecord> {
    return new Promise((resolve, reject) => {
      if (this.#socket.readyState !== WebSocket.OPEN) {
        reject(new OpenAlgoShmError('ERR_UPSTREAM', 'the connection to OpenAlgo is gone'));
        return;
      }
      const id = randomUUID();
      const timeout = setTimeout(() => {
        if (isWork) this.#giveUp(`it gave no answer in ${timeoutMs} ms`);
        else this.#settle()?.resolve({});
      }, timeoutMs);
      const type = ANSWER_TYPES[message.action] ?? message.action;
      this.#request = { id, type, isWork, resolve, reject, timeout };
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
    if (this.#request?.isWork) {
      this.#heard = true;
      return;
    }
    if (!this.#heard) {
      this.#giveUp('it has fallen silent');
      return;
    }
    this.#heard = false;
    this.#socket.ping();
  }

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
    else if (message['type'] === 'subscription_refused') this.#passRefusal(message);
    else this.#answer(message);
  }

  /** One that has come with an answer in one packet is heard after that, as it was sent. */
  #passRefusal(notice: RawRecord): void {
    if (this.#request !== undefined) this.#listener.onRefused(notice);
    else setImmediate(() => this.#listener.onRefused(notice));
  }

  #answer(message: RawRecord): void {
    const { type, request_id: id, status, code, message: text } = message;
    if (this.#request === undefined) return;
    // Errors of OpenAlgo have neither a type nor the request's id, and some answers have no id.
    const isMine = id === undefined && (type === undefined || type === 'error' || type === this.#request.type);
    if (!isMine && id !== this.#request.id) return;
    const request = this.#settle() as Request;
    const isError = status === 'error' && type !== 'unsubscribe';
    const [reason, explanation] = [textOr(code, 'UNKNOWN'), textOr(text, 'no message')];
    if (isError) request.reject(new UpstreamRefusal(reason, explanation));
    else request.resolve(message);
  }
}

function textOr(value: unknown, otherwise: string): string {
  return typeof value === 'string' ? value : otherwise;
}
