import { type Socket, connect } from 'node:net';
import { OpenAlgoShmError } from '../errors.ts';
import type { CheckPurpose, Identity } from './auth.ts';
import { checkOwner, checkPathLength } from './key-socket-path.ts';
import { isObject } from './protocol.ts';

/** Longest key that is asked for, in bytes; OpenAlgo's have 64. */
const MAX_KEY_BYTES = 1024;
/** Longest question, in bytes: the host closes the connection on a longer one. Some characters take six bytes in JSON. */
const MAX_QUESTION_BYTES = 4_096;
/** How often a question is sent at most: it may be the reason why the host closes the connection. */
const MAX_SENT = 2;
/** Most keys that are being checked at the same time. */
const MAX_QUESTIONS = 16_384;
/** Most bytes of questions that the host has not taken. */
const MAX_UNTAKEN_BYTES = 4 * 1024 * 1024;
/** Longest line of the host, in characters. */
const MAX_LINE_LENGTH = 65_536;
/** Wait before the first new attempt to connect, and the longest, ms. */
const FIRST_WAIT_MS = 50;
const LONGEST_WAIT_MS = 5_000;
/** How long a question waits for a host that is away, ms: OpenAlgo's clients wait five seconds for their answer. */
const AWAY_MS = 2_000;

interface Question {
  key: string;
  purpose: CheckPurpose;
  /** When it must be answered, by the clock of `performance.now`. */
  deadline: number;
  timer: NodeJS.Timeout;
  /** How often it was sent. */
  sent: number;
  resolve(identity: Identity | undefined): void;
  reject(error: unknown): void;
}

/**
 * Asks the adapter host whose a key is, over its socket: lines of JSON, one connection, opened with the first question
 * and kept. While the host is away, questions wait a moment: it may be starting again.
 */
export class KeySocket {
  readonly #path: string;
  readonly #timeoutMs: number;
  readonly #questions = new Map<number, Question>();
  #onChanged: () => void = () => undefined;
  #onReconnected: () => void = () => undefined;
  #asked = 0;
  #socket: Socket | undefined;
  #isConnected = false;
  /** Whether it was ever connected: what changes while it is away is not heard. */
  #wasConnected = false;
  #text = '';
  #waitMs = FIRST_WAIT_MS;
  #retry: NodeJS.Timeout | undefined;
  #lostAt = -Infinity;
  #trouble: unknown;
  #closed = false;

  /**
   * @param timeoutMs how long a question may take.
   * @throws {OpenAlgoShmError} `ERR_INVALID_OPTION` for a path that is too long.
   */
  constructor(path: string, timeoutMs: number) {
    checkPathLength(path);
    this.#path = path;
    this.#timeoutMs = timeoutMs;
  }

  /** Calls back when the host says that keys have changed. */
  onChanged(listener: () => void): void {
    this.#onChanged = listener;
  }

  /** Calls back when the host is back: keys may have changed meanwhile, unheard. */
  onReconnected(listener: () => void): void {
    this.#onReconnected = listener;
  }

