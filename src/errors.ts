/** Every error this package throws, by its stable `code`. */
export const ERROR_CODES = [
  'ERR_INVALID_ARGUMENT',
  'ERR_INVALID_OPTION',
  'ERR_INVALID_FIELD',
  'ERR_INVALID_SYMBOL',
  'ERR_BOOK_TOO_DEEP',
  'ERR_MESSAGE_TOO_LONG',
  'ERR_TOO_MANY_TOPICS',
  'ERR_CLOSED',
  'ERR_SHM_NAME',
  'ERR_SHM_NOT_FOUND',
  'ERR_SHM_MISMATCH',
  'ERR_SHM_LAYOUT',
  'ERR_SHM_VERSION',
  'ERR_SHM_FULL',
  'ERR_SHM_PERMISSION',
  'ERR_SHM_BUSY',
  'ERR_SHM_SYSTEM',
  'ERR_NO_FREE_LANE',
  'ERR_NO_FREE_CONSUMER',
  'ERR_PORT_IN_USE',
  'ERR_AUTH_REQUIRED',
  'ERR_FILE',
  'ERR_FILE_BUSY',
  'ERR_MALFORMED_LINE',
  'ERR_UPSTREAM',
  'ERR_NOT_INSTALLED',
  'ERR_NATIVE',
] as const;

/** A stable error code; see {@link ERROR_CODES}. */
export type ErrorCode = (typeof ERROR_CODES)[number];

/** An error that says what was wrong, what was expected and what to do, with a code that never changes. */
export class OpenAlgoShmError extends Error {
  override readonly name = 'OpenAlgoShmError';
  /** Stable code to branch on. */
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** True for an error with this package's `code`, whether it came from TypeScript or from the native core. */
export function hasCode(error: unknown, code: ErrorCode): boolean {
  return error instanceof Error && (error as { code?: unknown }).code === code;
}
