import type { MarketData, Tick } from '../../src/message.ts';

const LTP = {
  ltp: 2875.35,
  volume: 8_412_311,
  ltt: 1_663_660_800_000,
  timestamp: 1_663_660_800_123,
} satisfies MarketData;

const QUOTE: MarketData = {
  ...LTP,
  type: 2,
  open: 2860,
  high: 2891.4,
  low: 2855.05,
  close: 2866.1,
  averagePrice: 2874.22,
  lastQuantity: 25,
  oi: 0,
  bid: 2875.3,
  ask: 2875.4,
  bidQty: 150,
  askQty: 210,
};

const side = (price: number): { price: number; quantity: number; orders: number }[] =>
  [0, 1, 2, 3, 4].map((level) => ({ price: price - level * 0.05, quantity: 100 + level, orders: 3 + level }));

const DEPTH: MarketData = { ...QUOTE, type: 3, depth: { buy: side(2875.3), sell: side(2875.6) } };

/** A tick of each kind, without its symbol. */
export const SHAPES = { LTP, quote: QUOTE, 'depth 5': DEPTH } as const;

/** As many different instruments as a watchlist has. */
export const SYMBOLS = Array.from({ length: 64 }, (_, i) => `SYMBOL${i}`);

/** One tick a symbol. */
export function batch(data: MarketData): Tick[] {
  return SYMBOLS.map((symbol) => ({ ...data, symbol, exchange: 'NSE' }));
}
