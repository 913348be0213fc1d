import { readFileSync, existsSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
import { OpenAlgoShmError, hasCode, type ErrorCode } from '../../src/errors.ts';
import { SYNONYMS } from '../../src/feeds/dialect-table.ts';
import { TickNormaliser, type KnownBeside, type RawTick } from '../../src/feeds/dialect.ts';
import { TestRing } from '../shm/test-ring.ts';
import { FIELDS, type DepthLevel, type FieldName, type Mode, type TickMembers } from '../../src/message.ts';

/** What a strict reader makes of a tick, but for the names that it came under. */
const normalise = (raw: RawTick) => {
  const { synonyms: _, ...tick } = new TickNormaliser({ strict: true }).normalise(raw);
  return tick;
};

interface Case {
  name: string;
  tick: RawTick;
  known?: boolean;
  error?: string;
  mode?: Mode;
  symbol?: string;
  exchange?: string;
  fields?: Record<string, number | 'NaN'>;
  depth?: { buy: number[][]; sell: number[][] };
  synonyms?: string[];
  members?: TickMembers;
  unknown?: string[];
  unreadable?: string[];
}

describe('the cases that Rust, TypeScript and Python share', () => {
  const cases: Case[] = JSON.parse(readFileSync('crates/dialect/tests/cases.json', 'utf8'));
  const wireNames = new Map<string, string>(FIELDS);
  const beside: KnownBeside = { symbol: 'SBIN', exchange: 'NSE', mode: 1 };
  const ring = new TestRing('dialect-cases');
  const publisher = ring.publisher({ nonFinite: 'pass' });
  const reader = ring.subscriber();
  afterAll(() => ring.end());

  test.each(cases)('$name', ({ tick: raw, known = false, error, ...expected }) => {
    const normaliser = new TickNormaliser({}, { carries: true });
    const read = () => normaliser.normalise(raw, known ? beside : {});
    if (error !== undefined) {
      expect(hasCode(thrownBy(read), error as ErrorCode)).toBe(true);
      return;
    }
    const tick = read();
    const { symbol, exchange, type, depth, synonyms = [], members: _, ...fields } = tick;
    const found = Object.entries(fields).map(([field, value]) => [
      wireNames.get(field),
      Number.isNaN(value) ? 'NaN' : value,
    ]);
    expect(Object.fromEntries(found)).toEqual(expected.fields);
    expect({ symbol, exchange }).toEqual({ symbol: expected.symbol, exchange: expected.exchange });
    // Where a tick states no mode, the publisher finds it by what the tick carries.
    if (type !== undefined) expect(type).toBe(expected.mode);
    const levels = (side: readonly DepthLevel[] = []) =>
      side.map(({ price, quantity, orders = 0 }) => [price, quantity, orders]);
    expect({ buy: levels(depth?.buy), sell: levels(depth?.sell) }).toEqual(expected.depth ?? { buy: [], sell: [] });
    expect(synonyms.map((number) => SYNONYMS[number]?.[1]).toSorted()).toEqual((expected.synonyms ?? []).toSorted());
    publisher.publishMarketData('SBIN', tick);
    expect(reader.poll().at(0)?.members ?? {}).toEqual(expected.members ?? {});
    expect([...normaliser.unknownKeys.keys()].toSorted()).toEqual((expected.unknown ?? []).toSorted());
    expect([...normaliser.unreadableKeys.keys()].toSorted()).toEqual((expected.unreadable ?? []).toSorted());
  });

  test.each(cases)('strictly: $name', ({ tick: raw, known = false, error, unreadable }) => {
    const read = () => new TickNormaliser({ strict: true }).normalise(raw, known ? beside : {});
    if (error === undefined && unreadable === undefined) read();
    else expect(thrownBy(read)).toBeInstanceOf(OpenAlgoShmError);
  });
});

describe('every name of a field is understood', () => {
  const names: [string, FieldName][] = [
    ['ltp', 'ltp'],
    ['last_price', 'ltp'],
    ['last_traded_price', 'ltp'],
    ['volume', 'volume'],
    ['volume_traded', 'volume'],
    ['open', 'open'],
    ['high', 'high'],
    ['low', 'low'],
    ['close', 'close'],
    ['prev_close', 'prevClose'],
    ['average_price', 'averagePrice'],
    ['avg_trade_price', 'averagePrice'],
    ['average_traded_price', 'averagePrice'],
    ['last_quantity', 'lastQuantity'],
    ['ltq', 'lastQuantity'],
    ['last_trade_quantity', 'lastQuantity'],
    ['last_traded_quantity', 'lastQuantity'],
    ['last_trade_qty', 'lastQuantity'],
    ['oi', 'oi'],
    ['open_interest', 'oi'],
    ['oi_change', 'oiChange'],
    ['oi_day_high', 'oiDayHigh'],
    ['oi_high', 'oiDayHigh'],
    ['oi_day_low', 'oiDayLow'],
    ['oi_low', 'oiDayLow'],
    ['bid', 'bid'],
    ['bid_price', 'bid'],
    ['best_bid_price', 'bid'],
    ['ask', 'ask'],
    ['ask_price', 'ask'],
    ['best_ask_price', 'ask'],
    ['bid_qty', 'bidQty'],
    ['bid_quantity', 'bidQty'],
    ['bid_size', 'bidQty'],
    ['best_bid_qty', 'bidQty'],
    ['ask_qty', 'askQty'],
    ['ask_quantity', 'askQty'],
    ['ask_size', 'askQty'],
    ['best_ask_quantity', 'askQty'],
    ['total_buy_quantity', 'totalBuyQuantity'],
    ['total_buy_qty', 'totalBuyQuantity'],
    ['totalbuyqty', 'totalBuyQuantity'],
    ['buy_quantity', 'totalBuyQuantity'],
    ['total_sell_quantity', 'totalSellQuantity'],
    ['total_sell_qty', 'totalSellQuantity'],
    ['totalsellqty', 'totalSellQuantity'],
    ['sell_quantity', 'totalSellQuantity'],
    ['change', 'change'],
    ['price_change', 'change'],
    ['change_percent', 'changePercent'],
    ['percent_change', 'changePercent'],
    ['change_percentage', 'changePercent'],
    ['price_change_percent', 'changePercent'],
    ['upper_circuit', 'upperCircuit'],
    ['lower_circuit', 'lowerCircuit'],
    ['52_week_high', 'week52High'],
    ['52_week_low', 'week52Low'],
    ['tot. traded value', 'turnover'],
    ['total_traded_value', 'turnover'],
    ['turnover', 'turnover'],
    ['instrument_token', 'instrumentToken'],
    ['seq', 'seq'],
  ];

  test.each(names)('%s is %s', (name, field) => {
    expect(normalise({ [name]: 12_345 })).toEqual({ [field]: 12_345 });
  });

  const times: [string, FieldName][] = [
    ['timestamp', 'timestamp'],
    ['ltt', 'ltt'],
    ['last_trade_time', 'ltt'],
    ['last_traded_time', 'ltt'],
    ['exchange_timestamp', 'exchangeTimestamp'],
    ['exchange_time', 'exchangeTimestamp'],
    ['feed_time', 'exchangeTimestamp'],
  ];

  test.each(times)('%s is %s, in milliseconds', (name, field) => {
    expect(normalise({ [name]: 1_748_426_445 })).toEqual({ [field]: 1_748_426_445_000 });
    expect(normalise({ [name]: 1_748_426_445_123 })).toEqual({ [field]: 1_748_426_445_123 });
    expect(normalise({ [name]: '2025-05-28T15:30:45+05:30' })).toEqual({ [field]: 1_748_426_445_000 });
  });

  test.each(FIELDS)('%s, the name in TypeScript, and %s, the name on the wire, carry the same value', (field, wire) => {
    const value = field === 'tradable' ? 1 : 1_748_426_445_123;
    expect(normalise({ [field]: value })).toEqual({ [field]: value });
    expect(normalise({ [wire]: value })).toEqual({ [field]: value });
  });
});

describe('a tick that has a field under several names', () => {
  test('keeps the wire name, wherever it stands', () => {
    expect(normalise({ last_price: 1, ltp: 2 })).toEqual({ ltp: 2 });
    expect(normalise({ ltp: 2, last_price: 1 })).toEqual({ ltp: 2 });
  });

  test('keeps the first of several synonyms', () => {
    expect(normalise({ ltq: 3, last_trade_quantity: 4 })).toEqual({ lastQuantity: 3 });
  });

  test('does not let an empty wire name hide a synonym', () => {
    expect(normalise({ oi: null, open_interest: 5 })).toEqual({ oi: 5 });
  });
});

describe('modes', () => {
  test.each([
    [1, 1],
    [2, 2],
    [3, 3],
    ['ltp', 1],
    ['LTP', 1],
    ['quote', 2],
    ['Quote', 2],
    ['full', 3],
    ['FULL', 3],
    ['depth', 3],
    ['Depth', 3],
    ['2', 2],
  ])('%j is mode %d', (mode, expected) => {
    expect(normalise({ mode })).toEqual({ type: expected });
  });

  test.each([0, 4, 1.5, true, 'snap'])('%j is refused', (mode) => {
    expect(() => normalise({ mode })).toThrow(/mode must be 1, 2, 3, ltp, quote, full or depth/);
  });

  test('mode wins over type, and a type that is no mode is passed over', () => {
    expect(normalise({ type: 1, mode: 'full' })).toEqual({ type: 3 });
    expect(normalise({ mode: 'full', type: 1 })).toEqual({ type: 3 });
    expect(normalise({ type: 'market_depth', ltp: 1 })).toEqual({ ltp: 1 });
  });
});

describe('books', () => {
  const depth = { buy: [{ price: 99.5, quantity: 10, orders: 2 }], sell: [{ price: 100.5, quantity: 20, orders: 3 }] };

  test('depth with buy and sell is kept as it is', () => {
    expect(normalise({ depth })).toEqual({ depth });
  });

  test('bids and asks beside the other fields make the same book', () => {
    expect(normalise({ asks: depth.sell, ltp: 100, bids: depth.buy })).toEqual({ ltp: 100, depth });
  });

  test('bids and asks inside depth make the same book', () => {
    expect(normalise({ depth: { bids: depth.buy, asks: depth.sell } })).toEqual({ depth });
  });

  test('buy and sell beside the other fields make the same book', () => {
    expect(normalise({ buy: depth.buy, sell: depth.sell })).toEqual({ depth });
  });

  test('a whole book wins over single sides', () => {
    expect(normalise({ bids: [], depth, asks: [{ price: 1, quantity: 1 }] })).toEqual({ depth });
  });

  test('levels may call the quantity size or qty, may be text, and need no orders', () => {
    const bids = [
      { price: '99.5', size: 10 },
      { price: 99, qty: '7' },
    ];
    expect(normalise({ bids })).toEqual({
      depth: {
        buy: [
          { price: 99.5, quantity: 10 },
          { price: 99, quantity: 7 },
        ],
        sell: [],
      },
    });
  });

  test('levels may be arrays', () => {
    expect(normalise({ bids: [['99.5', 10, 2]], asks: [[100.5, 20, 3]] })).toEqual({ depth });
  });

  test('empty levels that pad a book are kept, since they are what the broker says', () => {
    const padded = { buy: [{ price: 0, quantity: 0, orders: 0 }], sell: [] };
    expect(normalise({ depth: padded })).toEqual({ depth: padded });
  });

  test('fifty levels a side pass', () => {
    const side = Array.from({ length: 50 }, (_, level) => ({ price: 100 - level, quantity: 1, orders: 1 }));
    expect(normalise({ depth: { buy: side, sell: [] } }).depth?.buy).toHaveLength(50);
  });
});

describe('values', () => {
  test('numbers may be text', () => {
    expect(normalise({ ltp: ' 1573.70 ', volume: '1e6', oi: '-5' })).toEqual({ ltp: 1573.7, volume: 1e6, oi: -5 });
  });

  test('numbers may be bigint', () => {
    expect(normalise({ volume: 5_000_000_000n })).toEqual({ volume: 5_000_000_000 });
  });

  test.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 'NaN', 'nan', '-Infinity', 'inf'])(
    '%j travels as NaN',
    (value) => {
      expect(normalise({ ltp: value })).toEqual({ ltp: Number.NaN });
    },
  );

  test.each([null, undefined, '', '-'])('%j is absent', (value) => {
    expect(normalise({ ltp: 1, oi: value, timestamp: value, depth: value, symbol: value, mode: value })).toEqual({
      ltp: 1,
    });
  });

  test('zero is a value', () => {
    expect(normalise({ oi: 0, volume: '0' })).toEqual({ oi: 0, volume: 0 });
  });

  test('tradable is 1 or 0', () => {
    expect(normalise({ tradable: true })).toEqual({ tradable: 1 });
    expect(normalise({ tradable: false })).toEqual({ tradable: 0 });
  });

  test('a token that is text is counted as unknown, not refused', () => {
    const normaliser = new TickNormaliser({}, { carries: true });
    expect(normaliser.normalise({ instrument_token: 'NSE_EQ|INE002A01018', ltp: 1 })).toEqual({
      ltp: 1,
      members: { instrument_token: 'NSE_EQ|INE002A01018' },
    });
    expect([...normaliser.unknownKeys]).toEqual([['instrument_token', 1]]);
  });

  test('times without a zone are taken in the zone of the options', () => {
    const utc = new TickNormaliser({ utcOffset: 'Z' });
    expect(utc.normalise({ timestamp: '2025-05-28 10:00:45' })).toEqual({ timestamp: 1_748_426_445_000 });
    expect(normalise({ timestamp: '2025-05-28 15:30:45' })).toEqual({ timestamp: 1_748_426_445_000 });
  });
});

