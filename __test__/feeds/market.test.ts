import { describe, expect, test } from 'vitest';
import { hasCode } from '../../src/errors.ts';
import { simulatedInstruments } from '../../src/feeds/instruments.ts';
import { SimulatedMarket, type SimulatedMarketOptions } from '../../src/feeds/market.ts';
import { MAX_EXCHANGE_BYTES, MAX_SYMBOL_BYTES, type Tick } from '../../src/message.ts';

const MORNING = Date.UTC(2025, 10, 3, 4, 0);

/** A market with a clock of its own that goes on by one millisecond a tick. */
function market(options: SimulatedMarketOptions = {}): SimulatedMarket {
  let time = MORNING;
  return new SimulatedMarket({ seed: 7, now: () => time++, ...options });
}

const session = market().take(20_000);
const quotes = session.filter((tick) => (tick.type ?? 1) > 1);
const traded = quotes.filter((tick) => tick.exchange !== 'NSE_INDEX');
const books = session.filter((tick) => tick.depth !== undefined && tick.exchange !== 'NSE_INDEX');

describe('the instruments', () => {
  test('include the best known of each kind', () => {
    const names = market().instruments.map(({ exchange, symbol }) => `${exchange}:${symbol}`);
    expect(names).toEqual(
      expect.arrayContaining([
        'NSE:RELIANCE',
        'NSE:TCS',
        'NSE:INFY',
        'NSE_INDEX:NIFTY',
        'NSE_INDEX:BANKNIFTY',
        'NFO:NIFTY25NOV25FUT',
        'NFO:NIFTY25NOV2524500CE',
        'NFO:NIFTY25NOV2524500PE',
      ]),
    );
    expect(names).toHaveLength(56);
  });

  test.each([1, 5, 56, 57, 3000, 20_000])(
    'are as many as asked for: %d, all different, all within a message',
    (count) => {
      const instruments = simulatedInstruments(MORNING, count);
      expect(new Set(instruments.map(({ symbol }) => symbol)).size).toBe(count);
      expect(Math.max(...instruments.map(({ symbol }) => symbol.length))).toBeLessThanOrEqual(MAX_SYMBOL_BYTES);
      expect(Math.max(...instruments.map(({ exchange }) => exchange.length))).toBeLessThanOrEqual(MAX_EXCHANGE_BYTES);
    },
  );

  test('have their underlying among them, before them', () => {
    const seen = new Set<string>();
    for (const instrument of simulatedInstruments(MORNING, 5000)) {
      if ('underlying' in instrument) expect(seen.has(instrument.underlying.symbol), instrument.symbol).toBe(true);
      seen.add(instrument.symbol);
    }
  });

  test.each([
    ['the next expiry', Date.UTC(2025, 10, 3), 'NIFTY25NOV25FUT'],
    ['expiry day itself', Date.UTC(2025, 10, 25, 9), 'NIFTY25NOV25FUT'],
    ['the day after, the month after', Date.UTC(2025, 10, 26, 4), 'NIFTY30DEC25FUT'],
    ['the end of the year, the year after', Date.UTC(2025, 11, 31), 'NIFTY27JAN26FUT'],
  ])('on %s expire on a last Tuesday', (_when, today, future) => {
    expect(simulatedInstruments(today).map(({ symbol }) => symbol)).toContain(future);
  });

  test.each([0, -1, 1.5, 100_001, Number.NaN])('cannot be %d', (symbols) => {
    expect(refusal({ symbols })).toMatch(/symbols must be a whole number from 1 to 100000/);
  });
});

