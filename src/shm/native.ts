import { OpenAlgoShmError, type ErrorCode } from '../errors.ts';

/** Runs a call into the native core; its errors come out as {@link OpenAlgoShmError} with the same code. */
export function native<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    if (error instanceof OpenAlgoShmError || !(error instanceof Error)) throw error;
    const code = (error as { code?: unknown }).code;
    const known = typeof code === 'string' && code.startsWith('ERR_') ? (code as ErrorCode) : 'ERR_NATIVE';
    throw new OpenAlgoShmError(known, error.message, { cause: error });
  }
}

/** The same for a call that is to keep a handle: if it fails the handle is closed, so that who tries again and again leaves none behind. */
export function keeping<T>(handle: { close(): void }, call: () => T): T {
  try {
    return native(call);
  } catch (error) {
    handle.close();
    throw error;
  }
}
