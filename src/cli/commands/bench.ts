import { cpus, platform, release } from 'node:os';
import { Argument, type Command, createCommand, InvalidArgumentError, Option } from 'commander';
import type { Figure } from '../bench/figure.ts';
import { duration, short } from '../figures.ts';
import { wholeNumber } from '../option-values.ts';
import { ProgressLine } from '../progress-line.ts';

interface BenchFlags {
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
with rings of their own. Close other programs first: on few cores all of them share.`;

/** The user's own machine. */
export function benchCommand(): Command {
  return createCommand('bench')
    .description('measure this machine in half a minute, with a verdict in words')
    .addOption(new Option('--seconds <s>', 'length of each measurement').default(5).argParser(someSeconds))
    .addOption(
      new Option('--clients <n>', 'WebSocket clients of the fan-out').default(50).argParser(wholeNumber(1, 5000)),
    )
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

async function measure({ seconds, clients, json }: BenchFlags): Promise<void> {
  const { ringLatency } = await import('../bench/ring-latency.ts');
  const { ringThroughput } = await import('../bench/ring-throughput.ts');
  const { fanOut } = await import('../bench/fan-out.ts');
  const { verdict } = await import('../bench/verdict.ts');
  const ring = `bench-${process.pid}`;
  const stages: [string, () => Promise<Figure[]>][] = [
    ['ring latency', () => ringLatency(`${ring}-latency`, 'busy', seconds)],
    ['waking a reader', () => ringLatency(`${ring}-wake`, 'asleep', seconds)],
    ['ring throughput', () => ringThroughput(`${ring}-throughput`, seconds)],
    [`fan-out to ${clients} clients`, () => fanOut(`${ring}-fan-out`, clients, seconds)],
  ];
  const machine = `${cpus()[0]?.model ?? 'unknown processor'}, ${cpus().length} cores, ${platform()} ${release()}, Node.js ${process.versions.node}`;
  if (json !== true) process.stdout.write(`${machine}\n\n`);
  const line = new ProgressLine();
  const figures: Figure[] = [];
  for (const [index, [what, stage]] of stages.entries()) {
    line.show(`${index + 1} of ${stages.length}: ${what}…`);
    const measured = await stage();
    line.clear();
    figures.push(...measured);
    if (json !== true) process.stdout.write(measured.map((figure) => `${asLine(figure)}\n`).join(''));
  }
  if (json === true)
    process.stdout.write(`${JSON.stringify({ machine, figures, verdict: verdict(figures, clients) }, undefined, 2)}\n`);
  else process.stdout.write(`\n${verdict(figures, clients).join('\n')}\n`);
}

function asLine({ name, value, unit }: Figure): string {
  return `${name.padEnd(52)} ${(unit === 'ns' ? duration(value) : `${short(value)}/s`).padStart(10)}`;
}

function someSeconds(text: string): number {
  const value = Number(text);
  if (value > 0 && value <= 600) return value;
  throw new InvalidArgumentError('It must be a number above 0, at most 600.');
}
