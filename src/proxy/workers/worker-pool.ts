import cluster from 'node:cluster';
import { extname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type ErrorCode, OpenAlgoShmError } from '../../errors.ts';
import { logger } from '../logger.ts';
import type { ProxyAddress } from '../websocket-proxy.ts';
import { Gathering } from './gathering.ts';
import type { ToPrimary, WorkerOptions } from './messages.ts';
import { RestartDelay } from './restart-delay.ts';
import { freePort } from './free-port.ts';
import { checkRoom } from './room.ts';
import type { PartKind } from './worker-place.ts';
import { WorkerProcess } from './worker-process.ts';

/** Errors of a start that no later one would get past. */
const FINAL: readonly ErrorCode[] = ['ERR_PORT_IN_USE', 'ERR_INVALID_OPTION', 'ERR_AUTH_REQUIRED', 'ERR_SHM_NAME'];

/** Time that clients have to go in, and what a worker may take beyond it, ms. */
const CLOSE_MS = 5_000;
const ENDING_MS = 5_000;

/**
 * Several processes that serve one port, each a reader of the ring of its own: this one accepts connections and deals
 * them out, replaces workers that die, and lets each worker know the others' figures.
 */
export class WorkerPool {
  /** Rejects when it has to give up: a worker died and no other can take its place. */
  readonly failed: Promise<never>;
  readonly #size: number;
  #options: WorkerOptions;
  readonly #log: ReturnType<typeof logger>;
  readonly #gathering = new Gathering();
  readonly #workers = new Map<number, WorkerProcess>();
  readonly #stopping = new AbortController();
  #giveUp!: (error: unknown) => void;
  #replaced = 0;

  /** @param size number of workers. */
  constructor(size: number, options: WorkerOptions) {
    this.#size = size;
    this.#options = options;
    this.#log = logger(options.log);
    this.failed = new Promise((_, reject) => {
      this.#giveUp = reject;
    });
    this.failed.catch(() => {});
  }

  /**
   * Starts all workers.
   *
   * @throws {OpenAlgoShmError} what kept a worker from starting, `ERR_NO_FREE_LANE` and `ERR_NO_FREE_CONSUMER` when
   * the rings have no room for so many; none is left then.
   */
  async start(): Promise<ProxyAddress> {
    checkRoom(this.#options.ring?.name, this.#size);
    const here = fileURLToPath(import.meta.url);
    const exec = fileURLToPath(new URL(`worker-main${extname(here)}`, import.meta.url));
    cluster.schedulingPolicy = cluster.SCHED_RR;
    cluster.setupPrimary({ exec, args: [], serialization: 'advanced' });
    try {
      if (this.#options.port === 0) this.#options = { ...this.#options, port: await freePort(this.#options.host) };
      const workers = Array.from({ length: this.#size }, (_, index) => this.#launch(index + 1));
      const [address] = await Promise.all(workers.map(({ ready }) => ready));
      for (const worker of workers) void this.#supervise(worker);
      return address as ProxyAddress;
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  /** Sees all clients off and ends the workers. Idempotent. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    const patience = (this.#options.closeTimeout ?? CLOSE_MS) + ENDING_MS;
    await Promise.all([...this.#workers.values()].map((worker) => worker.stop(patience)));
  }

  /** Replaces the worker, and the one that replaces it, and so on. */
  async #supervise(worker: WorkerProcess): Promise<void> {
    const { number } = worker;
    const restartDelay = new RestartDelay();
    for (let current = worker; ;) {
      const how = await current.ended;
      if (this.#stopping.signal.aborted) return;
      const delay = restartDelay.after(performance.now() - current.startedAt);
      this.#log.warn({ worker: number, pid: current.pid, delay_ms: delay }, `a worker ${how}; it is replaced`);
      await sleep(delay, undefined, { signal: this.#stopping.signal }).catch(() => {});
      if (this.#stopping.signal.aborted) return;
      current = this.#launch(number);
      this.#replaced += 1;
      const failure = await current.ready.then(
        () => undefined,
        (error: unknown) => error,
      );
      if (this.#stopping.signal.aborted) return;
      if (failure === undefined) this.#log.info({ worker: number, pid: current.pid }, 'a worker has been replaced');
      else if (isFinal(failure)) return this.#giveUp(failure);
      else this.#log.error({ err: failure, worker: number }, 'a worker could not be replaced yet');
    }
  }

  #launch(number: number): WorkerProcess {
    const worker = new WorkerProcess(number, this.#options, (message, from) => void this.#receive(message, from));
    this.#workers.set(number, worker);
    void worker.ended.then(() => {
      if (this.#workers.get(number) === worker) this.#workers.delete(number);
      this.#gathering.forget(number);
    });
    return worker;
  }

  async #receive(message: ToPrimary, from: WorkerProcess): Promise<void> {
    if (message.type === 'part') this.#gathering.take(message.id, message.part);
    if (message.type === 'gather') await this.#gather(message.id, message.kind, from);
  }

  async #gather(id: number, kind: PartKind, asker: WorkerProcess): Promise<void> {
    const others = [...this.#workers.values()].filter((worker) => worker !== asker);
    const parts = await this.#gathering.ask(others, kind);
    const missing = this.#size - 1 - parts.length;
    asker.tell({ type: 'gathered', id, gathered: { parts, missing, replaced: this.#replaced } });
  }
}

function isFinal(error: unknown): boolean {
  return error instanceof OpenAlgoShmError && FINAL.includes(error.code);
}