describe('the market', () => {
  test('with the same seed is the same, with another another', () => {
    expect(market().take(500)).toEqual(market().take(500));
    expect(market({ seed: 8 }).take(500)).not.toEqual(market().take(500));
  });

  test('shows each instrument whole before anything else', () => {
    const { instruments } = market();
    const opening = session.slice(0, instruments.length);
    expect(opening.map(({ symbol }) => symbol)).toEqual(instruments.map(({ symbol }) => symbol));
    expect(opening.every((tick) => tick.type === 3 && tick.depth !== undefined)).toBe(true);
  });

  test('sends every instrument in all three modes', () => {
    const kinds = new Set(session.map((tick) => `${tick.symbol} ${tick.type}`));
    expect(kinds.size).toBe(3 * market().instruments.length);
  });

  test('stamps ticks with its clock', () => {
    expect(session.every((tick, i) => i === 0 || tick.timestamp === (session[i - 1]?.timestamp ?? 0) + 1)).toBe(true);
  });

  test.each([-1, 201, 2.5])('refuses books of %d levels', (depthLevels) => {
    expect(refusal({ depthLevels })).toMatch(/depthLevels must be a whole number from 0 to 200/);
  });

  test('refuses a seed that is no whole number', () => {
    expect(refusal({ seed: 0.5 })).toMatch(/seed must be a whole number/);
  });
});

describe('prices', () => {
  test('are multiples of 0.05, exactly as decimal text spells them', () => {
    const asSpelled = (price = 0) => price === Number((Math.round(price * 20) / 20).toFixed(2));
    const odd = session.filter(({ ltp, bid, ask, open, high, low, close }) => {
      return ![ltp, bid, ask, open, high, low, close].every(asSpelled);
    });
    expect(odd).toEqual([]);
  });

  test('move', () => {
    for (const symbol of ['RELIANCE', 'NIFTY', 'NIFTY25NOV25FUT', 'NIFTY25NOV2524500CE']) {
      expect(new Set(of(symbol, session).map((tick) => tick.ltp)).size, symbol).toBeGreaterThan(10);
    }
  });

  test('stay within the circuits', () => {
    expect(traded.filter((tick) => !(tick.ltp! >= tick.lowerCircuit! && tick.ltp! <= tick.upperCircuit!))).toEqual([]);
  });

  test('have a best bid below the best ask, and the last trade is at one of them', () => {
    expect(traded.filter(({ bid, ask }) => !(bid! > 0 && bid! < ask!))).toEqual([]);
    expect(traded.filter(({ ltp, bid, ask }) => ltp !== bid && ltp !== ask)).toEqual([]);
  });

  test('have a high and a low that hold them', () => {
    expect(quotes.filter(({ high, ltp, open }) => !(high! >= ltp! && high! >= open!))).toEqual([]);
    expect(quotes.filter(({ low, ltp, open }) => !(low! <= ltp! && low! <= open!))).toEqual([]);
  });

  test('have a change that agrees with the previous close', () => {
    expect(quotes.filter((tick) => !(Math.abs(tick.prevClose! + tick.change! - tick.ltp!) < 1e-6))).toEqual([]);
  });

  test('of a future follow its underlying', () => {
    const future = of('NIFTY25NOV25FUT', session).at(-1)?.ltp as number;
    const index = of('NIFTY', session).at(-1)?.ltp as number;
    expect(future / index).toBeGreaterThan(1);
    expect(future / index).toBeLessThan(1.01);
  });

  test('of calls fall and of puts rise with the strike', () => {
    const last = (symbol: string) => of(symbol, session).at(-1)?.ltp as number;
    expect(last('NIFTY25NOV2524400CE')).toBeGreaterThan(last('NIFTY25NOV2524600CE'));
    expect(last('NIFTY25NOV2524400PE')).toBeLessThan(last('NIFTY25NOV2524600PE'));
  });

  test('stay where they are believable however long the market runs', () => {
    const long = market({ symbols: 1 })
      .take(300_000)
      .map((tick) => tick.ltp as number);
    expect(Math.max(...long.slice(-1000)) / (long[0] as number)).toBeLessThan(1.1);
    expect(Math.min(...long.slice(-1000)) / (long[0] as number)).toBeGreaterThan(0.9);
  });
});

