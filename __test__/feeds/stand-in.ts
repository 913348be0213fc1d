import { LivingProcess } from '../shm/living.ts';

/** What the stand-in has seen. */
export interface StandInReport {
  subscribes: number;
  unsubscribes: number;
  /** Most symbols of one message. */
  longest: number;
  connections: number;
  /** Times that `authenticate` came with a good key. */
  logins: number;
  /** Times that it was asked for its broker. */
  questions: number;
  ticks: number;
  deliveries: number;
  /** The subscriptions of each client that the broker serves: `EXCHANGE:SYMBOL MODE DEPTH`, with the depth that comes. */
  clients: string[][];
}

let reports = 0;

/** The stand-in for OpenAlgo's server, in a process of its own. */
export class StandInOpenAlgo {
  readonly port: number;
  readonly #process: LivingProcess;

  private constructor(process: LivingProcess, port: number) {
    this.#process = process;
    this.port = port;
  }

  static async start(port = 0): Promise<StandInOpenAlgo> {
    const process = LivingProcess.script(new URL('stand-in-openalgo.mjs', import.meta.url), [String(port)]);
    await process.says(/listening \d+/);
    return new StandInOpenAlgo(process, Number(/listening (\d+)/.exec(process.output)?.[1]));
  }

  get url(): string {
    return `ws://127.0.0.1:${this.port}`;
  }

  /** Tells it what to do; see the script. */
  tell(command: string, rest: object = {}): void {
    this.#process.tell(JSON.stringify({ command, ...rest }));
  }

  async report(): Promise<StandInReport> {
    const id = ++reports;
    this.tell('report', { id });
    const line = new RegExp(`report ${id} (.*)\n`);
    await this.#process.says(line);
    return JSON.parse(line.exec(this.#process.output)?.[1] ?? '{}') as StandInReport;
  }

  /** What all its clients are subscribed to. */
  async subscribed(): Promise<string[]> {
    return (await this.report()).clients.flat().sort();
  }

  /** Makes it stand still, with its connections open, until `goOn`. */
  standStill(): void {
    this.#process.child.kill('SIGSTOP');
  }

  goOn(): void {
    this.#process.child.kill('SIGCONT');
  }

  /** Kills it. */
  async end(): Promise<void> {
    await this.#process.end();
  }
}
