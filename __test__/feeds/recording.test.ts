import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { hasCode } from '../../src/errors.ts';
import { Recording, type MalformedLine, type RecordingOptions } from '../../src/feeds/recording.ts';
import type { Tick } from '../../src/message.ts';

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'openalgo-shm-recording-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const NIFTY = { symbol: 'NIFTY', exchange: 'NSE_INDEX' };

describe('CSV', () => {
  test('of timestamp,price is ticks of the symbol in the options, in India’s time', async () => {
    const { ticks } = await read('2022-09-20 09:00:01,17622.25\n2022-09-20 09:00:02,17341.75\n', NIFTY);
    expect(ticks).toEqual([
      { ...NIFTY, timestamp: Date.UTC(2022, 8, 20, 3, 30, 1), ltp: 17622.25 },
      { ...NIFTY, timestamp: Date.UTC(2022, 8, 20, 3, 30, 2), ltp: 17341.75 },
    ]);
  });

  test('may be in another time', async () => {
    const { ticks } = await read('2022-09-20 09:00:01,1\n', { ...NIFTY, utcOffset: 'Z' });
    expect(ticks[0]?.timestamp).toBe(Date.UTC(2022, 8, 20, 9, 0, 1));
  });

  test.each(['timestamp,price', 'Date,Price', 'datetime, ltp', 'time,last_price', '"timestamp","price"'])(
    'may begin with the header %s',
    async (header) => {
      const { ticks, recording } = await read(`${header}\n2022-09-20 09:00:01,5\n`, NIFTY);
      expect(ticks).toMatchObject([{ ...NIFTY, timestamp: Date.UTC(2022, 8, 20, 3, 30, 1), ltp: 5 }]);
      expect(recording.progress).toMatchObject({ lines: 2, passedOver: 1, malformed: 0 });
    },
  );

  test('has every field that the header names, under any of its names, and passes over other columns', async () => {
    const text = [
      'exchange,symbol,mode,price,Volume,open,high,low,close,open_interest,remark,last_trade_time',
      'NFO,NIFTY25NOV25FUT,quote,25010.5,1200,1,2,3,4,5,fine,1748426445',
      'NSE,SBIN,,812.3,,,,,,,,',
    ].join('\r\n');
    const { ticks, recording } = await read(text);
    expect(ticks).toMatchObject([
      {
        symbol: 'NIFTY25NOV25FUT',
        exchange: 'NFO',
        type: 2,
        ltp: 25010.5,
        volume: 1200,
        open: 1,
        high: 2,
        low: 3,
        close: 4,
        oi: 5,
        ltt: 1748426445000,
      },
      { symbol: 'SBIN', exchange: 'NSE', ltp: 812.3 },
    ]);
    expect([...recording.unknownKeys.keys()]).toEqual(['remark']);
  });

  test('may have quoted cells, with commas and quotes in them', async () => {
    const { ticks } = await read('symbol,remark,ltp\n"M&M", "a ""b"", c" ,"3,1"\n"M&M","a ""b"", c","31"\n');
    expect(ticks).toEqual([
      { symbol: 'M&M', ltp: 3.1 },
      { symbol: 'M&M', ltp: 31 },
    ]);
  });

  test('without a symbol anywhere asks for the option', async () => {
    await expect(read('2022-09-20 09:00:01,5\n')).rejects.toSatisfy(
      (error) => hasCode(error, 'ERR_INVALID_OPTION') && String(error).includes('symbol option'),
    );
  });

  test('goes on after malformed lines, and reports each with its number', async () => {
    const text = [
      'timestamp,price',
      '2022-09-20 09:00:01,5',
      '2022-09-20 09:00:02,cheap',
      '2022-09-20 09:00:03',
      '2022-02-30 09:00:04,6',
      '',
      '2022-09-20 09:00:05,',
      'a,"b',
      '2022-09-20 09:00:06,7',
    ].join('\n');
    const { ticks, malformed, recording } = await read(text, NIFTY);
    expect(ticks.map(({ ltp }) => ltp)).toEqual([5, 7]);
    expect(malformed.map(({ number, text: line, reason }) => [number, line, reason])).toEqual([
      [3, '2022-09-20 09:00:02,cheap', expect.stringContaining('ltp must be a number')],
      [4, '2022-09-20 09:00:03', expect.stringContaining('has 1 columns, expected 2: timestamp,ltp')],
      [5, '2022-02-30 09:00:04,6', expect.stringContaining('there is no such day')],
      [7, '2022-09-20 09:00:05,', expect.stringContaining('holds no value of a tick')],
      [8, 'a,"b', expect.stringContaining('quote')],
    ]);
    expect(recording.progress).toMatchObject({ lines: 9, malformed: 5, passedOver: 2 });
  });

  test('whose first line is neither header nor data still gives the rest', async () => {
    const { ticks, malformed } = await read('# exported on Tuesday,x\n2022-09-20 09:00:01,5\n', NIFTY);
    expect(ticks).toHaveLength(1);
    expect(malformed.map(({ number }) => number)).toEqual([1]);
  });
});

