import { type Command, createCommand, Option } from 'commander';
import { OpenAlgoShmError } from '../../errors.ts';
import { companionsOf, LockFreeRingBuffer, type FoundRing } from '../../shm/ring-buffer.ts';
import { bytes, counted } from '../figures.ts';
import { olderVersion } from '../ring-figures.ts';

interface CleanupFlags {
  ring?: string;
  dryRun?: true;
  json?: true;
}

const HELP = `
Examples:
  $ openalgo-shm cleanup                 remove every ring that no living process holds
  $ openalgo-shm cleanup --ring demo     remove this one and what belongs to it
  $ openalgo-shm cleanup --dry-run       only say what would be removed

A ring is held by its publishers and its registered readers; the system knows when they have died. Nothing that is
held is ever removed, and nothing that has a ring's name and is none: what it is, and how to remove it, is said, with
exit code 1.`;

/** Removes segments that nobody holds. */
export function cleanupCommand(): Command {
  return createCommand('cleanup')
    .description('remove shared memory that no process holds')
    .addOption(new Option('--ring <name>', 'only this ring (default: all)'))
    .option('--dry-run', 'remove nothing, only list')
    .option('--json', 'print JSON')
    .addHelpText('after', HELP)
    .action((flags: CleanupFlags) => cleanUp(flags));
}

/** What has a ring's name, or is one, and cannot be removed. */
interface Refused {
  name: string;
  error: OpenAlgoShmError;
}

function cleanUp({ ring, dryRun, json }: CleanupFlags): void {
  const found = LockFreeRingBuffer.list().filter(({ name }) => ring === undefined || belongsTo(name, ring));
  const removed: FoundRing[] = [];
  const held: FoundRing[] = [];
  const refused: Refused[] = ring === undefined ? [] : strangers(ring, found);
  for (const segment of found) {
    try {
      const free = dryRun === true ? !segment.inUse : LockFreeRingBuffer.removeIfUnused(segment.name);
      (free ? removed : held).push(segment);
    } catch (error) {
      if (!(error instanceof OpenAlgoShmError)) throw error;
      refused.push({ name: segment.name, error });
    }
  }
  if (json === true) {
    const report = {
      removed: removed.map(asJson),
      held: held.map(asJson),
      refused: refused.map(({ name, error }) => ({ name, code: error.code, reason: error.message })),
      dry_run: dryRun === true,
    };
    process.stdout.write(`${JSON.stringify(report)}\n`);
  } else {
    for (const { name, bytes: size, version } of removed) {
      const what = `${name}${olderVersion(version)} (${bytes(size)})`;
      process.stdout.write(`${dryRun === true ? 'would remove' : 'removed'} ${what}\n`);
    }
    for (const { name, version } of held)
      process.stdout.write(`kept ${name}${olderVersion(version)}: held by ${holders(name)}\n`);
    if (found.length + refused.length === 0)
      process.stdout.write(ring === undefined ? 'there is no shared memory to remove\n' : `there is no ring ${ring}\n`);
    else if (removed.length === 0 && held.length > 0)
      process.stdout.write(`nothing to remove: ${counted(held.length, 'ring')} in use\n`);
  }
  fail(ring, held, refused);
}

function fail(ring: string | undefined, held: readonly FoundRing[], refused: readonly Refused[]): void {
  if (refused.length > 0) {
    const reasons = refused.map(({ error }) => error.message).join('; ');
    throw new OpenAlgoShmError(refused[0]!.error.code, `nothing of this was touched: ${reasons}`);
  }
  if (ring !== undefined && held.length > 0) {
    throw new OpenAlgoShmError('ERR_SHM_BUSY', `ring ${ring} is in use; end the processes that hold it first`);
  }
}

/** What has the name of the ring, or of one beside it, and is no segment of this user. */
function strangers(ring: string, found: readonly FoundRing[]): Refused[] {
  return [ring, ...companionsOf(ring)]
    .filter((name) => !found.some((segment) => segment.name === name))
    .flatMap((name) => {
      try {
        LockFreeRingBuffer.open(name).close();
      } catch (error) {
        if (!(error instanceof OpenAlgoShmError)) throw error;
        return error.code === 'ERR_SHM_NOT_FOUND' ? [] : [{ name, error }];
      }
      // It was created since the list was made: somebody uses it.
      return [];
    });
}

/** The ring itself and the smaller ones beside it. A ring of somebody else may have a name that begins like it. */
function belongsTo(name: string, ring: string): boolean {
  return name === ring || companionsOf(ring).includes(name);
}

function holders(name: string): string {
  try {
    const buffer = LockFreeRingBuffer.open(name);
    const { publishers, subscribers } = buffer.stats();
    buffer.close();
    const living = publishers.filter(({ alive }) => alive).map(({ publisher, pid }) => `${publisher} (process ${pid})`);
    const readers = subscribers.map((subscriber) => `${subscriber.name} (process ${subscriber.pid})`);
    return [...living, ...readers].join(', ') || 'a process that is just starting';
  } catch {
    return 'a process of another version, or one that is just starting or ending';
  }
}

function asJson({ name, bytes: size, version }: FoundRing): object {
  return { name, bytes: size, version };
}