describe('ticks of real adapters', () => {
  test('zerodha, LTP: mode by name, trade time in seconds', () => {
    expect(
      normalise({
        symbol: 'SBIN',
        exchange: 'NSE',
        mode: 'ltp',
        ltp: 625.5,
        ltt: 1748426445,
        timestamp: 1748426445123,
      }),
    ).toEqual({ symbol: 'SBIN', exchange: 'NSE', type: 1, ltp: 625.5, ltt: 1748426445000, timestamp: 1748426445123 });
  });

  test('dhan, 20 levels: no ltp at all', () => {
    const side = Array.from({ length: 20 }, (_, level) => ({ price: 100 + level, quantity: 1, orders: 1 }));
    const depth = { buy: side, sell: side };
    expect(
      normalise({ symbol: 'TCS', exchange: 'NSE', mode: 3, timestamp: 1748426445123, depth, depth_level: 20 }),
    ).toEqual({ symbol: 'TCS', exchange: 'NSE', type: 3, timestamp: 1748426445123, depth });
  });

  test('fyers, 50 levels: time in seconds, the suffix stays in the symbol', () => {
    expect(
      normalise({ symbol: 'TCS:50', exchange: 'NSE', ltp: 3000, timestamp: 1748426445, total_buy_qty: 9 }),
    ).toEqual({
      symbol: 'TCS:50',
      exchange: 'NSE',
      ltp: 3000,
      timestamp: 1748426445000,
      totalBuyQuantity: 9,
    });
  });

  const kiteTicks = ['../shared/data/kite-ticker-full.json', '__test__/samples/kite-tick.json'];
  test.each(kiteTicks.filter(existsSync))("Kite's own full tick gives every value back (%s)", (path) => {
    const raw = JSON.parse(readFileSync(path, 'utf8'));
    const normaliser = new TickNormaliser();
    expect(normaliser.normalise(raw)).toMatchObject({
      type: 3,
      tradable: 1,
      instrumentToken: raw.instrument_token,
      ltp: raw.last_price,
      lastQuantity: raw.last_quantity,
      averagePrice: raw.average_price,
      volume: raw.volume,
      totalBuyQuantity: raw.buy_quantity,
      totalSellQuantity: raw.sell_quantity,
      open: raw.ohlc.open,
      high: raw.ohlc.high,
      low: raw.ohlc.low,
      close: raw.ohlc.close,
      ltt: Date.parse(raw.last_trade_time),
      timestamp: Date.parse(raw.timestamp),
      oi: raw.oi,
      oiDayHigh: raw.oi_day_high,
      oiDayLow: raw.oi_day_low,
      change: raw.change,
      depth: raw.depth,
    });
    expect(normaliser.unknownKeys.size).toBe(0);
  });
});

