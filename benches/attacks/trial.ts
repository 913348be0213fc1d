import { cpuSeconds, pause } from '../node/processes.ts';
import type { Attempt } from './attacker.ts';
import type { Attack } from './catalog.ts';
import { HarnessProcess } from './harness-process.ts';
import { type Cost, type HealthSeen, ProxyProcess } from './proxy-process.ts';
import { type Counts, NOT_CLOSED, NO_ANSWER } from './tally.ts';
import type { AttackSetup } from './target.ts';
import type { HealthySeen, HealthySetup, Published, PublisherSetup } from './ticks.ts';

/** The load of healthy clients, the same with and without an attack. */
const HEALTHY = { clients: 50, topics: 10, rate: 1_000 } as const;
const WARM_UP_MS = 1_000;
/** Time beyond the attack's own after which the attacker counts as lost, ms. */
const ATTACKER_PATIENCE_MS = 90_000;

/** What every trial of a run has in common. */
export interface TrialOptions {
  seconds: number;
  isShort: boolean;
  /** Topics that ticked once, before anything is measured. */
  idleTopics: number;
  /** File with the key that the healthy clients have. */
  keysFile: string;
  key: string;
  /** Further options of `serve`. */
  serveOptions: readonly string[];
}

/** What the healthy clients and the proxy saw in one run. */
export interface Run {
  longestSilenceMs: number;
  lost: number;
  received: number;
  disconnected: number;
  /** Longest pause of the publisher: a silence that nobody could have avoided. */
  publisherPauseMs: number;
  /** Longest time that the healthy clients' own process was held up. */
  clientsDelayMs: number;
  /** Share of one core that the proxy used. */
  proxyCpu: number;
}

/** What one attack showed. */
export interface Outcome {
  name: string;
  does: string;
  quiet: Run;
  attack: Run;
  /** By how much the longest silence grew, ms. */
  silenceGrowthMs: number;
  memory: { beforeMb: number; peakGrowthMb: number; growthMb: number };
  attackerCpu: number;
  /** What the attacker did, by kind. */
  done: Counts;
  /** What the attacker was answered, by kind. */
  answers: Counts;
  health: HealthSeen;
  /** Structural promises that were broken. */
  broken: string[];
}

/**
 * Tries one attack on a proxy of its own.
 *
 * @param quiet the reference; undefined to measure one here.
 */
export async function tryAttack(attack: Attack, options: TrialOptions, quiet: Run | undefined): Promise<Outcome> {
  const scene = await Scene.set(attack, options);
  try {
    const reference = quiet ?? (await scene.observe(() => pause(options.seconds * 1000))).run;
    const beforeMb = scene.proxy.memoryMb();
    const attacker = new HarnessProcess('attacker.js');
    try {
      let attempt: Attempt | undefined;
      let attackerCpu = 0;
      const { run, cost } = await scene.observe(async () => {
        const startedAt = performance.now();
        attempt = await attackInTime(attacker, scene.attackSetup(attack));
        attackerCpu = (cpuSeconds(attacker.pid) * 1000) / (performance.now() - startedAt);
      });
      await attacker.stop();
      const settledMb = await scene.proxy.settledMb(options.isShort ? 1_000 : 6_000);
      return {
        name: attack.name,
        does: attack.does,
        quiet: reference,
        attack: run,
        silenceGrowthMs: run.longestSilenceMs - reference.longestSilenceMs,
        memory: { beforeMb, peakGrowthMb: cost.peakMb - beforeMb, growthMb: settledMb - beforeMb },
        attackerCpu,
        done: attempt?.done ?? {},
        answers: attempt?.answers ?? {},
        health: cost.health,
        broken: brokenPromises(attack, scene.proxy, reference, run, cost, attempt),
      };
    } finally {
      await attacker.stop();
    }
  } finally {
    await scene.clear();
  }
}

/** Proxy, publisher and healthy clients of one trial. */
class Scene {
  readonly proxy: ProxyProcess;
  readonly #publisher: HarnessProcess;
  readonly #healthy: HarnessProcess;
  readonly #options: TrialOptions;

