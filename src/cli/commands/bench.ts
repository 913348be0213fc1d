import { cpus, platform, release } from 'node:os';
import { Argument, type Command, createCommand, InvalidArgumentError, Option } from 'commander';
import { OpenAlgoShmError } from '../../errors.ts';
import { LockFreeRingBuffer } from '../../shm/ring-buffer.ts';
import type { Figure } from '../bench/figure.ts';
import { endingSignal, INTERRUPTED } from '../ending.ts';
import { duration, short } from '../figures.ts';
import { wholeNumber } from '../option-values.ts';
import { ProgressLine } from '../progress-line.ts';
import { ringOption } from '../ring-options.ts';
import { ENOUGH_SECONDS, standstillOf, standstillText, type Standstill } from '../standstill.ts';

interface BenchFlags {
  ring: string;
  seconds: number;
  clients: number;
  json?: true;
}

const HELP = `
Examples:
  $ openalgo-shm bench                     this machine in half a minute
  $ openalgo-shm bench --clients 500
  $ openalgo-shm bench --json > figures.json

Measures from Node.js, as users of the package do: publisher, reader, proxy and clients are processes of their own,
with rings of their own. Close other programs first: on few cores all of them share. If ticks are published to the
ring --ring meanwhile, it also says for how long a reader of that ring may stand still.`;

/** The user's own machine. */
export function benchCommand(): Command {
  return createCommand('bench')
    .description('measure this machine in half a minute, with a verdict in words')
    .addOption(new Option('--seconds <s>', 'length of each measurement').default(5).argParser(someSeconds))
    .addOption(
      new Option('--clients <n>', 'WebSocket clients of the fan-out').default(50).argParser(wholeNumber(1, 5000)),
    )
    .addOption(ringOption())
    .option('--json', 'print JSON')
    .addHelpText('after', HELP)
    .action((flags: BenchFlags) => measure(flags));
}

/** What a process of the benchmark runs. */
export function benchRoleCommand(name: string): Command {
  return createCommand(name)
    .addArgument(new Argument('<role>'))
    .argument('<args...>')
    .action(async (role: string, args: string[]) => {
      const { play, ROLE_NAMES } = await import('../bench/roles.ts');
      const known = ROLE_NAMES.find((candidate) => candidate === role);
      if (known !== undefined) await play(known, args);
    });
}

async function measure({ ring: live, seconds, clients, json }: BenchFlags): Promise<void> {
  const { ringLatency } = await import('../bench/ring-latency.ts');
  const { ringThroughput } = await import('../bench/ring-throughput.ts');
  const { fanOut } = await import('../bench/fan-out.ts');
  const { verdict } = await import('../bench/verdict.ts');
  const ending = endingSignal();
  const standstill = await standstillOfLive(live);
  const ring = `bench-${process.pid}`;
  const stages: [string, () => Promise<Figure[]>][] = [
    ['ring latency', () => ringLatency(`${ring}-latency`, 'busy', seconds, ending)],
    ['waking a reader', () => ringLatency(`${ring}-wake`, 'asleep', seconds, ending)],
    ['ring throughput', () => ringThroughput(`${ring}-throughput`, seconds, ending)],
    [`fan-out to ${clients} clients`, () => fanOut(`${ring}-fan-out`, clients, seconds, ending)],
  ];
  const machine = `${cpus()[0]?.model ?? 'unknown processor'}, ${cpus().length} cores, ${platform()} ${release()}, Node.js ${process.versions.node}`;
  if (json !== true) process.stdout.write(`${machine}\n\n`);
  const line = new ProgressLine();
  const figures: Figure[] = [];
  for (const [index, [what, stage]] of stages.entries()) {
    line.show(`${index + 1} of ${stages.length}: ${what}…`);
    const measured = await unlessEnding(stage, ending);
    line.clear();
    if (measured === undefined) return;
    figures.push(...measured);
    if (json !== true) process.stdout.write(measured.map((figure) => `${asLine(figure)}\n`).join(''));
  }
  if (json === true)
    process.stdout.write(
      `${JSON.stringify({ machine, figures, verdict: verdict(figures, clients), standstill }, undefined, 2)}\n`,
    );
  else process.stdout.write(`\n${[...verdict(figures, clients), ...warned(standstill)].join('\n')}\n`);
}

/** What a stage measures; undefined, with an exit code that says so, where the command was ended meanwhile. */
async function unlessEnding(stage: () => Promise<Figure[]>, ending: AbortSignal): Promise<Figure[] | undefined> {
  try {
    return await stage();
  } catch (error) {
    if (!ending.aborted) throw error;
    process.exitCode = INTERRUPTED;
    return undefined;
  }
}

/** Looks at the ring before the benchmark takes the machine. Undefined if it cannot be opened or nothing is published to it. */
async function standstillOfLive(name: string): Promise<Standstill | undefined> {
  let ring: LockFreeRingBuffer;
  try {
    ring = LockFreeRingBuffer.open(name);
  } catch (error) {
    if (error instanceof OpenAlgoShmError) return undefined;
    throw error;
  }
  try {
    return await standstillOf(ring);
  } finally {
    ring.close();
  }
}

function warned(standstill: Standstill | undefined): string[] {
  if (standstill === undefined) return [];
  const advice = standstill.seconds < ENOUGH_SECONDS ? ': create it anew with a larger --buffer-size' : '';
  return [`ring ${standstill.ring}: ${standstillText(standstill)}${advice}`];
}

function asLine({ name, value, unit }: Figure): string {
  return `${name.padEnd(52)} ${(unit === 'ns' ? duration(value) : `${short(value)}/s`).padStart(10)}`;
}

function someSeconds(text: string): number {
  const value = Number(text);
  if (value > 0 && value <= 600) return value;
  throw new InvalidArgumentError('It must be a number above 0, at most 600.');
}