describe('a time of day without a date', () => {
  test('costs no tick: it is counted, and stays as it is', () => {
    const normaliser = new TickNormaliser({}, { carries: true });
    expect(normaliser.normalise({ ltp: 1402.5, last_trade_time: '15:29:55', timestamp: 1748426445123 })).toEqual({
      ltp: 1402.5,
      timestamp: 1748426445123,
      members: { last_trade_time: '15:29:55' },
    });
    expect([...normaliser.unknownKeys]).toEqual([['last_trade_time', 1]]);
  });

  test('is no timestamp of the tick itself', () => {
    expect(() => normalise({ ltp: 1, timestamp: '09:15:00' })).toThrow(/timestamp must be seconds or milliseconds/);
  });
});

describe('what cannot be understood', () => {
  test('an unknown key is counted, and stays as it is', () => {
    const normaliser = new TickNormaliser({}, { carries: true });
    for (let i = 0; i < 3; i++) {
      expect(normaliser.normalise({ ltp: 1, weather: 'fine' })).toEqual({ ltp: 1, members: { weather: 'fine' } });
    }
    expect([...normaliser.unknownKeys]).toEqual([['weather', 3]]);
  });

  test('endless new keys do not fill the memory', () => {
    const normaliser = new TickNormaliser();
    for (let i = 0; i < 10_000; i++) normaliser.normalise({ [`key${i}`]: 1 });
    expect(normaliser.unknownKeys.size).toBe(256);
  });

  test.each<[string, RawTick, RegExp]>([
    ['a price that is a word', { ltp: 'high' }, /ltp must be a number or text with a number, got "high"/],
    ['a price that is a boolean', { last_price: true }, /last_price must be a number.*got boolean true/],
    ['a price that is an object', { ltp: {} }, /ltp must be .*got a value of type object/],
    ['a time that is none', { ltt: '25 o’clock' }, /ltt must be seconds or milliseconds.*got "25 o’clock"/],
    ['a book that is an array', { depth: [1] }, /depth must be an object, got an array of 1/],
    ['a side that is a number', { depth: { buy: 1 } }, /depth\.buy must be an array of price levels, got number 1/],
    ['a level that is a number', { bids: [1] }, /bids\[0\] must be an object/],
    [
      'a level without a price',
      { depth: { sell: [{ quantity: 1 }] } },
      /depth\.sell\[0\]\.price must be .*got undefined/,
    ],
    ['prices of the day that are none', { ohlc: { open: 'x' } }, /ohlc\.open must be a number/],
    ['a flag that is neither', { tradable: 'perhaps' }, /tradable must be true or false, got "perhaps"/],
  ])('%s is refused, with the key, what was found and what was expected', (_what, raw, message) => {
    const error = thrownBy(() => normalise(raw));
    expect(hasCode(error, 'ERR_INVALID_FIELD')).toBe(true);
    expect(String(error)).toMatch(message);
  });

  test.each<[string, RawTick]>([
    ['a symbol of 49 bytes', { symbol: 'S'.repeat(49) }],
    ['a symbol of 17 letters that take 51 bytes', { symbol: '₹'.repeat(17) }],
    ['a symbol that is a number', { symbol: 5 }],
    ['an exchange of 17 bytes', { exchange: 'E'.repeat(17) }],
  ])('%s is refused', (_what, raw) => {
    expect(
      hasCode(
        thrownBy(() => normalise(raw)),
        'ERR_INVALID_SYMBOL',
      ),
    ).toBe(true);
  });

  test('a symbol of 48 bytes and an exchange of 16 pass', () => {
    const names = { symbol: '₹'.repeat(16), exchange: 'E'.repeat(16) };
    expect(normalise(names)).toEqual(names);
  });

  test.each([null, 5, 'tick', []])('a tick that is %j is refused', (raw) => {
    expect(
      hasCode(
        thrownBy(() => normalise(raw as unknown as RawTick)),
        'ERR_INVALID_FIELD',
      ),
    ).toBe(true);
  });
});

function thrownBy(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
  throw new Error('nothing was thrown');
}
