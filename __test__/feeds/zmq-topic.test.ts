import { describe, expect, test } from 'vitest';
import { parseTopic } from '../../src/feeds/zmq-topic.ts';

describe("a topic of OpenAlgo's bus", () => {
  test.each([
    ['NSE_RELIANCE_LTP', 'NSE', 'RELIANCE', 1],
    ['NFO_NIFTY28APR2425000CE_DEPTH', 'NFO', 'NIFTY28APR2425000CE', 3],
    ['NSE_INDEX_NIFTY_QUOTE', 'NSE_INDEX', 'NIFTY', 2],
    ['BSE_INDEX_SENSEX_LTP', 'BSE_INDEX', 'SENSEX', 1],
    ['MCX_INDEX_MCXBULLDEX_QUOTE', 'MCX_INDEX', 'MCXBULLDEX', 2],
    ['GLOBAL_INDEX_S&P 500_LTP', 'GLOBAL_INDEX', 'S&P 500', 1],
    ['CRYPTO_SOL_INR_LTP', 'CRYPTO', 'SOL_INR', 1],
    ['NSE_TCS:50_DEPTH', 'NSE', 'TCS:50', 3],
    ['NSE_M&M-BE_LTP', 'NSE', 'M&M-BE', 1],
    ['NSE_BSE_LTP', 'NSE', 'BSE', 1],
    ['BSE_MCX_QUOTE', 'BSE', 'MCX', 2],
    ['NSE_INDEX_LTP', 'NSE', 'INDEX', 1],
    ['FLATTRADE_NSE_RELIANCE_LTP', 'NSE', 'RELIANCE', 1],
    ['zerodha_NSE_INDEX_NIFTY_QUOTE', 'NSE_INDEX', 'NIFTY', 2],
    ['delta_CRYPTO_SOL_INR_DEPTH', 'CRYPTO', 'SOL_INR', 3],
    ['NASDAQ_AAPL_LTP', 'NASDAQ', 'AAPL', 1],
  ])('%s is the tick of %s %s', (topic, exchange, symbol, mode) => {
    expect(parseTopic(topic)).toEqual({ kind: 'tick', exchange, symbol, mode });
  });

  test.each([
    ['ZERODHA_some_user_orders', { kind: 'orders', userId: 'some_user', mode: 'live', broker: 'zerodha' }],
    ['ANALYZE_some_user_orders', { kind: 'orders', userId: 'some_user', mode: 'analyze' }],
    ['CACHE_INVALIDATE_ALL_some_user', { kind: 'cache' }],
    ['CACHE_INVALIDATE_FEED_LTP', { kind: 'cache' }],
    ['ZERODHA_some_user_positions', { kind: 'positions' }],
    ['ZERODHA_some_user_margins', { kind: 'margins' }],
  ])('%s is no tick', (topic, expected) => {
    expect(parseTopic(topic)).toEqual(expected);
  });

  test.each([
    '',
    'LTP',
    '_LTP',
    'NSE_LTP',
    'NSE__LTP',
    'orders',
    'ZERODHA_orders',
    'NSE_RELIANCE',
    'NSE_RELIANCE_FULL',
  ])('%j is none', (topic) => {
    expect(parseTopic(topic)).toBeUndefined();
  });
});