describe('lines of JSON', () => {
  test('may be the dictionaries of adapters', async () => {
    const { ticks } = await read('{"symbol":"SBIN","exchange":"NSE","mode":"ltp","ltp":625.5,"ltt":1748426445}\n');
    expect(ticks).toEqual([{ symbol: 'SBIN', exchange: 'NSE', type: 1, ltp: 625.5, ltt: 1748426445000 }]);
  });

  test('may be market_data messages, whose instrument counts, and whose tick keeps its own mode', async () => {
    const message = {
      type: 'market_data',
      symbol: 'TCS',
      exchange: 'NSE',
      mode: 1,
      seq: 9,
      data: { symbol: 'NSE:TCS', mode: 'full', last_price: 3085, depth: { buy: [], sell: [] } },
      broker: 'zerodha',
    };
    const bare = { ...message, mode: 2, data: { ltp: 3086 } };
    const { ticks } = await read(`${JSON.stringify(message)}\n${JSON.stringify(bare)}\n`);
    expect(ticks).toMatchObject([
      { symbol: 'TCS', exchange: 'NSE', type: 3, ltp: 3085, depth: { buy: [], sell: [] } },
      { symbol: 'TCS', exchange: 'NSE', type: 2, ltp: 3086 },
    ]);
  });

  test('may be of a whole session, whose other messages are passed over', async () => {
    const text = [
      '{"type":"auth","status":"success"}',
      '{"type":"subscribe","status":"success","subscriptions":[]}',
      '{"status":"error","code":"INVALID_MODE","message":"…"}',
      '{"type":"market_data","symbol":"TCS","exchange":"NSE","mode":1,"data":{"ltp":1}}',
      '{"type":"pong","status":"success"}',
    ].join('\n');
    const { ticks, recording } = await read(text);
    expect(ticks).toHaveLength(1);
    expect(recording.progress).toMatchObject({ lines: 5, passedOver: 4, malformed: 0 });
  });

  test('may have the NaN that Python writes', async () => {
    const { ticks } = await read('{"symbol":"TCS","ltp":NaN,"volume":5}\n');
    expect(ticks).toEqual([{ symbol: 'TCS', ltp: Number.NaN, volume: 5 }]);
  });

  test('take symbol and exchange from the options where they name none', async () => {
    const { ticks } = await read('{"ltp":1}\n{"symbol":"TCS","ltp":2}\n', NIFTY);
    expect(ticks).toEqual([
      { ...NIFTY, ltp: 1 },
      { symbol: 'TCS', exchange: 'NSE_INDEX', ltp: 2 },
    ]);
  });

  test('go on after malformed ones', async () => {
    const text = [
      '{"symbol":"TCS","ltp":1}',
      '{"symbol":"TCS","ltp":',
      '[1]',
      '{"ltp":1}',
      '{"symbol":"TCS"}',
      '{"type":"market_data","symbol":"TCS","mode":1}',
      `{"symbol":"${'S'.repeat(49)}","ltp":1}`,
      '{"symbol":"TCS","ltp":2}',
    ].join('\n');
    const { ticks, malformed } = await read(text);
    expect(ticks.map(({ ltp }) => ltp)).toEqual([1, 2]);
    expect(malformed.map(({ number, reason }) => [number, reason])).toEqual([
      [2, expect.stringContaining('is no JSON')],
      [3, expect.stringContaining('no object')],
      [4, expect.stringContaining('names no symbol')],
      [5, expect.stringContaining('holds no value')],
      [6, expect.stringContaining('without an object "data"')],
      [7, expect.stringContaining('symbol must be text of 1 to 48 bytes')],
    ]);
  });
});

