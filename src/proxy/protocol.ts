/** The actions a client may ask for, in OpenAlgo's spelling. */
export const ACTIONS = [
  'authenticate',
  'auth',
  'subscribe',
  'unsubscribe',
  'unsubscribe_all',
  'subscribe_orders',
  'unsubscribe_orders',
  'get_broker_info',
  'get_supported_brokers',
  'ping',
] as const;

/** One of {@link ACTIONS}. */
export type Action = (typeof ACTIONS)[number];

/** The `code` of an error answer. All but the last two are OpenAlgo's. */
export type ProtocolErrorCode =
  | 'INVALID_JSON'
  | 'INVALID_ACTION'
  | 'INVALID_MODE'
  | 'INVALID_PARAMETERS'
  | 'AUTHENTICATION_ERROR'
  | 'NOT_AUTHENTICATED'
  | 'BROKER_ERROR'
  | 'PROCESSING_ERROR'
  | 'SERVER_ERROR'
  | 'RATE_LIMIT_EXCEEDED'
  | 'MESSAGE_TOO_BIG';

/** A request that cannot be served; the client gets it as an error answer and its connection stays open. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError';
  readonly code: ProtocolErrorCode;

  constructor(code: ProtocolErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** The fields of a client's message as they came: nothing in it has been checked. */
export type Body = Readonly<Record<string, unknown>>;

/** A client's message with its action understood. */
export interface Message {
  action: Action;
  body: Body;
}

const KNOWN_ACTIONS: ReadonlySet<unknown> = new Set(ACTIONS);
const OPEN_TO_ALL: ReadonlySet<Action> = new Set(['authenticate', 'auth', 'get_supported_brokers', 'ping']);

/**
 * Reads one inbound frame.
 *
 * @throws {ProtocolError} `INVALID_JSON`, `SERVER_ERROR` when it is JSON but no object, `INVALID_ACTION`.
 */
export function decode(text: string): Message {
  const body = parseObject(text);
  const action = body['action'] || body['type'];
  if (!KNOWN_ACTIONS.has(action)) throw new ProtocolError('INVALID_ACTION', `Invalid action: ${describe(action)}`);
  return { action: action as Action, body };
}

/** Bytes of a message in which the number of a request is looked for, behind its name. */
const REQUEST_ID_BYTES = 600;

/** The number of the request in a message that is refused without being read, as far as it is a number or a short text. */
export function requestIdIn(message: Buffer): unknown {
  const at = message.indexOf('"request_id"');
  if (at < 0) return undefined;
  const text = message.toString('utf8', at, at + REQUEST_ID_BYTES);
  const [, value] = /^"request_id"\s*:\s*("(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?)\s*[,}]/.exec(text) ?? [];
  try {
    return value === undefined ? undefined : echoed(JSON.parse(value));
  } catch {
    return undefined;
  }
}

/** True when a client must have authenticated before it may ask for this. */
export function needsAuthentication(action: Action): boolean {
  return !OPEN_TO_ALL.has(action);
}

/** True for a JSON object, false for an array, a scalar or null. */
export function isObject(value: unknown): value is Body {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Most characters of a client's text that come back in an answer. */
const MOST_ECHOED = 256;

/**
 * What of a client's own value comes back in an answer: undefined for arrays and objects, some of which cannot be encoded
 * (JSON.stringify gives up where JSON.parse did not), and the beginning of a long text.
 */
export function echoed(value: unknown): unknown {
  if (typeof value === 'object' && value !== null) return undefined;
  return typeof value === 'string' && value.length > MOST_ECHOED ? `${value.slice(0, MOST_ECHOED)}…` : value;
}

/** What kind of JSON value this is, in the words of JSON. */
export function kindOf(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'array' : typeof value;
}

function parseObject(text: string): Body {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new ProtocolError('INVALID_JSON', 'Invalid JSON message');
  }
  if (!isObject(value)) throw new ProtocolError('SERVER_ERROR', `Message must be a JSON object, got ${kindOf(value)}`);
  return value;
}

// OpenAlgo's answers quote the value as Python prints it.
function describe(action: unknown): string {
  if (action === undefined || action === null) return 'None';
  if (typeof action === 'boolean') return action ? 'True' : 'False';
  const text = typeof action === 'string' ? action : JSON.stringify(action);
  return text.length > 200 ? `${text.slice(0, 200)}…` : text;
}