  /**
   * The owner of a key, or undefined for a key that is not valid. A question that nobody waits for any more is not sent.
   *
   * @throws {OpenAlgoShmError} `ERR_UPSTREAM` when it cannot be checked now, `ERR_SHM_PERMISSION` when the socket may be
   *   another user's.
   */
  check(key: string, purpose: CheckPurpose): Promise<Identity | undefined> {
    if (isTooLong(key)) return Promise.resolve(undefined);
    if (this.#questions.size >= MAX_QUESTIONS || (this.#socket?.writableLength ?? 0) > MAX_UNTAKEN_BYTES) {
      return Promise.reject(upstream('too many keys wait for the adapter host'));
    }
    return new Promise((resolve, reject) => {
      const id = (this.#asked += 1);
      const wait = this.#isConnected ? this.#timeoutMs : Math.min(this.#timeoutMs, AWAY_MS);
      const deadline = performance.now() + this.#timeoutMs;
      const question = { key, purpose, deadline, timer: this.#timer(id, wait), sent: 0, resolve, reject };
      this.#questions.set(id, question);
      if (this.#isConnected) this.#send(id, question);
      else if (this.#socket === undefined) this.#connectSoon();
    });
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#retry);
    this.#socket?.destroy();
    this.#rejectAll(upstream('the proxy closes'));
  }

  // A question is a reason to try now.
  #connectSoon(): void {
    if (performance.now() - this.#lostAt >= FIRST_WAIT_MS) this.#connect();
  }

  #connect(): void {
    clearTimeout(this.#retry);
    try {
      checkOwner(this.#path);
    } catch (error) {
      return this.#lose(error);
    }
    this.#text = '';
    const socket = connect(this.#path);
    this.#socket = socket;
    let trouble: unknown = upstream('the adapter host has closed the connection');
    socket.setEncoding('utf8');
    socket.on('connect', () => this.#begin());
    socket.on('data', (text: string) => this.#read(text));
    socket.on('error', (error) => {
      trouble = error;
    });
    socket.on('close', () => this.#lose(trouble));
  }

  // The keys of live sessions go first: whoever listens asks for them now.
  #begin(): void {
    const waiting = [...this.#questions].sort(([, a], [, b]) => Number(b.purpose.recheck) - Number(a.purpose.recheck));
    this.#isConnected = true;
    this.#trouble = undefined;
    if (this.#wasConnected) this.#onReconnected();
    this.#wasConnected = true;
    for (const [id, question] of waiting) this.#send(id, question);
  }

  // Questions that were under way are asked once more: the same key, the same answer.
  #lose(trouble: unknown): void {
    this.#socket = undefined;
    this.#isConnected = false;
    this.#trouble = trouble;
    this.#lostAt = performance.now();
    if (this.#closed) return;
    for (const [id, { sent }] of this.#questions) {
      if (sent >= MAX_SENT) this.#drop(id, upstream('the adapter host has closed the connection without an answer'));
    }
    if (trouble instanceof OpenAlgoShmError && trouble.code === 'ERR_SHM_PERMISSION') this.#rejectAll(trouble);
    this.#retry = setTimeout(() => this.#connect(), this.#waitMs);
    this.#retry.unref();
    this.#waitMs = Math.min(LONGEST_WAIT_MS, this.#waitMs * 2);
  }

  #send(id: number, question: Question): void {
    if (!question.purpose.isWanted()) return this.#drop(id, upstream('nobody waits for the answer any more'));
    clearTimeout(question.timer);
    question.timer = this.#timer(id, Math.max(0, question.deadline - performance.now()));
    question.sent += 1;
    this.#socket?.write(`${lineOf(id, question.key, question.purpose.recheck)}\n`);
  }

  #read(text: string): void {
    const lines = (this.#text + text).split('\n');
    this.#text = lines.pop() ?? '';
    try {
      if (this.#text.length > MAX_LINE_LENGTH) throw upstream('the adapter host sends lines without an end');
      for (const line of lines) this.#take(line);
    } catch (error) {
      this.#socket?.destroy(error as Error);
      this.#rejectAll(error);
    }
  }

  #take(line: string): void {
    const message = parse(line);
    if (message === undefined) throw upstream('the adapter host has sent what is no JSON object');
    if (message['changed'] === true) this.#onChanged();
    const { id, user_id: userId, broker, error } = message;
    const question = typeof id === 'number' ? this.#questions.get(id) : undefined;
    // The answer to a question that has waited too long.
    if (question === undefined) return;
    this.#questions.delete(id as number);
    clearTimeout(question.timer);
    if (typeof userId === 'string' && userId !== '') {
      this.#waitMs = FIRST_WAIT_MS;
      question.resolve(typeof broker === 'string' && broker !== '' ? { userId, broker } : { userId });
    } else if (userId === null && error === undefined) {
      this.#waitMs = FIRST_WAIT_MS;
      question.resolve(undefined);
    } else {
      const reason = typeof error === 'string' ? error : 'it says neither whose the key is nor why not';
      question.reject(upstream(`the adapter host cannot check a key: ${reason}`));
    }
  }

  #timer(id: number, waitMs: number): NodeJS.Timeout {
    return setTimeout(() => this.#timeOut(id), waitMs);
  }

  #timeOut(id: number): void {
    const why = this.#trouble === undefined ? '' : `: ${(this.#trouble as Error).message}`;
    this.#drop(id, upstream(`the adapter host gave no answer in time${why}`));
  }

  #drop(id: number, error: unknown): void {
    const question = this.#questions.get(id);
    this.#questions.delete(id);
    clearTimeout(question?.timer);
    question?.reject(error);
  }

  #rejectAll(error: unknown): void {
    for (const { timer, reject } of this.#questions.values()) {
      clearTimeout(timer);
      reject(error);
    }
    this.#questions.clear();
  }
}

function lineOf(id: number, key: string, recheck: boolean): string {
  return JSON.stringify({ id, api_key: key, ...(recheck && { recheck }) });
}

// Measured as its longest question: a key that was accepted must not be too long when it is checked again.
function isTooLong(key: string): boolean {
  if (Buffer.byteLength(key) > MAX_KEY_BYTES) return true;
  return Buffer.byteLength(lineOf(Number.MAX_SAFE_INTEGER, key, true)) > MAX_QUESTION_BYTES;
}

function parse(line: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const message: unknown = JSON.parse(line);
    return isObject(message) ? message : undefined;
  } catch {
    return undefined;
  }
}

function upstream(message: string): OpenAlgoShmError {
  return new OpenAlgoShmError('ERR_UPSTREAM', message);
}