describe('a recording', () => {
  test('that is strict ends at the first malformed line, with file and number, after the ticks before it', async () => {
    const file = write('2022-09-20 09:00:01,5\nbad line,\n2022-09-20 09:00:02,6\n');
    const ticks: Tick[] = [];
    const reading = collect(new Recording(file, { ...NIFTY, strict: true }), ticks);
    await expect(reading).rejects.toSatisfy(
      (error) => hasCode(error, 'ERR_MALFORMED_LINE') && String(error).includes(`${file}:2: `),
    );
    expect(ticks).toHaveLength(1);
  });

  test('goes on after a line that is too long to be one, and counts it', async () => {
    const long = 'x'.repeat(3 << 20);
    const { ticks, malformed } = await read(`2022-09-20 09:00:01,5\n${long}\n2022-09-20 09:00:02,6\n${long}`, NIFTY);
    expect(ticks.map(({ ltp }) => ltp)).toEqual([5, 6]);
    expect(malformed.map(({ number, reason }) => [number, reason])).toEqual([
      [2, 'is longer than 1 Mi characters'],
      [4, 'is longer than 1 Mi characters'],
    ]);
  });

  test.each([
    ['digits', `2022-09-20 09:00:01,${'1'.repeat(1_000_000)}x`],
    ['blanks before a stray quote', `2022-09-20 09:00:01,${' '.repeat(1_000_000)}a"`],
    ['quotes in a literal without an end', `{"ltp":NaN,"symbol":"${String.raw`\"`.repeat(500_000)}`],
  ])('is done at once with a million %s', async (_what, line) => {
    const { malformed } = await read(
      `${line.startsWith('{') ? '{"ltp":1}' : '2022-09-20 09:00:01,5'}\n${line}\n`,
      NIFTY,
    );
    expect(malformed.map(({ number }) => number)).toEqual([2]);
  });

  test('shows a long malformed line in part', async () => {
    const { malformed } = await read(`2022-09-20 09:00:01,5\n${'x'.repeat(5000)}\n`, NIFTY);
    expect(malformed[0]?.text).toHaveLength(200);
  });

  test('may begin with a byte order mark and end without a line end', async () => {
    const { ticks } = await read('\uFEFFtimestamp,price\r\n2022-09-20 09:00:01,5', NIFTY);
    expect(ticks).toHaveLength(1);
  });

  test('keeps lines and letters whole that lie across the pieces in which it is read', async () => {
    const lines = Array.from({ length: 20_000 }, (_, i) => JSON.stringify({ symbol: `₹é${i}`, ltp: i }));
    const { ticks } = await read(lines.join('\n'));
    expect(ticks).toEqual(lines.map((line) => JSON.parse(line)));
  });

  test('can be read again from the beginning, and knows how far it is', async () => {
    const recording = new Recording(write('timestamp,price\n2022-09-20 09:00:01,5\n2022-09-20 09:00:02,6\n'), NIFTY);
    const first = await collect(recording);
    expect(await collect(recording)).toEqual(first);
    const { lines, bytesRead, bytesTotal } = recording.progress;
    expect([lines, bytesRead]).toEqual([6, bytesTotal]);
  });

  test('that is empty has no ticks', async () => {
    expect((await read('')).ticks).toEqual([]);
  });

  test('must be a file that can be read', () => {
    for (const path of [join(folder, 'absent.csv'), folder]) {
      const refusal = { code: 'ERR_FILE', message: expect.stringContaining(path) };
      expect(() => new Recording(path, NIFTY)).toThrow(expect.objectContaining(refusal));
    }
  });

  test('without line ends is refused before it fills the memory', async () => {
    await expect(read('x'.repeat(3 << 20), NIFTY)).rejects.toSatisfy((error) => hasCode(error, 'ERR_FILE'));
  });
});

const sessions = ['../shared/data/nifty-ltp-2022-09-20.csv', '__test__/samples/index-ltp.csv'];
test.each(sessions.filter(existsSync))('every value of %s is read, in order', async (file) => {
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
  const ticks = await collect(new Recording(file, NIFTY));
  expect(ticks).toEqual(
    lines.map((line) => {
      const [time = '', price] = line.split(',');
      return { ...NIFTY, timestamp: Date.parse(`${time.replace(' ', 'T')}+05:30`), ltp: Number(price) };
    }),
  );
});

function write(text: string): string {
  const file = join(folder, 'recording');
  writeFileSync(file, text);
  return file;
}

async function read(text: string, options: RecordingOptions = {}) {
  const malformed: MalformedLine[] = [];
  const recording = new Recording(write(text), { onMalformedLine: (line) => malformed.push(line), ...options });
  return { recording, ticks: await collect(recording), malformed };
}

async function collect(recording: Recording, ticks: Tick[] = []): Promise<Tick[]> {
  for await (const run of recording.read()) {
    for (const tick of run) ticks.push(tick);
  }
  return ticks;
}