  private constructor(proxy: ProxyProcess, publisher: HarnessProcess, healthy: HarnessProcess, options: TrialOptions) {
    this.proxy = proxy;
    this.#publisher = publisher;
    this.#healthy = healthy;
    this.#options = options;
  }

  static async set(attack: Attack, options: TrialOptions): Promise<Scene> {
    const ring = `attacks-${process.pid}-${attack.name}`;
    const needsKeys = attack.needsKeys === true;
    const proxy = await ProxyProcess.start(ring, needsKeys ? options.keysFile : undefined, options.serveOptions);
    const scene = new Scene(
      proxy,
      new HarnessProcess('publisher.js'),
      new HarnessProcess('healthy-clients.js'),
      options,
    );
    try {
      const { clients, topics, rate } = HEALTHY;
      const { idleTopics, key } = options;
      await scene.#publisher.call('start', { ring, rate, topics, idleTopics } satisfies PublisherSetup);
      const setup: HealthySetup = { port: proxy.port, clients, topics, key: needsKeys ? key : undefined };
      await scene.#healthy.call('connect', setup);
      await pause(WARM_UP_MS);
      return scene;
    } catch (error) {
      await scene.clear();
      throw error;
    }
  }

  attackSetup({ name, needsKeys = false, hasKey = true }: Attack): AttackSetup {
    const { seconds, isShort, key } = this.#options;
    return { name, port: this.proxy.port, seconds, isShort, key: needsKeys && hasKey ? key : undefined };
  }

  /** Watches everybody while something is done, until the healthy clients have every tick of that time. */
  async observe(act: () => Promise<void>): Promise<{ run: Run; cost: Cost }> {
    await Promise.all([this.#publisher.call('begin'), this.#healthy.call('begin')]);
    const cost = await this.proxy.watch(act);
    const { last, longestPauseMs } = await this.#publisher.call<Published>('published');
    const { ownDelayMs, ...seen } = await this.#healthy.call<HealthySeen>('end', last);
    return {
      run: { ...seen, publisherPauseMs: longestPauseMs, clientsDelayMs: ownDelayMs, proxyCpu: cost.cpu },
      cost,
    };
  }

  async clear(): Promise<void> {
    await this.#healthy.stop();
    await this.proxy.stop();
    // It removes the shared memory, so it goes last.
    await this.#publisher.stop();
  }
}

function brokenPromises(
  attack: Attack,
  proxy: ProxyProcess,
  quiet: Run,
  run: Run,
  { health }: Cost,
  attempt: Attempt | undefined,
): string[] {
  const answers = attempt?.answers ?? {};
  const labels = Object.keys(answers);
  const count = (label: string): number => answers[label] ?? 0;
  const failures = labels.filter((label) => /^(PROCESSING_ERROR|close 1011|HTTP 5)/.test(label));
  const checks: [boolean, string][] = [
    [proxy.death !== undefined, `the proxy died: ${proxy.death}`],
    [quiet.lost + quiet.disconnected > 0, 'healthy clients lost ticks or their connections without any attack'],
    [run.disconnected > 0, `${run.disconnected} healthy clients were disconnected`],
    [run.lost > 0, `healthy clients lost ${run.lost} ticks`],
    [attempt === undefined, 'the attack does not end'],
    [health.status !== 'ok', `/health says ${health.status} afterwards`],
    [count(NO_ANSWER) > 0, `${count(NO_ANSWER)} requests of the attacker were never answered`],
    [count(NOT_CLOSED) > 0, `${count(NOT_CLOSED)} connections of the attacker were never closed`],
    [failures.length > 0, `the attacker was answered with errors of the server: ${failures.join(', ')}`],
    [
      attack.owed !== undefined && !labels.some((label) => attack.owed!.test(label)),
      `the attacker got no answer that matches ${attack.owed}`,
    ],
  ];
  return checks.filter(([isBroken]) => isBroken).map(([, what]) => what);
}

// Undefined if the attacker does not end.
async function attackInTime(attacker: HarnessProcess, setup: AttackSetup): Promise<Attempt | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), setup.seconds * 1000 + ATTACKER_PATIENCE_MS);
  });
  const attempt = await Promise.race([attacker.call<Attempt>('attack', setup), late]);
  clearTimeout(timer);
  return attempt;
}
