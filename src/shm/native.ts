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

/** The same, and closes the handle if the call throws. */
export function closeOnError<T>(handle: { close(): void }, call: () => T): T {
  try {
    return native(call);
  } catch (error) {
    handle.close();
    throw error;
  }
}
