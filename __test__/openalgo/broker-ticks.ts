/**
 * Ticks as the adapters of six brokers put them on OpenAlgo's bus: the keys and the forms of their values, with numbers
 * of our own. OpenAlgo's server gives clients these dictionaries as they are.
 */

/** A dictionary of an adapter, and the name of the topic that it is published under. */
export interface AdapterTick {
  name: string;
  topic: string;
  tick: Record<string, unknown>;
}

const side = (levels: number, first: number, step: number) =>
  Array.from({ length: levels }, (_, level) => ({
    price: Math.round((first + level * step) * 100) / 100,
    quantity: 50 + level,
    orders: level + 1,
  }));
const book = (levels: number) => ({ buy: side(levels, 625.45, -0.05), sell: side(levels, 625.5, 0.05) });

const SECONDS = 1_795_600_799;
const MS = 1_795_600_799_123;
const OHLC = { open: 620, high: 630.25, low: 618.5, close: 621.1 };

const zerodha = { symbol: 'SBIN', exchange: 'NSE', ltp: 625.5, ltt: SECONDS, timestamp: MS };
const zerodhaQuote = {
  ...zerodha,
  mode: 'quote',
  volume: 1_234_567,
  last_quantity: 25,
  average_price: 624.37,
  total_buy_quantity: 90_000,
  total_sell_quantity: 85_000,
  ...OHLC,
  oi: 4_500,
  open_interest: 4_500,
};

