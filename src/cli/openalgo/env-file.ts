import { readFileSync } from 'node:fs';

const SETTING = /^\s*(?:export\s+)?([A-Za-z_]\w*)\s*=\s*(.*)$/;
const QUOTED = /^(["'])(.*?)\1/;

/**
 * The settings of a `.env` file; of a name that comes twice, the last.
 *
 * @throws what reading the file throws
 */
export function readEnvFile(path: string): Map<string, string> {
  const settings = new Map<string, string>();
  for (const line of readFileSync(path, 'utf8').split('\n')) {
    const [, name, value] = SETTING.exec(line) ?? [];
    if (name !== undefined) settings.set(name, valueOf(value!));
  }
  return settings;
}

/** A value without its quotes, or up to its comment. */
function valueOf(text: string): string {
  return QUOTED.exec(text)?.[2] ?? text.replace(/(^|\s)#.*$/, '').trim();
}
