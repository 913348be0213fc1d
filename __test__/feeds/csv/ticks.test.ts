import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { Recording, type MalformedLine, type RecordingOptions } from '../../../src/feeds/recording.ts';
import type { Tick } from '../../../src/message.ts';

const folder = mkdtempSync(join(tmpdir(), 'openalgo-shm-csv-'));
afterAll(() => rmSync(folder, { recursive: true }));

const AT = Date.parse('2024-01-02T09:15:01+05:30');

async function read(lines: readonly string[], options: RecordingOptions = {}) {
  const file = join(folder, 'table.csv');
  writeFileSync(file, lines.join('\n'));
  const malformed: MalformedLine[] = [];
  const recording = new Recording(file, { onMalformedLine: (line) => malformed.push(line), ...options });
  const ticks: Tick[] = [];
  for await (const run of recording.read()) ticks.push(...run);
  return { ticks, malformed, reasons: malformed.map(({ number, reason }) => `${number}: ${reason}`), recording };
}

describe('cells', () => {
  test.each([
    ['semicolons', ';'],
    ['tabs', '\t'],
    ['bars', '|'],
    ['commas', ','],
  ])('may be separated by %s, quoted or not', async (_what, mark) => {
    const { ticks } = await read([
      ['symbol', 'timestamp', '"ltp"', 'volume'].join(mark),
      ['A', '2024-01-02 09:15:01', '1.5', ''].join(mark),
      ['"B"', '"2024-01-02 09:15:01"', '', '7'].join(mark),
    ]);
    expect(ticks).toEqual([
      { symbol: 'A', timestamp: AT, ltp: 1.5 },
      { symbol: 'B', timestamp: AT, volume: 7 },
    ]);
  });

  test('of a file without a header may be, too', async () => {
    const { ticks } = await read(['2024-01-02 09:15:01;17622,25', '2024-01-02 09:15:01;17622'], { symbol: 'N' });
    expect(ticks.map(({ ltp }) => ltp)).toEqual([17622.25, 17622]);
  });

  test('are separated as Excel says in a first line', async () => {
    const { ticks } = await read(['sep=|', 'symbol|ltp', 'A|1.5'], {});
    expect(ticks).toEqual([{ symbol: 'A', ltp: 1.5 }]);
  });

  test('may hold line ends and marks, as the tables of exchanges do', async () => {
    const header = '"SYMBOL \n","LTP \n","% CHANGE\n(DAY)","VOLUME\n"';
    const { ticks, malformed } = await read([header, '"M&M","12,34,567.50","a;b","1,234"', '"B","2","",""']);
    expect(malformed).toEqual([]);
    expect(ticks).toEqual([
      { symbol: 'M&M', ltp: 1234567.5, volume: 1234 },
      { symbol: 'B', ltp: 2 },
    ]);
  });

  test('that are never closed cost the line that opens them, and none after it', async () => {
    const lines = ['symbol,ltp', 'A,"1', ...Array.from({ length: 200 }, (_, i) => `"B",${i}`), 'C,"9'];
    const { ticks, reasons } = await read(lines);
    expect(ticks.map(({ ltp }) => ltp)).toEqual(Array.from({ length: 200 }, (_, i) => i));
    expect(reasons).toEqual([
      expect.stringMatching(/^2: has a quote that is never closed/),
      expect.stringMatching(/^203: has a quote that is never closed/),
    ]);
  });

  test('between two stray quotes are not lost with them', async () => {
    const { ticks, reasons } = await read(['symbol,ltp', 'A,"1', 'B,2', 'C,3"', 'D,"x"y', '"E\nE",5', 'F,6', 'G,"']);
    expect(ticks.map(({ ltp }) => ltp)).toEqual([2, 6]);
    expect(reasons.map((reason) => reason.slice(0, 2))).toEqual(['2:', '4:', '5:', '6:', '7:', '9:']);
  });

  test.each(['_', ' ', '"', ',', ';', '1,', '1.', 'a"'])(
    'of a million times %j are done with at once',
    async (part) => {
      const long = part.repeat(500_000);
      const { ticks } = await read(['symbol,ltp', 'A,1', `${long}x`, 'B,2', `B,${long}x`, `B,1,${long}x`, 'C,3']);
      expect(ticks.map(({ ltp }) => ltp)).toEqual(expect.arrayContaining([1, 2]));
      await read([`symbol,ltp,${long}x`, `A,1,${long}x`]);
    },
  );

  test('may be fewer or more than the header’s only where they are empty', async () => {
    const { ticks, reasons } = await read(['symbol,ltp,', 'A,1,', 'B,2,,,', 'C', 'D,4,,5']);
    expect(ticks.map(({ symbol }) => symbol)).toEqual(['A', 'B']);
    expect(reasons).toEqual([expect.stringMatching(/^4: has 1 col/), expect.stringMatching(/^5: has 4 col/)]);
  });
});

