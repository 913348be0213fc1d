import { tryLockFile } from './native-binding.ts';
import { native } from './native.ts';

/**
 * Locks an open file against everybody else who asks for a lock on it, in this process or another: false where it is
 * locked already. The kernel takes the lock back when the file is closed, and so when the process ends, however it does.
 *
 * @throws OpenAlgoShmError `ERR_FILE` where the file system has no locks, and on Windows
 */
export function tryLockDescriptor(descriptor: number): boolean {
  return native(() => tryLockFile(descriptor));
}
