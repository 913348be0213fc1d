import cluster, { type Worker } from 'node:cluster';
import { once } from 'node:events';
import { OpenAlgoShmError } from '../../errors.ts';
import type { ProxyAddress } from '../websocket-proxy.ts';
import type { ToPrimary, ToWorker, WorkerOptions } from './messages.ts';

/** One worker's process, as the primary sees it. */
export class WorkerProcess {
  readonly number: number;
  readonly startedAt = performance.now();
  /** Resolves once it listens; rejects with why it cannot, after it has ended. */
  readonly ready: Promise<ProxyAddress>;
  /** Resolves when it has ended, with how. */
  readonly ended: Promise<string>;
  readonly #worker: Worker;
  #isListening = false;
  #failure: OpenAlgoShmError | undefined;

  /** @param onMessage hears all but what becomes of its start. */
  constructor(number: number, options: WorkerOptions, onMessage: (message: ToPrimary, from: WorkerProcess) => void) {
    this.number = number;
    this.#worker = cluster.fork();
    closeUntaken(this.#worker);
    this.ended = once(this.#worker, 'exit').then(([code, signal]) => {
      return signal === null ? `ended with exit code ${code}` : `was ended by ${signal}`;
    });
    this.ready = this.#readiness(options);
    this.ready.catch(() => {});
    this.#worker.on('message', (message: ToPrimary) => onMessage(message, this));
    // A channel that breaks means that the worker ends, which is noticed.
    this.#worker.on('error', () => {});
  }

  get pid(): number | undefined {
    return this.#worker.process.pid;
  }

  tell(message: ToWorker): void {
    if (this.#worker.isConnected()) this.#worker.send(message);
  }

  /** Asks it to see its clients off and end; ends it if it takes longer than that, ms. */
  async stop(patienceMs: number): Promise<void> {
    if (this.#isListening) this.tell({ type: 'stop' });
    else this.kill();
    const kill = setTimeout(() => this.kill(), patienceMs);
    await this.ended;
    clearTimeout(kill);
  }

  kill(): void {
    this.#worker.process.kill('SIGKILL');
  }

  async #readiness(options: WorkerOptions): Promise<ProxyAddress> {
    const listening = new Promise<ProxyAddress>((resolve) => {
      this.#worker.on('message', (message: ToPrimary) => {
        if (message.type === 'hello') this.#start(options);
        if (message.type === 'ready') resolve(message.address);
        if (message.type !== 'failed') return;
        this.#failure = new OpenAlgoShmError(message.code, message.message);
        this.kill();
      });
    });
    return Promise.race([listening, this.ended.then((how) => this.#fail(how))]);
  }

  #start(options: WorkerOptions): void {
    this.#isListening = true;
    this.tell({ type: 'start', number: this.number, options });
  }

  #fail(how: string): never {
    throw this.#failure ?? new OpenAlgoShmError('ERR_UPSTREAM', `worker ${this.number} ${how} before it was ready`);
  }
}

/**
 * Closes the connection that was on its way to a worker when it died, so that its client tries again: the cluster module
 * forgets it, and the client would wait for ever. A worker gets the next one only after it has taken the last.
 */
function closeUntaken({ process: channel }: Worker): void {
  let last: { close?: () => void } | undefined;
  const send = channel.send.bind(channel) as (...args: unknown[]) => boolean;
  channel.send = (message: unknown, handle?: unknown, ...rest: unknown[]): boolean => {
    if (typeof handle === 'object' && handle !== null) last = handle;
    return send(message, handle, ...rest);
  };
  // Closing what the worker has taken, and is closed here already, does nothing.
  channel.once('exit', () => last?.close?.());
}
