import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const script = fileURLToPath(new URL('clients.mjs', import.meta.url));

/** What one client has got. */
export interface ClientReport {
  count: number;
  /** SHA-256 of all prices in the order of their arrival. */
  digest: string;
  /** Whether the sequence numbers only grew. */
  increasing: boolean;
  /** Whatever came that was no tick of the symbol. */
  others: unknown[];
}

/** WebSocket clients in a process of their own. */
export class ClientProcess {
  readonly #process: ChildProcess;

  private constructor(process: ChildProcess) {
    this.#process = process;
  }

  /** Starts them; resolves when all have subscribed. */
  static async start(url: string, count: number, symbol: string, exchange: string): Promise<ClientProcess> {
    const clients = new ClientProcess(fork(script, [url, String(count), symbol, exchange]));
    await clients.#told<{ subscribed: number }>();
    return clients;
  }

  async counts(): Promise<number[]> {
    this.#process.send('counts');
    return (await this.#told<{ counts: number[] }>()).counts;
  }

  /** What each has got, and all prices that the first has got. */
  async reports(): Promise<{ reports: ClientReport[]; values: number[] }> {
    this.#process.send('reports');
    return this.#told();
  }

  async end(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    this.#process.kill('SIGKILL');
    await once(this.#process, 'exit');
  }

  async #told<T>(): Promise<T> {
    const message = once(this.#process, 'message').then(([said]) => said as T);
    const failure = once(this.#process, 'exit').then(([code]) => {
      throw new Error(`the clients ended with ${code}`);
    });
    return Promise.race([message, failure]);
  }
}