export const BROKER_TICKS: readonly AdapterTick[] = [
  { name: 'zerodha, price', topic: 'NSE_SBIN_LTP', tick: { ...zerodha, mode: 'ltp' } },
  { name: 'zerodha, quote', topic: 'NSE_SBIN_QUOTE', tick: zerodhaQuote },
  { name: 'zerodha, full', topic: 'NSE_SBIN_DEPTH', tick: { ...zerodhaQuote, mode: 'full', depth: book(5) } },
  {
    name: 'zerodha, a full tick under the topic of its price',
    topic: 'NSE_SBIN_LTP',
    tick: { ...zerodha, mode: 'full' },
  },
  {
    name: 'zerodha, index',
    topic: 'NSE_INDEX_NIFTY_QUOTE',
    tick: {
      symbol: 'NIFTY',
      exchange: 'NSE_INDEX',
      mode: 'quote',
      ltp: 24_850.35,
      ltt: SECONDS,
      timestamp: MS,
      volume: 0,
      price_change: 0,
      price_change_percent: 0.35,
      ...OHLC,
      exchange_timestamp: SECONDS,
    },
  },
  {
    name: 'angel, price before the first trade',
    topic: 'NSE_RELIANCE_LTP',
    tick: { ltp: 1418.4, ltt: 0, symbol: 'RELIANCE', exchange: 'NSE', mode: 1, timestamp: MS },
  },
  {
    name: 'angel, quote of a client that subscribed to more',
    topic: 'NSE_RELIANCE_QUOTE',
    tick: {
      ltp: 1418.4,
      ltt: 1_795_600_799_000,
      volume: 5_000_000,
      ...OHLC,
      last_trade_quantity: 12,
      average_price: 1_417.25,
      total_buy_quantity: 300_000,
      total_sell_quantity: 280_000,
      symbol: 'RELIANCE',
      exchange: 'NSE',
      mode: 3,
      timestamp: MS,
    },
  },
  {
    name: 'angel, book',
    topic: 'MCX_GOLD_DEPTH',
    tick: {
      ltp: 1418.4,
      ltt: 1_795_600_799_000,
      volume: 5_000_000,
      ...OHLC,
      last_quantity: 12,
      oi: 77,
      upper_circuit: 690.2,
      lower_circuit: 560.8,
      depth: book(5),
      symbol: 'GOLD',
      exchange: 'MCX',
      mode: 3,
      timestamp: MS,
    },
  },
  {
    name: 'dhan, price',
    topic: 'NSE_TCS_LTP',
    tick: { symbol: 'TCS', exchange: 'NSE', timestamp: MS, mode: 1, ltp: 3_500, ltt: SECONDS },
  },
  {
    name: 'dhan, full',
    topic: 'NFO_NIFTY24DEC26FUT_DEPTH',
    tick: {
      symbol: 'NIFTY24DEC26FUT',
      exchange: 'NFO',
      timestamp: MS,
      mode: 3,
      ltp: 24_900.05,
      ltt: SECONDS,
      volume: 900,
      ...OHLC,
      oi: 12_000,
      oi_high: 12_500,
      oi_low: 11_000,
      depth: book(5),
      depth_level: 5,
    },
  },
  {
    name: 'dhan, twenty levels without a price',
    topic: 'NSE_TCS_DEPTH',
    tick: { symbol: 'TCS', exchange: 'NSE', mode: 3, timestamp: MS, depth: book(20), depth_level: 20 },
  },
  {
    name: 'dhan, the day before',
    topic: 'NSE_TCS_QUOTE',
    tick: { symbol: 'TCS', exchange: 'NSE', timestamp: MS, prev_close: 3_480.5, prev_oi: 0 },
  },
  {
    name: 'dhan, open interest alone',
    topic: 'NSE_TCS_QUOTE',
    tick: { symbol: 'TCS', exchange: 'NSE', timestamp: MS, oi: 44 },
  },
  {
    name: 'fyers, price',
    topic: 'NSE_SBIN_LTP',
    tick: {
      symbol: 'NSE:SBIN',
      exchange: 'NSE',
      token: '10100000003045',
      ltp: 625.5,
      timestamp: SECONDS,
      data_type: 'LTP',
    },
  },
  {
    name: 'fyers, quote',
    topic: 'NSE_SBIN_QUOTE',
    tick: {
      symbol: 'SBIN',
      exchange: 'NSE',
      token: '10100000003045',
      ltp: 625.5,
      ...OHLC,
      volume: 99,
      bid_price: 625.45,
      ask_price: 625.5,
      bid_size: 7,
      ask_size: 8,
      change: -2.35,
      change_percent: -0.37,
      average_price: 624.5,
      upper_circuit: 690.2,
      lower_circuit: 560.8,
      timestamp: SECONDS,
      data_type: 'Quote',
      update_type: 'update',
    },
  },
  {
    name: 'fyers, fifty levels',
    topic: 'NSE_TCS:50_DEPTH',
    tick: {
      symbol: 'TCS:50',
      exchange: 'NSE',
      token: '10100000011536',
      ltp: 3_500.25,
      depth: book(50),
      total_buy_qty: 1_000,
      total_sell_qty: 2_000,
      timestamp: SECONDS,
      feed_time: SECONDS,
      data_type: 'Depth',
      depth_levels: 50,
      is_50_depth: true,
    },
  },
  {
    name: 'upstox, price',
    topic: 'NSE_INFY_LTP',
    tick: { symbol: 'INFY', exchange: 'NSE', token: 'NSE_EQ|INE009A01021', ltp: 1_500, ltq: 3, ltt: MS, cp: 1_490.5 },
  },
  {
    name: 'upstox, quote',
    topic: 'NSE_INFY_QUOTE',
    tick: {
      symbol: 'INFY',
      exchange: 'NSE',
      token: 'NSE_EQ|INE009A01021',
      ...OHLC,
      ltp: 1_500,
      last_trade_quantity: 3,
      volume: 10,
      average_price: 1_499.5,
      total_buy_quantity: 5,
      total_sell_quantity: 6,
      timestamp: MS,
    },
  },
  {
    name: 'kotak, quote',
    topic: 'NSE_ITC_QUOTE',
    tick: { timestamp: MS, ltp: 410.3, ...OHLC, volume: 12_345, symbol: 'ITC', exchange: 'NSE' },
  },
  {
    name: 'kotak, book without a price',
    topic: 'NSE_ITC_DEPTH',
    tick: { timestamp: MS, depth: book(5), totalbuyqty: 10, totalsellqty: 20, symbol: 'ITC', exchange: 'NSE' },
  },
  {
    name: 'kotak, an empty book',
    topic: 'NSE_ITC_DEPTH',
    tick: {
      timestamp: MS,
      depth: { buy: [], sell: [] },
      totalbuyqty: 0,
      totalsellqty: 0,
      symbol: 'ITC',
      exchange: 'NSE',
    },
  },
];
