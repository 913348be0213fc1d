import { FIELDS, type FieldName, type Mode } from '../message.ts';

/**
 * What each field is called by OpenAlgo's adapters and by brokers' own tickers, besides its name on the wire and its
 * name in TypeScript. Where a tick has several names of one field, the wire name wins, then the first in the tick.
 */
const SYNONYMS: { readonly [field in FieldName]?: readonly string[] } = {
  ltp: ['last_price', 'last_traded_price'],
  volume: ['volume_traded', 'volume_trade_for_the_day', 'traded_volume'],
  ltt: ['last_trade_time', 'last_traded_time'],
  open: ['open_price'],
  high: ['high_price'],
  low: ['low_price'],
  close: ['close_price'],
  prevClose: ['previous_close', 'prev_close_price', 'cp'],
  averagePrice: ['average_traded_price', 'avg_trade_price', 'average_trade_price', 'avg_price', 'atp'],
  lastQuantity: ['ltq', 'last_trade_quantity', 'last_traded_quantity', 'last_trade_qty', 'last_traded_qty'],
  oi: ['open_interest', 'total_oi'],
  bid: ['bid_price', 'best_bid', 'best_bid_price'],
  ask: ['ask_price', 'best_ask', 'best_ask_price'],
  bidQty: ['bid_quantity', 'bid_size', 'best_bid_qty', 'best_bid_quantity'],
  askQty: ['ask_quantity', 'ask_size', 'best_ask_qty', 'best_ask_quantity'],
  totalBuyQuantity: ['buy_quantity', 'total_buy_qty', 'totalbuyqty'],
  totalSellQuantity: ['sell_quantity', 'total_sell_qty', 'totalsellqty'],
  change: ['price_change', 'change_absolute', 'net_change'],
  changePercent: ['percent_change', 'change_percentage', 'price_change_percent'],
  upperCircuit: ['upper_circuit_limit'],
  lowerCircuit: ['lower_circuit_limit'],
  week52High: ['week_52_high'],
  week52Low: ['week_52_low'],
  oiDayHigh: ['oi_high'],
  oiDayLow: ['oi_low'],
  oiChange: ['change_in_oi'],
  turnover: ['tot. traded value', 'tot_traded_value', 'total_traded_value', 'traded_value', 'value'],
  exchangeTimestamp: ['exchange_time', 'feed_time', 'exch_feed_time'],
};

const TIME_FIELDS: ReadonlySet<FieldName> = new Set(['ltt', 'timestamp', 'exchangeTimestamp']);

/** Names of a tick that carry nothing of the market which a message could hold. */
const IGNORED = [
  'token',
  'broker',
  'data_type',
  'subscription_mode',
  'depth_level',
  'depth_levels',
  'is_50_depth',
] as const;

/** How the value under a key is read. `preferred` names win over synonyms that stand in the same tick. */
export type KeyRule =
  | { readonly kind: 'number' | 'time' | 'flag' | 'token'; readonly field: FieldName; readonly preferred: boolean }
  | { readonly kind: 'side'; readonly side: 'buy' | 'sell' }
  | { readonly kind: 'symbol' | 'exchange' | 'mode' | 'type' | 'depth' | 'ohlc' | 'ignored' };

/** Every key that a tick may have, and how it is read. */
export const KEY_RULES: ReadonlyMap<string, KeyRule> = new Map(allRules());

function* allRules(): Generator<[string, KeyRule]> {
  for (const [field, wireName] of FIELDS) {
    const kind = kindOf(field);
    for (const name of SYNONYMS[field] ?? []) yield [name, { kind, field, preferred: false }];
    yield [field, { kind, field, preferred: false }];
    yield [wireName, { kind, field, preferred: true }];
  }
  for (const name of ['bids', 'buy'] as const) yield [name, { kind: 'side', side: 'buy' }];
  for (const name of ['asks', 'sell'] as const) yield [name, { kind: 'side', side: 'sell' }];
  for (const kind of ['symbol', 'exchange', 'mode', 'type', 'depth', 'ohlc'] as const) yield [kind, { kind }];
  for (const name of IGNORED) yield [name, { kind: 'ignored' }];
}

function kindOf(field: FieldName): 'number' | 'time' | 'flag' | 'token' {
  if (TIME_FIELDS.has(field)) return 'time';
  if (field === 'tradable') return 'flag';
  return field === 'instrumentToken' ? 'token' : 'number';
}

/** The modes by every name that adapters, clients and tickers give them, in lower case. */
export const MODES_BY_NAME: ReadonlyMap<string, Mode> = new Map([
  ['ltp', 1],
  ['quote', 2],
  ['full', 3],
  ['depth', 3],
  ['1', 1],
  ['2', 2],
  ['3', 3],
]);

/** What a price level's number of shares and of orders is called. */
export const QUANTITY_NAMES = ['quantity', 'qty', 'size'] as const;
export const ORDERS_NAMES = ['orders', 'no of orders', 'num_orders', 'number_of_orders'] as const;
