import { type Command, createCommand } from 'commander';
import { colours } from '../colours.ts';
import type { Finding } from '../machine-checks.ts';
import { addListenOptions, type ListenFlags } from '../listen-options.ts';
import { addRingOptions, type RingFlags } from '../ring-options.ts';

interface DoctorFlags extends ListenFlags, RingFlags {
  json?: true;
}

const HELP = `
Examples:
  $ openalgo-shm doctor                          this machine, with the default ring and port
  $ openalgo-shm doctor --buffer-size 64MiB --depth-levels 20 --port 9000
  $ openalgo-shm doctor --json | jq '.[] | select(.verdict != "good")'

Looks, and changes nothing. Exit code 1 if something would keep it from working; warnings alone give 0.`;

/** Whether this machine suits, and what to change where it does not. */
export function doctorCommand(): Command {
  const command = createCommand('doctor').description('check this machine, and say what to change');
  addListenOptions(command);
  addRingOptions(command);
  return command
    .option('--json', 'print JSON')
    .addHelpText('after', HELP)
    .action((flags: DoctorFlags) => examine(flags));
}

async function examine(flags: DoctorFlags): Promise<void> {
  const { checkMachine } = await import('../machine-checks.ts');
  const findings = await checkMachine(flags);
  if (flags.json === true) process.stdout.write(`${JSON.stringify(findings, undefined, 2)}\n`);
  else process.stdout.write(`${findings.map((finding) => asLines(finding)).join('\n')}\n\n${summary(findings)}\n`);
  if (findings.some(({ verdict }) => verdict === 'bad')) process.exitCode = 1;
}

const MARKS = { good: colours.green('✓'), warning: colours.yellow('!'), bad: colours.red('✗') } as const;

function asLines({ check, verdict, found, remedy }: Finding): string {
  const line = `${MARKS[verdict]} ${check.padEnd(16)} ${found}`;
  return remedy === undefined ? line : `${line}\n${' '.repeat(19)}→ ${remedy}`;
}

function summary(findings: readonly Finding[]): string {
  const bad = findings.filter(({ verdict }) => verdict === 'bad').length;
  const warnings = findings.filter(({ verdict }) => verdict === 'warning').length;
  if (bad > 0) return `${bad} of ${findings.length} checks failed: change what the arrows say, then run doctor again`;
  return warnings > 0
    ? `it will work; ${warnings} of ${findings.length} checks could be better`
    : 'all is well: openalgo-shm start';
}
