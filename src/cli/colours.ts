import pc from 'picocolors';

/**
 * Colours where a person reads: on a terminal, unless `NO_COLOR` is set, and wherever `FORCE_COLOR` asks for them. The
 * library's own guess also takes a build server's log for a person.
 */
export const colours = pc.createColors(wanted(process.env, process.stdout.isTTY));

function wanted({ NO_COLOR, FORCE_COLOR, TERM }: NodeJS.ProcessEnv, isTerminal: boolean | undefined): boolean {
  if (NO_COLOR !== undefined && NO_COLOR !== '') return false;
  if (FORCE_COLOR !== undefined) return FORCE_COLOR !== '0' && FORCE_COLOR !== 'false';
  return isTerminal === true && TERM !== 'dumb';
}
