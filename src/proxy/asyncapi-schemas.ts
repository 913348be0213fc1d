import { FIELDS } from '../message.ts';
import { MAX_INTERVAL_MS } from './requests.ts';

/** A JSON schema. */
export type Schema = Readonly<Record<string, unknown>>;

const text: Schema = { type: 'string' };
const count: Schema = { type: 'integer', minimum: 0 };
const number: Schema = { type: ['number', 'null'], description: 'null for what is no number in JSON: NaN, infinities' };
const name = (examples: readonly string[], description: string): Schema => ({ type: 'string', examples, description });

/** A message: these properties, the required ones first named, and whatever else later versions add. */
function message(description: string, required: Record<string, Schema>, optional: Record<string, Schema> = {}): Schema {
  return { type: 'object', description, required: Object.keys(required), properties: { ...required, ...optional } };
}

const mode: Schema = {
  description: '1 LTP, 2 quote, 3 depth; or the name, in any case',
  oneOf: [
    { type: 'integer', enum: [1, 2, 3] },
    { type: 'string', pattern: '^\\s*([Ll][Tt][Pp]|[Qq][Uu][Oo][Tt][Ee]|[Dd][Ee][Pp][Tt][Hh])\\s*$' },
  ],
};
const symbol = name(['RELIANCE', 'NIFTY28APR2425000CE'], 'at most 48 bytes; * for every symbol of the exchange');
const exchange = name(['NSE', 'NFO', 'NSE_INDEX', 'MCX'], 'at most 16 bytes; * with symbol * for everything');
const instrument = message('An instrument', { symbol, exchange }, { mode });
const requestId: Schema = { description: 'given back in the answer' };
const line = message(
  'What became of one instrument',
  { symbol: {}, exchange: {}, status: { type: 'string', enum: ['success', 'error'] }, broker: text },
  {
    mode: { type: 'string', enum: ['LTP', 'Quote', 'Depth'] },
    depth: count,
    message: {
      ...text,
      description: 'why not; with success: the broker is away, and why: ticks come once it is back',
    },
  },
);
const lines: Schema = { type: 'array', items: line };
const succeeded = { status: { type: 'string', enum: ['success'] } };
const level = message('A price level', { price: number, quantity: number, orders: number });
const side: Schema = { type: 'array', items: level };

/** What a client sends, by the name of the action. */
export const REQUESTS: Readonly<Record<string, Schema>> = {
  authenticate: message(
    'Says who the client is. Needed before anything else where the proxy wants keys.',
    { action: { type: 'string', enum: ['authenticate', 'auth'] } },
    { api_key: text, apikey: text },
  ),
  subscribe: message(
    'Asks for ticks: of `symbols`, or of one `symbol`. With neither exchange nor mode: every mode of a symbol of the default exchange.',
    { action: { const: 'subscribe' } },
    {
      symbols: { type: 'array', items: instrument },
      symbol,
      exchange,
      mode,
      depth: { type: 'integer', minimum: 1, default: 5, description: 'levels a side' },
      interval_ms: {
        type: 'integer',
        minimum: 0,
        maximum: MAX_INTERVAL_MS,
        description: 'at most one tick of an instrument and mode in this time, the newest',
      },
      snapshot: {
        type: 'boolean',
        description: 'true for last values of any age, false for none; without it those that are recent',
      },
      status: { type: 'boolean', description: 'true for `feed_status` messages' },
      request_id: requestId,
    },
  ),
  unsubscribe: message(
    'Ends subscriptions. Without a mode: all modes of the instruments.',
    { action: { type: 'string', enum: ['unsubscribe', 'unsubscribe_all'] } },
    { symbols: { type: 'array', items: instrument }, symbol, exchange, mode, request_id: requestId },
  ),
  orders: message(
    'Asks for the order updates of the own user, or for no more of them.',
    { action: { type: 'string', enum: ['subscribe_orders', 'unsubscribe_orders'] } },
    { request_id: requestId },
  ),
  broker: message('Asks which broker there is.', {
    action: { type: 'string', enum: ['get_broker_info', 'get_supported_brokers'] },
  }),
  ping: message(
    'Asks for a sign of life.',
    { action: { const: 'ping' } },
    { timestamp: { description: 'given back' }, _pingId: { description: 'given back' } },
  ),
};

/** Fields that may be in data in the form in which the adapter wrote them. */
const OWN_FORM: ReadonlySet<string> = new Set(['ltt', 'timestamp', 'exchange_timestamp', 'instrument_token']);

