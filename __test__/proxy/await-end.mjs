// Ends once a process has: its parent may be one that cannot wait for it, since it stands still.
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** A process that has ended and was not noticed yet is there, as a zombie. */
function lives(pid) {
  try {
    process.kill(pid, 0);
    return process.platform !== 'linux' || !/\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

while (lives(Number(process.argv[2]))) await sleep(5);
