import { readdirSync, readFileSync } from 'node:fs';

/** A process of this machine. */
export interface FoundProcess {
  pid: number;
  parent: number;
  /** Its command line, with spaces between the words. */
  command: string;
}

/** Living processes with these words in their command lines; on Linux only. */
export function processesWith(words: string): FoundProcess[] {
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      const command = readFileSync(`/proc/${name}/cmdline`, 'utf8').split('\0').join(' ').trim();
      const [, state, parent] = /\) (.) (\d+)/.exec(readFileSync(`/proc/${name}/stat`, 'utf8')) ?? [];
      return command.includes(words) && state !== 'Z' ? [{ pid: Number(name), parent: Number(parent), command }] : [];
    } catch {
      return [];
    }
  });
}

/** Files of shared memory whose names begin like this: rings, those beside them, and locks of their names. */
export function sharedMemoryOf(name: string): string[] {
  return readdirSync('/dev/shm').filter((file) => file.startsWith(name));
}
