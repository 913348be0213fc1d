import { lstatSync, type Stats } from 'node:fs';
import { userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import { OpenAlgoShmError } from '../errors.ts';
import { DEFAULT_RING_NAME } from '../shm/options.ts';

/** Longest path of a Unix socket, in bytes: what Linux has room for. */
const MAX_PATH_BYTES = 107;
/** The bits of a mode that let others, or a group, write. */
const OTHERS_WRITE = 0o022;
const IS_WINDOWS = process.platform === 'win32';

/**
 * Where the adapter host of a ring listens for questions about keys: `RING.sock` in `$XDG_RUNTIME_DIR/openalgo-shm`, or
 * without that variable in `openalgo-shm-UID` of the folder for temporary files; on Windows a named pipe.
 */
export function keySocketPath(ring: string = DEFAULT_RING_NAME): string {
  const { uid, username } = userInfo();
  if (IS_WINDOWS) return `\\\\.\\pipe\\openalgo-shm-${username}-${ring}`;
  const runtime = process.env['XDG_RUNTIME_DIR'];
  const folder = runtime ? join(runtime, 'openalgo-shm') : join(process.env['TMPDIR'] || '/tmp', `openalgo-shm-${uid}`);
  return join(folder, `${ring}.sock`);
}

/** @throws {OpenAlgoShmError} `ERR_INVALID_OPTION` for a path that is too long for a socket. */
export function checkPathLength(path: string): void {
  const bytes = Buffer.byteLength(path);
  if (IS_WINDOWS || bytes <= MAX_PATH_BYTES) return;
  throw new OpenAlgoShmError(
    'ERR_INVALID_OPTION',
    `auth.socket: ${path} is ${bytes} bytes long, and a socket's path has at most ${MAX_PATH_BYTES}; give a shorter one, or shorten the ring's name`,
  );
}

/**
 * Makes sure that nobody but this user can be listening there: keys are secrets.
 *
 * @throws {OpenAlgoShmError} `ERR_SHM_PERMISSION` where others own the folder or the socket, or may write into the
 *   folder; `ERR_UPSTREAM` where there is no socket.
 */
export function checkOwner(path: string): void {
  if (IS_WINDOWS) return;
  const folder = dirname(path);
  const ofFolder = statOf(folder);
  if (!ofFolder.isDirectory()) throw refused(`${folder} is no folder`);
  requireOwn(folder, ofFolder);
  if ((ofFolder.mode & OTHERS_WRITE) !== 0) {
    throw refused(`others may write into ${folder}; make it the user's own with chmod 700 ${folder}`);
  }
  const ofSocket = statOf(path);
  if (!ofSocket.isSocket()) throw refused(`${path} is no socket`);
  requireOwn(path, ofSocket);
}

function statOf(path: string): Stats {
  try {
    return lstatSync(path);
  } catch (cause) {
    throw new OpenAlgoShmError('ERR_UPSTREAM', `no adapter host listens at ${path}; start it, or give its path`, {
      cause,
    });
  }
}

function requireOwn(path: string, { uid }: Stats): void {
  const own = process.geteuid?.();
  if (uid !== own) {
    throw refused(
      `${path} belongs to user ${uid}, and this process to user ${own}; run host and proxy as the same user`,
    );
  }
}

function refused(why: string): OpenAlgoShmError {
  return new OpenAlgoShmError('ERR_SHM_PERMISSION', `keys are not sent through a place that others may hold: ${why}`);
}
