import { type Command, createCommand } from 'commander';
export function benchCommand(): Command {
  return createCommand('bench').description('measure this machine in half a minute');
}