describe('the figures of the day', () => {
  test('have a volume that only grows, by the last quantity and more', () => {
    for (const { symbol } of market().instruments) {
      const ticks = of(symbol, session);
      const shrunk = ticks.filter(
        (tick, i) => !(tick.volume! >= (ticks[i - 1]?.volume ?? 0) + (tick.lastQuantity ?? 0)),
      );
      expect(shrunk, symbol).toEqual([]);
    }
  });

  test('have an average price between low and high', () => {
    const between = (tick: Tick) => tick.averagePrice! >= tick.low! - 0.005 && tick.averagePrice! <= tick.high! + 0.005;
    expect(traded.filter((tick) => !between(tick))).toEqual([]);
  });

  test('have open interest in contracts only, with the highest and lowest of the day', () => {
    const contracts = quotes.filter((tick) => tick.exchange === 'NFO');
    expect(contracts.filter(({ oi, oiDayHigh, oiDayLow }) => !(oi! <= oiDayHigh! && oi! >= oiDayLow!))).toEqual([]);
    expect(quotes.filter((tick) => tick.exchange !== 'NFO' && tick.oi !== undefined)).toEqual([]);
  });
});

describe('books', () => {
  test('have the quote on top', () => {
    const differ = books.filter(({ depth, bid, ask, bidQty, askQty }) => {
      const [buy, sell] = [depth!.buy[0]!, depth!.sell[0]!];
      return buy.price !== bid || sell.price !== ask || buy.quantity !== bidQty || sell.quantity !== askQty;
    });
    expect(differ).toEqual([]);
  });

  test('have prices that get worse level by level', () => {
    expect(books.filter(({ depth }) => !isRising(depth!.buy.map(({ price }) => -price)))).toEqual([]);
    expect(books.filter(({ depth }) => !isRising(depth!.sell.map(({ price }) => price)))).toEqual([]);
  });

  test('have a quantity and orders on every level, and totals that cover what is seen', () => {
    const levels = books.flatMap(({ depth }) => [...depth!.buy, ...depth!.sell]);
    expect(levels.filter(({ quantity, orders }) => !(quantity > 0 && orders! > 0))).toEqual([]);
    expect(books.filter((tick) => !(tick.totalBuyQuantity! > sum(tick.depth!.buy)))).toEqual([]);
    expect(books.filter((tick) => !(tick.totalSellQuantity! > sum(tick.depth!.sell)))).toEqual([]);
  });

  test.each([0, 1, 5, 20, 200])('have %d levels where the circuits leave room', (depthLevels) => {
    const ticks = market({ depthLevels, symbols: 1 }).take(30);
    const depths = ticks.flatMap(({ depth }) => (depth === undefined ? [] : [depth]));
    expect(depths.length).toBe(10);
    for (const { buy, sell } of depths) expect([buy.length, sell.length]).toEqual([depthLevels, depthLevels]);
  });

  test('of an index are empty', () => {
    const index = of('NIFTY', session).filter((tick) => tick.type === 3);
    expect(index.length).toBeGreaterThan(0);
    for (const tick of index) expect(tick.depth).toEqual({ buy: [], sell: [] });
  });
});

function of(symbol: string, ticks: readonly Tick[]): Tick[] {
  return ticks.filter((tick) => tick.symbol === symbol);
}

function sum(levels: readonly { quantity: number }[] = []): number {
  return levels.reduce((total, { quantity }) => total + quantity, 0);
}

function isRising(prices: readonly number[] = []): boolean {
  return prices.every((price, i) => i === 0 || price > (prices[i - 1] as number));
}

function refusal(options: SimulatedMarketOptions): string {
  try {
    market(options);
  } catch (error) {
    if (hasCode(error, 'ERR_INVALID_OPTION')) return String(error);
    throw error;
  }
  throw new Error('the market was made');
}
