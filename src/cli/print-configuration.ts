import type { Command } from 'commander';
import type { Setting } from './configuration.ts';

const SECRET = /(key|token|secret|password)$/;

/** Prints the settings of a command as JSON, with their sources; never a secret. */
export function printConfiguration(command: Command, settings: ReadonlyMap<string, Setting>): void {
  const shown = Object.fromEntries(
    Array.from(settings, ([name, { value, ...rest }]) => [name, { value: presentable(name, value), ...rest }]),
  );
  process.stdout.write(`${JSON.stringify({ command: command.name(), settings: shown }, undefined, 2)}\n`);
}

function presentable(name: string, value: unknown): unknown {
  if (value === undefined) return null;
  return SECRET.test(name) ? '(set)' : value;
}