/** What a client gets, by the name of the message. */
export const RESPONSES: Readonly<Record<string, Schema>> = {
  market_data: message(
    'A tick, in the highest mode that the client has of this instrument and that the tick has data for.',
    {
      type: { const: 'market_data' },
      symbol: text,
      exchange: text,
      mode: { type: 'integer', enum: [1, 2, 3] },
      seq: {
        ...count,
        description:
          'counts the instrument’s ticks of this mode and of higher ones at this proxy: a gap is what conflation took, or came in a higher mode to a client that has subscribed to several',
      },
      data: {
        type: 'object',
        description:
          'Only what the broker’s adapter wrote, and the same under the names of fields. Prices in the currency of the instrument, times in ms since 1970 but where the adapter wrote them otherwise: then in ms under ltt_ms, timestamp_ms and exchange_timestamp_ms.',
        properties: {
          symbol: { description: 'as the adapter wrote it' },
          exchange: { description: 'as the adapter wrote it' },
          mode: { description: 'as the adapter wrote it, else 1, 2 or 3' },
          ...Object.fromEntries(FIELDS.map(([, onWire]) => [onWire, OWN_FORM.has(onWire) ? {} : number])),
          depth: message('The book, best price first', { buy: side, sell: side }),
        },
      },
      broker: { ...text, description: 'name of the publisher' },
    },
    {
      snapshot: {
        type: 'boolean',
        description:
          'true for last values, which are no tick of now: sent on subscribing, or passed on by a feed that reads another proxy',
      },
      age_ms: { ...count, description: 'age of a snapshot' },
      oldest_age_ms: { ...count, description: 'age of the oldest value in a snapshot, where one is older' },
    },
  ),
  auth: message(
    'Answer to `authenticate`.',
    { type: { const: 'auth' }, status: { type: 'string', enum: ['success', 'error'] }, message: text },
    {
      code: {
        type: 'string',
        enum: ['AUTHENTICATION_ERROR', 'RATE_LIMIT_EXCEEDED'],
        description: 'RATE_LIMIT_EXCEEDED: too many keys are being checked, or were wrong; try again',
      },
      request_id: { ...requestId, description: 'of the request that was refused' },
      broker: text,
      user_id: text,
      supported_features: { type: 'object' },
    },
  ),
  subscribe: message(
    'Answer to `subscribe`: `partial` as soon as one instrument failed. Where the feed tells what the broker says, the answer waits for it, at most for the proxy’s `subscribeTimeout`, and so do the answers to later messages.',
    {
      type: { const: 'subscribe' },
      status: { type: 'string', enum: ['success', 'partial'] },
      subscriptions: lines,
      message: text,
      broker: text,
    },
    { request_id: requestId },
  ),
  unsubscribe: message(
    'Answer to `unsubscribe`.',
    {
      type: { const: 'unsubscribe' },
      status: { type: 'string', enum: ['success', 'partial', 'error'] },
      message: text,
      successful: lines,
      failed: lines,
      broker: text,
    },
    { request_id: requestId },
  ),
  orders: message(
    'Answer to `subscribe_orders` and `unsubscribe_orders`.',
    { type: { type: 'string', enum: ['subscribe_orders', 'unsubscribe_orders'] }, ...succeeded, message: text },
    { request_id: requestId },
  ),
  order_update: message('An order of the own user has changed.', {
    type: { const: 'order_update' },
    user_id: text,
  }),
  feed_status: message(
    'The feed has fallen silent, or is back.',
    { type: { const: 'feed_status' }, status: { type: 'string', enum: ['live', 'down'] } },
    {
      reason: text,
      message: text,
      age_ms: count,
      market: { type: 'string', enum: ['open', 'closed'], description: 'where the proxy knows the market’s hours' },
    },
  ),
  subscription_refused: message(
    'The broker has refused a subscription that was answered with success before: it has ended.',
    {
      type: { const: 'subscription_refused' },
      symbol: text,
      exchange: text,
      mode: { type: 'string', enum: ['LTP', 'Quote', 'Depth'] },
      message: { ...text, description: 'the broker’s reason' },
      broker: text,
    },
  ),
  skipped: message('The client was too slow and has caught up: so many ticks were replaced by newer ones.', {
    type: { const: 'skipped' },
    count,
  }),
  broker_info: message('Answer to `get_broker_info`.', {
    type: { const: 'broker_info' },
    ...succeeded,
    broker: text,
    adapter_status: { type: 'string', enum: ['connected', 'disconnected'] },
    user_id: text,
  }),
  supported_brokers: message('Answer to `get_supported_brokers`.', {
    type: { const: 'supported_brokers' },
    ...succeeded,
    brokers: { type: 'array', items: text },
    count,
  }),
  pong: message(
    'Answer to `ping`.',
    { type: { const: 'pong' }, ...succeeded, server_timestamp: { ...count, description: 'ms since 1970' } },
    { client_timestamp: {}, _pingId: {} },
  ),
  error: message(
    'A message that could not be served; the connection stays open.',
    {
      type: { const: 'error' },
      status: { const: 'error' },
      code: {
        type: 'string',
        enum: [
          'INVALID_JSON',
          'INVALID_ACTION',
          'INVALID_MODE',
          'INVALID_PARAMETERS',
          'AUTHENTICATION_ERROR',
          'NOT_AUTHENTICATED',
          'BROKER_ERROR',
          'PROCESSING_ERROR',
          'SERVER_ERROR',
          'RATE_LIMIT_EXCEEDED',
          'MESSAGE_TOO_BIG',
        ],
      },
      message: text,
    },
    { request_id: requestId },
  ),
};
