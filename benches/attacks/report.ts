import type { Counts } from './tally.ts';
import type { Outcome, Run } from './trial.ts';

/** By how much the longest silence of a healthy client may grow, ms. */
export const SILENCE_GOAL_MS = 60;
/** By how much the proxy's memory may grow, MB. */
export const MEMORY_GOAL_MB = 50;

/** Goals that an attack kept the proxy from. They depend on the machine: no exit code says so. */
export function missedGoals({ silenceGrowthMs, memory }: Outcome): string[] {
  const checks: [boolean, string][] = [
    [silenceGrowthMs > SILENCE_GOAL_MS, `silence ${signed(silenceGrowthMs)} ms, goal ${SILENCE_GOAL_MS}`],
    [memory.growthMb > MEMORY_GOAL_MB, `memory afterwards ${signed(memory.growthMb)} MB, goal ${MEMORY_GOAL_MB}`],
    [
      memory.peakGrowthMb > MEMORY_GOAL_MB,
      `memory at its peak ${signed(memory.peakGrowthMb)} MB, goal ${MEMORY_GOAL_MB}`,
    ],
  ];
  return checks.filter(([isMissed]) => isMissed).map(([, what]) => what);
}

/** One attack, as a terminal shows it. */
export function text(outcome: Outcome): string {
  const { name, does, quiet, attack, silenceGrowthMs, memory, attackerCpu, done, answers, health, broken } = outcome;
  const lines = [
    `${name}: ${does}`,
    `  longest silence  quiet ${shown(quiet.longestSilenceMs)} ms, attack ${shown(attack.longestSilenceMs)} ms: ${signed(silenceGrowthMs)} ms`,
    `  of that at most  ${delays('quiet', quiet)}; ${delays('attack', attack)}`,
    `  healthy clients  quiet ${fate(quiet)}; attack ${fate(attack)}`,
    `  memory           ${shown(memory.beforeMb)} MB before, ${signed(memory.peakGrowthMb)} MB at its peak, ${signed(memory.growthMb)} MB afterwards`,
    `  CPU              proxy ${percent(quiet.proxyCpu)} quiet and ${percent(attack.proxyCpu)} attacked, attacker ${percent(attackerCpu)}`,
    `  attacker         did ${listed(done)}`,
    `  answers          ${listed(answers)}`,
    `  /health          ${health.status}; slowest answer ${shown(health.slowestMs)} ms${health.unanswered > 0 ? `, ${health.unanswered} unanswered` : ''}`,
    ...missedGoals(outcome).map((what) => `  MISSED           ${what}`),
    ...broken.map((what) => `  BROKEN           ${what}`),
  ];
  return lines.join('\n');
}

/** All attacks as a table in Markdown. */
export function markdown(outcomes: readonly Outcome[], machine: string): string {
  const rows = outcomes.map(({ does, quiet, attack, silenceGrowthMs, memory, answers, health, broken }) => {
    const cells = [
      capital(does),
      `${shown(quiet.longestSilenceMs)} → ${shown(attack.longestSilenceMs)}`,
      signed(silenceGrowthMs),
      String(attack.lost),
      `${signed(memory.peakGrowthMb)}, ${signed(memory.growthMb)}`,
      listed(answers).replaceAll('|', '\\|'),
      broken.length > 0 ? `**${broken.join('; ')}**` : health.status,
    ];
    return `| ${cells.join(' | ')} |`;
  });
  return [
    `Machine: ${machine}. Goals: a silence longer by at most ${SILENCE_GOAL_MS} ms, memory by at most ${MEMORY_GOAL_MB} MB, no tick lost.`,
    '',
    '| attack | longest silence of 50 clients, quiet → attacked, ms | difference, ms | ticks lost | memory at its peak and afterwards, MB | answers | /health afterwards |',
    '|---|---:|---:|---:|---:|---|---|',
    ...rows,
  ].join('\n');
}

function fate({ received, lost, disconnected }: Run): string {
  return `${received} ticks received, ${lost} lost, ${disconnected} disconnected`;
}

function delays(what: string, { publisherPauseMs, clientsDelayMs }: Run): string {
  return `${what}: publisher ${shown(publisherPauseMs)} ms, clients' own process ${shown(clientsDelayMs)} ms`;
}

function listed(counts: Counts): string {
  const entries = Object.entries(counts).sort(([, a], [, b]) => b - a);
  return entries.length === 0 ? 'nothing' : entries.map(([label, count]) => `${label} ${count}`).join(', ');
}

function capital(sentence: string): string {
  return sentence.charAt(0).toUpperCase() + sentence.slice(1);
}

function shown(value: number): string {
  return Math.abs(value) >= 10 ? value.toFixed(0) : value.toFixed(1);
}

function signed(value: number): string {
  return `${value < 0 ? '−' : '+'}${shown(Math.abs(value))}`;
}

function percent(share: number): string {
  return `${(share * 100).toFixed(0)} %`;
}