describe('a header', () => {
  test.each(['Last Price', 'LAST_PRICE', 'lastPrice', 'LTP', 'Price', ' last price ', '<LTP>'])(
    'may say %j',
    async (name) => {
      const { ticks } = await read([`Symbol,DateTime,${name},Open Interest`, 'A,2024-01-02 09:15:01,1.5,9']);
      expect(ticks).toMatchObject([{ symbol: 'A', timestamp: AT, ltp: 1.5, oi: 9 }]);
    },
  );

  test('may be that of AmiBroker', async () => {
    const { ticks, malformed } = await read(['<TICKER>,<DATE>,<TIME>,<LAST>,<VOL>', 'A,20240102,09:15:01,1.5,7']);
    expect([ticks, malformed]).toEqual([[{ symbol: 'A', timestamp: AT, ltp: 1.5, volume: 7 }], []]);
  });

  test('may stand below a title, and come again where files were joined', async () => {
    const { ticks, reasons } = await read(['Prices of Tuesday,', 'symbol,ltp', 'A,1', 'symbol,ltp', 'A,2']);
    expect(ticks.map(({ ltp }) => ltp)).toEqual([1, 2]);
    expect(reasons).toEqual(['1: is neither a header nor "timestamp,price"']);
  });

  test('is no line of data that happens to hold a known word', async () => {
    const { ticks } = await read(['symbol,ltp,side', 'A,1.5,BUY', 'B,2.5,SELL']);
    expect(ticks.map(({ ltp }) => ltp)).toEqual([1.5, 2.5]);
  });

  test('names what is passed over, where no field is called so', async () => {
    const { recording } = await read(['symbol,ltp,side,remark', 'A,1,BUY,x']);
    expect([...recording.unknownKeys.keys()]).toEqual(['side', 'remark']);
  });
});

describe('times', () => {
  test.each([
    ['Date,Time', '2024-01-02,09:15:01'],
    ['Time,Date', '09:15:01,20240102'],
    ['date,timestamp', '02-01-2024,09:15:01'],
    ['Trade Date,Trade Time', '02-Jan-2024,9:15:01 AM'],
    ['Date', '2024-01-02 09:15:01'],
    ['time', '2024-01-02 09:15:01'],
    ['Date Time', '45293.385428'],
    ['timestamp,Date', '1704167101000,'],
    ['<DATE>,<TIME>', '20240102,091501'],
    ['<DTYYYYMMDD>,<TIME>', '20240102,91501'],
  ])('in %s, as %s', async (header, cells) => {
    const { ticks, malformed } = await read([`symbol,${header},LTP`, `A,${cells},1.5`]);
    expect([ticks, malformed]).toEqual([[{ symbol: 'A', timestamp: AT, ltp: 1.5 }], []]);
  });

  test('that are none are refused with the line, and 0 is none', async () => {
    const { ticks, reasons } = await read(['symbol,time,ltp', 'A,0,1', 'A,09:15:01,2', 'A,1.70417E+12,3', 'A,,4']);
    expect(ticks).toEqual([
      { symbol: 'A', ltp: 1 },
      { symbol: 'A', ltp: 4 },
    ]);
    expect(reasons).toEqual([
      expect.stringMatching(/^3: has the time "09:15:01": .*without a date/),
      expect.stringMatching(/^4: has the time "1.70417E\+12": its digits were cut off/),
    ]);
  });

  test('of the last trade and of the exchange are read as those of the tick', async () => {
    const { ticks } = await read([
      'symbol,ltp,last_trade_time,exchange_timestamp',
      'A,1,02-01-2024 09:15:01,20240102091501',
      'A,2,15:29:55,',
    ]);
    expect(ticks).toEqual([
      { symbol: 'A', ltp: 1, ltt: AT, exchangeTimestamp: AT },
      { symbol: 'A', ltp: 2 },
    ]);
  });
});

describe('numbers', () => {
  test('have a decimal comma where the file shows one', async () => {
    const { ticks } = await read(['symbol;ltp;volume', 'A;1,5;1.234', 'A;1,234;12', 'A;1.234,50;3']);
    expect(ticks).toEqual([
      { symbol: 'A', ltp: 1.5, volume: 1234 },
      { symbol: 'A', ltp: 1.234, volume: 12 },
      { symbol: 'A', ltp: 1234.5, volume: 3 },
    ]);
  });

  test('may have groups of digits, where that is all a comma can be', async () => {
    const { ticks } = await read(['symbol\tltp\tvolume', 'A\t1,234.50\t12,34,567', 'A\t0.5\t1,234']);
    expect(ticks).toEqual([
      { symbol: 'A', ltp: 1234.5, volume: 1234567 },
      { symbol: 'A', ltp: 0.5, volume: 1234 },
    ]);
  });

  test('that can be read in two ways are refused', async () => {
    const { ticks, reasons } = await read(['symbol;ltp', 'A;1,234', 'A;12']);
    expect(ticks.map(({ ltp }) => ltp)).toEqual([12]);
    expect(reasons).toEqual([expect.stringMatching(/^2: has the number "1,234": the comma may stand before/)]);
  });

  test('with a point are refused among those with a decimal comma', async () => {
    const { reasons } = await read(['symbol;ltp', 'A;1,5', 'A;1.5']);
    expect(reasons).toEqual([expect.stringMatching(/^3: has the number "1.5": the other numbers/)]);
  });

  test('that are wrongly grouped are refused', async () => {
    const { reasons } = await read(['symbol,ltp', 'A,"1,5"', 'A,"1,23,4"', 'A,1.25', 'A,1.5']);
    expect(reasons).toEqual([expect.stringMatching(/^2: ltp must be/), expect.stringMatching(/^3: ltp must be/)]);
  });
});

