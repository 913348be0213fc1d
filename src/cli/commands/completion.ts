import { type Command, createArgument, createCommand } from 'commander';
import { completionScript, type Shell } from '../completion-script.ts';

const HELP = `
Examples:
  $ openalgo-shm completion bash > ~/.local/share/bash-completion/completions/openalgo-shm
  $ openalgo-shm completion zsh > ~/.zfunc/_openalgo-shm        (with ~/.zfunc in fpath)
  $ openalgo-shm completion fish > ~/.config/fish/completions/openalgo-shm.fish`;

/** A script that completes commands and flags in a shell. */
export function completionCommand(): Command {
  return createCommand('completion')
    .description('print a script that completes commands and flags in your shell')
    .addArgument(createArgument('<shell>', 'which shell').choices(['bash', 'zsh', 'fish']))
    .addHelpText('after', HELP)
    .action((shell: Shell, _flags: object, command: Command) => {
      process.stdout.write(completionScript(shell, command.parent as Command));
    });
}
