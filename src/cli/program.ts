import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { ROLE_COMMAND } from './bench/role-command.ts';
import { benchCommand, benchRoleCommand } from './commands/bench.ts';
import { cleanupCommand } from './commands/cleanup.ts';
import { completionCommand } from './commands/completion.ts';
import { doctorCommand } from './commands/doctor.ts';
import { exportCommand } from './commands/export.ts';
import { feedCommand } from './commands/feed.ts';
import { openalgoCommand } from './commands/openalgo.ts';
import { recordCommand } from './commands/record.ts';
import { serveCommand } from './commands/serve.ts';
import { startCommand } from './commands/start.ts';
import { statsCommand } from './commands/stats.ts';
import { watchCommand } from './commands/watch.ts';
import { CONFIGURATION_HELP, configure } from './configuration.ts';
import { printConfiguration } from './print-configuration.ts';

const EXIT_CODES_HELP = `Exit codes: 0 all went well, 1 something failed, 2 the command line or the configuration is wrong.
Errors are one line: a code and what to do. DEBUG=1 adds where it happened.`;

/** The whole command line. Throws instead of ending the process. */
export function createProgram(): Command {
  const program = new Command('openalgo-shm')
    .description('Market data through a lock-free ring in shared memory, to any number of WebSocket clients.')
    .version(packageVersion(), '-V, --version', 'print the version')
    .option('--config <file>', 'read settings from this JSON file')
    .option('--print-config', 'print the settings that hold and where they come from, and end')
    .helpCommand('help [command]', 'explain a command')
    .addCommand(startCommand())
    .addCommand(openalgoCommand())
    .addCommand(serveCommand())
    .addCommand(feedCommand())
    .addCommand(watchCommand())
    .addCommand(recordCommand())
    .addCommand(exportCommand())
    .addCommand(statsCommand())
    .addCommand(cleanupCommand())
    .addCommand(doctorCommand())
    .addCommand(benchCommand())
    .addCommand(completionCommand())
    .addCommand(benchRoleCommand(ROLE_COMMAND), { hidden: true })
    .addHelpText('after', `\nBegin with: openalgo-shm start\n\n${CONFIGURATION_HELP}\n\n${EXIT_CODES_HELP}`);
  for (const command of everyCommand(program)) standardise(command);
  program.hook('preAction', (_, action) => {
    const settings = configure(action, process.env);
    if (program.opts<{ printConfig?: boolean }>().printConfig !== true) return;
    printConfiguration(action, settings);
    throw new CommanderError(0, 'openalgo-shm.printed', 'printed');
  });
  return program;
}

/** A command and all that are within it. */
export function everyCommand(command: Command): Command[] {
  return [command, ...command.commands.flatMap((inner) => everyCommand(inner))];
}

function standardise(command: Command): void {
  command
    .exitOverride()
    .helpOption('-h, --help', 'explain, with examples')
    .configureHelp({ showGlobalOptions: true })
    .showHelpAfterError(false)
    .showSuggestionAfterError(true)
    .configureOutput({
      outputError: (text, write) => write(usageError(text, command)),
    });
}

/** What commander says, in the form of all other errors. */
function usageError(text: string, command: Command): string {
  const message = text
    .replace(/^error: /, '')
    .trim()
    .replaceAll(/\s*\n\s*/g, ' ');
  return `openalgo-shm: ERR_USAGE: ${message}; see ${fullName(command)} --help\n`;
}

function fullName(command: Command): string {
  return command.parent === null ? command.name() : `${fullName(command.parent)} ${command.name()}`;
}

function packageVersion(): string {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  return version;
}