test('what pandas makes of a list of Kite’s ticks is read, books and prices of the day included', async () => {
  const depth = `"{'buy': [{'quantity': 5, 'price': 99.5, 'orders': 1}], 'sell': []}"`;
  const { ticks, malformed } = await read([
    ',tradable,mode,instrument_token,last_price,ohlc,exchange_timestamp,depth,tradingsymbol',
    `0,True,full,408065,1573.7,"{'open': 1569.15, 'high': 1575.0, 'low': 1561.05, 'close': 1567.8}",2024-01-02 09:15:01,${depth},INFY`,
  ]);
  expect(malformed).toEqual([]);
  expect(ticks).toMatchObject([
    {
      symbol: 'INFY',
      type: 3,
      tradable: 1,
      instrumentToken: 408065,
      ltp: 1573.7,
      open: 1569.15,
      close: 1567.8,
      exchangeTimestamp: AT,
      depth: { buy: [{ price: 99.5, quantity: 5, orders: 1 }], sell: [] },
    },
  ]);
});

describe('numbers of a file without decimals', () => {
  test('stay unclear where the beginning that is looked at ends within one', async () => {
    const header = 'symbol;ltp';
    const line = 'A;1,402';
    // The first 64 KiB end at `1,40`.
    const filled = `${header}\n`.length + 'A;1,40'.length;
    const lines = Math.floor((65_536 - filled) / (line.length + 1));
    const blanks = ' '.repeat((65_536 - filled) % (line.length + 1));
    const { ticks, reasons } = await read([header + blanks, ...Array.from({ length: lines + 5 }, () => line)]);
    expect(ticks).toEqual([]);
    expect(new Set(reasons.map((reason) => reason.replace(/^\d+/, '')))).toEqual(
      new Set([expect.stringContaining('the file does not show which')]),
    );
  });
});

test('the decimal mark is that of columns with numbers, whatever times and names have', async () => {
  const { ticks, reasons } = await read([
    'timestamp;symbol;remark;ltp',
    '1704167101.250;A;1,5;1402.125',
    '1704167101,250;A;2,5;1402.5',
  ]);
  expect(reasons).toEqual([]);
  expect(ticks.map(({ ltp, timestamp }) => [ltp, timestamp])).toEqual([
    [1402.125, 1_704_167_101_250],
    [1402.5, 1_704_167_101_250],
  ]);
  const unclear = await read(['timestamp;symbol;ltp', '1704167101.25;A;1,402', '1704167101.25;A;1,405']);
  expect(unclear.ticks).toEqual([]);
});

test('joined tables may have their columns in another order', async () => {
  const { ticks, malformed } = await read([
    'timestamp,symbol,ltp,volume',
    '2024-01-02 09:15:01,A,1402.5,7',
    'timestamp,symbol,volume,ltp',
    '2024-01-02 09:15:01,A,8,1402.6',
  ]);
  expect(malformed).toEqual([]);
  expect(ticks.map(({ ltp, volume }) => [ltp, volume])).toEqual([
    [1402.5, 7],
    [1402.6, 8],
  ]);
});

test('a timestamp that is a date alone has its time in the column beside it', async () => {
  const { ticks } = await read([
    'timestamp,time,symbol,ltp',
    '02-Jan-2024,09:15:01,A,1',
    '2024-01-02 00:00:00,09:15:01,A,1',
    '2024-01-02 09:15:01,23:59:59,A,1',
  ]);
  expect(ticks.map(({ timestamp }) => timestamp)).toEqual([AT, AT, AT]);
});

test('where commas separate cells, numbers in quotes that show a decimal comma make a thousand unclear', async () => {
  const { ticks, reasons } = await read(['symbol,ltp', 'USDINR,"83,1250"', 'USDINR,"83,125"', 'USDINR,83.12']);
  expect(ticks.map(({ ltp }) => ltp)).toEqual([83.125, 83.12]);
  expect(reasons).toEqual([expect.stringMatching(/^3: has the number "83,125": the comma may stand before/)]);
});

test('one number with another mark is refused alone', async () => {
  const { ticks, reasons } = await read(['symbol;ltp', 'A;1402,5', 'A;1402.50', 'A;1402.55', 'A;1402.60']);
  expect(ticks.map(({ ltp }) => ltp)).toEqual([1402.5, 1402.55, 1402.6]);
  expect(reasons).toEqual([expect.stringMatching(/^2: ltp must be a number/)]);
});
