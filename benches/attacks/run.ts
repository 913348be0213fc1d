// `npm run attacks [-- --only NAME[,NAME] --seconds N --short --json FILE --markdown [-- options of serve]]`
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, release, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { ATTACKS, type Attack } from './catalog.ts';
import { endProxies } from './proxy-process.ts';
import { markdown, missedGoals, text } from './report.ts';
import { type Outcome, type Run, type TrialOptions, tryAttack } from './trial.ts';

/** The command line is wrong. */
class UsageError extends Error {
  override readonly name = 'UsageError';
}

const HELP = `Usage: npm run attacks [-- options [-- options of serve]]

Attacks a proxy of its own, and looks what healthy clients notice. Ends with 1 if a structural promise is broken: the
proxy died, a healthy client was disconnected or lost a tick, an attacker got no proper answer. Times and memory
depend on the machine and are only printed.

  --only NAME[,NAME]   these attacks
  --seconds N          length of each quiet run and of each attack (default: 10, with --short 2)
  --short              smaller numbers, one quiet run for all
  --idle-topics N      topics that ticked once before, which snapshots of everything contain (default: 0)
  --json FILE          writes all figures
  --markdown           prints the table for SECURITY.md at the end
  --help               this text

Attacks:
${ATTACKS.map(({ name, does }) => `  ${name.padEnd(24)}${does}`).join('\n')}`;

/** Time that a proxy has to end after Ctrl-C, ms. */
const PROXY_ENDS_MS = 1_000;
const MOST_SECONDS = 600;
const MOST_IDLE_TOPICS = 30_000;

try {
  process.exitCode = await main();
} catch (error) {
  console.error(error instanceof UsageError ? error.message : error);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}

async function main(): Promise<number> {
  const { values, positionals } = readArguments();
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  if (process.platform !== 'linux') throw new UsageError('npm run attacks reads /proc, which only Linux has');
  const attacks = chosen(values.only);
  const machine = `${cpus().length} cores, ${cpus()[0]?.model.trim() ?? process.arch}, Linux ${release()}, Node ${process.versions.node}`;
  console.log(`machine: ${machine}`);
  const folder = mkdtempSync(join(tmpdir(), 'attacks-'));
  // The other processes end when this one goes, and the publisher then removes the ring: after the proxy, which uses it.
  process.on('SIGINT', () => {
    endProxies();
    rmSync(folder, { recursive: true, force: true });
    setTimeout(() => process.exit(130), PROXY_ENDS_MS);
  });
  try {
    const options: TrialOptions = {
      seconds: wholeNumber('seconds', values.seconds ?? (values.short ? '2' : '10'), 1, MOST_SECONDS),
      isShort: values.short,
      idleTopics: wholeNumber('idle-topics', values['idle-topics'], 0, MOST_IDLE_TOPICS),
      ...keyIn(folder),
      serveOptions: positionals,
    };
    const outcomes = await tryAll(attacks, options);
    if (values.json !== undefined)
      writeFileSync(resolve(values.json), `${JSON.stringify({ machine, outcomes }, undefined, 1)}\n`);
    if (values.markdown) console.log(`\n${markdown(outcomes, machine)}`);
    return conclude(outcomes);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function tryAll(attacks: readonly Attack[], options: TrialOptions): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  let quiet: Run | undefined;
  for (const attack of attacks) {
    const outcome = await tryAttack(attack, options, options.isShort ? quiet : undefined);
    quiet = outcome.quiet;
    outcomes.push(outcome);
    console.log(`\n${text(outcome)}`);
  }
  return outcomes;
}

function conclude(outcomes: readonly Outcome[]): number {
  const broken = outcomes.filter((outcome) => outcome.broken.length > 0);
  const missed = outcomes.filter((outcome) => missedGoals(outcome).length > 0);
  const names = (some: readonly Outcome[]): string =>
    some.length === 0 ? 'none' : some.map(({ name }) => name).join(', ');
  console.log(`\n${outcomes.length} attacks. Promises broken: ${names(broken)}. Goals missed: ${names(missed)}.`);
  return broken.length > 0 ? 1 : 0;
}

function readArguments() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        only: { type: 'string' },
        seconds: { type: 'string' },
        short: { type: 'boolean', default: false },
        'idle-topics': { type: 'string', default: '0' },
        json: { type: 'string' },
        markdown: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    });
  } catch (error) {
    throw new UsageError(`${(error as Error).message}\n\n${HELP}`);
  }
}

function chosen(only: string | undefined): readonly Attack[] {
  if (only === undefined) return ATTACKS;
  return only.split(',').map((wanted) => {
    const attack = ATTACKS.find(({ name }) => name === wanted.trim());
    if (attack === undefined) {
      throw new UsageError(`There is no attack ${wanted}. There are: ${ATTACKS.map(({ name }) => name).join(', ')}`);
    }
    return attack;
  });
}

function wholeNumber(name: string, value: string, least: number, most: number): number {
  const number = Number(value);
  if (Number.isInteger(number) && number >= least && number <= most) return number;
  throw new UsageError(`--${name} is ${value}, expected a whole number from ${least} to ${most}`);
}

function keyIn(folder: string): { key: string; keysFile: string } {
  const [key, keysFile] = ['key-of-the-harness', join(folder, 'keys.txt')];
  writeFileSync(keysFile, `${key}\n`, { mode: 0o600 });
  return { key, keysFile };
}
