/** What a tick carries: 1 last traded price, 2 quote, 3 order book. */
export type Mode = 1 | 2 | 3;

/** The subscription modes of OpenAlgo's protocol, by name. */
export const MODE = { LTP: 1, QUOTE: 2, DEPTH: 3 } as const;

/** The names of the modes as OpenAlgo's protocol spells them, by mode. */
export const MODE_NAMES = { 1: 'LTP', 2: 'Quote', 3: 'Depth' } as const;

/** One price level of an order book. */
export interface DepthLevel {
  price: number;
  quantity: number;
  /** Number of orders at this price; 0 where the broker does not say. */
  orders?: number;
}

/** An order book, best price first on both sides. */
export interface MarketDepth {
  buy: readonly DepthLevel[];
  sell: readonly DepthLevel[];
}

/**
 * The numeric fields of a message in the order of their presence bits, and the name of each on the wire.
 * The ring crate holds the same table; a test keeps the two equal.
 */
export const FIELDS = [
  ['ltp', 'ltp'],
  ['volume', 'volume'],
  ['ltt', 'ltt'],
  ['timestamp', 'timestamp'],
  ['open', 'open'],
  ['high', 'high'],
  ['low', 'low'],
  ['close', 'close'],
  ['prevClose', 'prev_close'],
  ['averagePrice', 'average_price'],
  ['lastQuantity', 'last_quantity'],
  ['oi', 'oi'],
  ['bid', 'bid'],
  ['ask', 'ask'],
  ['bidQty', 'bid_qty'],
  ['askQty', 'ask_qty'],
  ['totalBuyQuantity', 'total_buy_quantity'],
  ['totalSellQuantity', 'total_sell_quantity'],
  ['change', 'change'],
  ['changePercent', 'change_percent'],
  ['upperCircuit', 'upper_circuit'],
  ['lowerCircuit', 'lower_circuit'],
  ['week52High', '52_week_high'],
  ['week52Low', '52_week_low'],
  ['oiDayHigh', 'oi_day_high'],
  ['oiDayLow', 'oi_day_low'],
  ['oiChange', 'oi_change'],
  ['seq', 'seq'],
  ['turnover', 'turnover'],
  ['instrumentToken', 'instrument_token'],
  ['tradable', 'tradable'],
  ['exchangeTimestamp', 'exchange_timestamp'],
] as const;

/** A numeric field's name in TypeScript. */
export type FieldName = (typeof FIELDS)[number][0];

/** Numeric fields of a tick. Prices in the instrument's currency, times in ms since 1970, absent is absent (not 0). */
export type TickFields = { [name in FieldName]?: number };

/** Values of a tick that no field holds, by their keys. */
export type TickMembers = Readonly<Record<string, string | number | boolean>>;

/** A tick as a publisher gives it. */
export interface MarketData extends TickFields {
  /** Mode of the tick. Default: 3 with a `depth`, 2 with any field beyond ltp, volume, ltt, timestamp and seq, else 1. */
  type?: Mode;
  /** Exchange, at most 16 bytes of UTF-8. Default: the publisher's `exchange` option, `NSE`. */
  exchange?: string;
  /** Order book, at most the ring's `depthLevels` a side. */
  depth?: MarketDepth;
  /**
   * The other names under which a broker's adapter sent the fields, as numbers of `SYNONYMS` in the ring crate's
   * `message/synonyms.rs`: clients get a value under each of its names. Set where adapters' ticks are normalised;
   * your own ticks need none.
   */
  synonyms?: readonly number[];
  /**
   * What an adapter wrote that no field says in the same form, by its keys: clients find it as it is among the fields,
   * under `ltt`, `timestamp`, `exchange_timestamp`, `mode`, `symbol` and `exchange` in their place (times in ms then have
   * the names `ltt_ms` and so on). Kept are 224 bytes together; what has no room is left out. Set where adapters' ticks
   * are normalised.
   */
  members?: TickMembers;
  /**
   * Marks the last value of another source, such as another proxy: how old its newest value is, ms. It is published as of
   * then, clients see it as a snapshot, and it changes no newer value.
   */
  ageMs?: number;
  /** With `ageMs`: how old its oldest value is, ms. Default: as old as the newest. */
  oldestAgeMs?: number;
}

/** A tick with its instrument, as feeds make it. */
export interface Tick extends MarketData {
  /** At most 48 bytes of UTF-8. */
  symbol: string;
}

/** Longest symbol and exchange, in bytes of UTF-8. */
export const MAX_SYMBOL_BYTES = 48;
export const MAX_EXCHANGE_BYTES = 16;

/** Most levels a side that any ring can be made for. */
export const MAX_DEPTH_LEVELS = 200;
