import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { Agent, get } from 'node:http';
import { ROOT, cpuSeconds, firstLine, pause, stop } from '../node/processes.ts';

const SAMPLE_MS = 50;
const HEALTH_MS = 250;
/** Longest wait for `/health`, ms. */
const HEALTH_TIMEOUT_MS = 10_000;
/** Lines of the proxy's log that are kept. */
const KEPT_LINES = 20;

/** What `/health` said. */
export interface HealthSeen {
  /** The last `status`, or why there was none. */
  status: string;
  /** Questions that were not answered in time, or not with a status. */
  unanswered: number;
  slowestMs: number;
}

/** What a run has cost the proxy. */
export interface Cost {
  /** Share of one core, all processes of the proxy together. */
  cpu: number;
  /** Highest resident memory, MB. */
  peakMb: number;
  health: HealthSeen;
}

const living = new Set<ChildProcess>();
process.once('exit', endProxies);

/** Ends every proxy that still runs, and waits for none. */
export function endProxies(): void {
  for (const child of living) child.kill();
}

/** The real proxy in a process of its own, seen from outside. */
export class ProxyProcess {
  readonly port: number;
  readonly #child: ChildProcess;
  readonly #log: string[];
  #isStopping = false;

  private constructor(child: ChildProcess, port: number, log: string[]) {
    this.#child = child;
    this.port = port;
    this.#log = log;
  }

  /**
   * Starts `openalgo-shm serve` on any free port.
   *
   * @param serveOptions further options of `serve`.
   */
  static async start(
    ring: string,
    keysFile: string | undefined,
    serveOptions: readonly string[],
  ): Promise<ProxyProcess> {
    const keys = keysFile === undefined ? [] : ['--keys-file', keysFile];
    const options = ['--port', '0', '--ring', ring, '--log-level', 'error', ...keys, ...serveOptions];
    const child = spawn(process.execPath, ['dist/cli/main.js', 'serve', ...options], {
      cwd: ROOT,
      // Not detached: the scheduler shares the cores among sessions, and one of its own would not be on equal terms.
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    living.add(child);
    child.once('exit', () => living.delete(child));
    const log: string[] = [];
    child.stderr!.on('data', (bytes: Buffer) => {
      log.push(...bytes.toString().trimEnd().split('\n'));
      log.splice(0, log.length - KEPT_LINES);
    });
    try {
      const port = Number(/:(\d+)/.exec(await firstLine(child, /ws:\/\//))?.[1]);
      return new ProxyProcess(child, port, log);
    } catch {
      throw new Error(`the proxy does not start: ${log.join('\n')}`);
    }
  }

  /** How it ended by itself; undefined while it runs. */
  get death(): string | undefined {
    const { exitCode, signalCode } = this.#child;
    if (this.#isStopping || (exitCode === null && signalCode === null)) return undefined;
    return `${signalCode ?? `exit code ${exitCode}`}; its last words: ${this.#log.at(-1) ?? 'none'}`;
  }

  /** The last lines of its log. */
  get log(): readonly string[] {
    return this.#log;
  }

  /** Resident memory of all its processes, MB; 0 once it is gone. */
  memoryMb(): number {
    return this.#pids().reduce((sum, pid) => sum + residentMb(pid), 0);
  }

  /** Watches memory, CPU and `/health` while something is done. */
  async watch(act: () => Promise<void>): Promise<Cost> {
    const [startedAt, cpuBefore] = [performance.now(), this.#cpu()];
    let [peakMb, isDone] = [this.memoryMb(), false];
    const health: HealthSeen = { status: 'not asked', unanswered: 0, slowestMs: 0 };
    const sampler = setInterval(() => (peakMb = Math.max(peakMb, this.memoryMb())), SAMPLE_MS);
    const asking = this.#askHealth(health, () => isDone);
    try {
      await act();
    } finally {
      clearInterval(sampler);
      isDone = true;
      await asking;
    }
    const seconds = (performance.now() - startedAt) / 1000;
    return { cpu: (this.#cpu() - cpuBefore) / seconds, peakMb, health };
  }

  /** Resident memory once it has stopped to fall, or after so many ms. */
  async settledMb(patienceMs: number): Promise<number> {
    const deadline = performance.now() + patienceMs;
    let [least, since] = [this.memoryMb(), performance.now()];
    while (performance.now() < deadline && performance.now() - since < patienceMs / 2) {
      await pause(SAMPLE_MS);
      const now = this.memoryMb();
      if (now >= least - 1) continue;
      [least, since] = [now, performance.now()];
    }
    return Math.min(least, this.memoryMb());
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    await stop(this.#child);
  }

  async #askHealth(seen: HealthSeen, isDone: () => boolean): Promise<void> {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    do {
      const askedAt = performance.now();
      const status = await healthOf(this.port, agent);
      seen.slowestMs = Math.max(seen.slowestMs, performance.now() - askedAt);
      if (status.isAnswer) seen.status = status.text;
      else {
        seen.unanswered += 1;
        seen.status = status.text;
      }
      if (this.death !== undefined) break;
      if (!isDone()) await pause(HEALTH_MS);
    } while (!isDone());
    // Once more when all is over: this is the status that counts.
    const last = await healthOf(this.port, agent);
    seen.status = last.text;
    if (!last.isAnswer) seen.unanswered += 1;
    agent.destroy();
  }

  #cpu(): number {
    return this.#pids().reduce((sum, pid) => sum + cpuSeconds(pid), 0);
  }

  // With `--workers` the proxy has processes of its own.
  #pids(): number[] {
    const { pid = 0 } = this.#child;
    return [pid, ...childrenOf(pid)];
  }
}

function childrenOf(pid: number): number[] {
  try {
    const pids = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
    return pids === '' ? [] : pids.split(' ').map(Number);
  } catch {
    return [];
  }
}

function residentMb(pid: number): number {
  try {
    return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024;
  } catch {
    return 0;
  }
}

function healthOf(port: number, agent: Agent): Promise<{ isAnswer: boolean; text: string }> {
  return new Promise((resolve) => {
    const fail = (text: string): void => resolve({ isAnswer: false, text });
    const options = { host: '127.0.0.1', port, path: '/health', agent, timeout: HEALTH_TIMEOUT_MS };
    const request = get(options, (response) => {
      let text = '';
      response.on('data', (bytes: Buffer) => (text += bytes.toString()));
      response.on('error', ({ message }) => fail(message));
      response.on('end', () => {
        try {
          const { status } = JSON.parse(text) as { status?: unknown };
          resolve({ isAnswer: typeof status === 'string', text: String(status) });
        } catch {
          fail(`HTTP ${response.statusCode ?? 0} without JSON`);
        }
      });
    });
    request.on('timeout', () => request.destroy(new Error('timeout')));
    request.on('error', ({ message }) => fail(message));
  });
}
