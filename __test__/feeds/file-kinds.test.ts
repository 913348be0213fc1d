import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { fileWriter, parquetWrite } from 'hyparquet-writer';
import { afterAll, describe, expect, test } from 'vitest';
import { Recording, type MalformedLine, type RecordingOptions } from '../../src/feeds/recording.ts';
import type { Tick } from '../../src/message.ts';

const folder = mkdtempSync(join(tmpdir(), 'openalgo-shm-kinds-'));
afterAll(() => rmSync(folder, { recursive: true }));

const A = { symbol: 'A', ltp: 1.5 };
const B = { symbol: '₹é', ltp: 2 };
const CSV = 'symbol,ltp\r\nA,1.5\r\n₹é,2\r\n';
const LINES = `${JSON.stringify(A)}\n${JSON.stringify(B)}\n`;
const ARRAY = JSON.stringify([A, B], undefined, 2);

/** A file whose name says nothing about it. */
function write(bytes: string | Buffer): string {
  const file = join(folder, 'file');
  writeFileSync(file, bytes);
  return file;
}

async function read(bytes: string | Buffer, options: RecordingOptions = {}) {
  const malformed: MalformedLine[] = [];
  const recording = new Recording(write(bytes), { onMalformedLine: (line) => malformed.push(line), ...options });
  const ticks: Tick[] = [];
  for await (const run of recording.read()) ticks.push(...run);
  return { ticks, malformed, progress: recording.progress };
}

const inUtf16 = (text: string): Buffer => Buffer.from(text, 'utf16le');
const ENCODINGS: [string, (text: string) => Buffer][] = [
  ['UTF-8', (text) => Buffer.from(text)],
  ['UTF-8 with a byte order mark', (text) => Buffer.from(`\uFEFF${text}`)],
  ['UTF-16 as Excel and PowerShell write it', (text) => inUtf16(`\uFEFF${text}`)],
  ['UTF-16 the other way round', (text) => inUtf16(`\uFEFF${text}`).swap16()],
  ['UTF-16 without a byte order mark', inUtf16],
  ['gzip', (text) => gzipSync(text)],
  ['UTF-16 in gzip', (text) => gzipSync(inUtf16(`\uFEFF${text}`))],
];

describe.each([
  ['CSV', CSV],
  ['lines of JSON', LINES],
  ['an array of JSON', ARRAY],
  ['an array of JSON on one line', JSON.stringify([A, B])],
  ['objects of JSON over several lines', [A, B].map((tick) => JSON.stringify(tick, undefined, 2)).join('\n')],
  ['objects of JSON one after another', [A, B].map((tick) => JSON.stringify(tick)).join('')],
  ['lines of lists', `[${JSON.stringify(A)}]\n[${JSON.stringify(B)}]\n`],
  ['what Python prints of dictionaries', "{'symbol': 'A', 'ltp': 1.5}\n{'symbol': '₹é', 'ltp': 2}\n"],
  ['what Python prints of a list', "[{'symbol': 'A', 'ltp': 1.5}, {'symbol': '₹é', 'ltp': 2}]\n"],
])('%s', (_kind, text) => {
  test.each(ENCODINGS)('in %s is read', async (_encoding, encode) => {
    const bytes = encode(text);
    const { ticks, malformed, progress } = await read(bytes);
    expect([ticks, malformed]).toEqual([[A, B], []]);
    expect([progress.bytesRead, progress.bytesTotal]).toEqual([bytes.length, bytes.length]);
  });
});

describe('what Python prints', () => {
  test('may have words, dates, tuples, numbers of NumPy and text with quotes', async () => {
    const { ticks, malformed } = await read(
      [
        `{'symbol': "M'M", 'tradable': True, 'oi': None, 'ltp': np.float64(1.5), 'high': nan, 'last_trade_time': datetime.datetime(2024, 1, 2, 9, 15, 1)}`,
        String.raw`{'symbol': 'it\'s "A"', 'ltp': 2, 'exchange_timestamp': datetime.datetime(2024, 1, 2, 3, 45, 1, 250000, tzinfo=datetime.timezone.utc)}`,
        `{'symbol': 'A', 'depth': {'buy': [(99.5, 10, 1)], 'sell': []}}`,
      ].join('\n'),
    );
    expect(malformed).toEqual([]);
    expect(ticks).toMatchObject([
      { symbol: "M'M", tradable: 1, ltp: 1.5, high: Number.NaN, ltt: Date.UTC(2024, 0, 2, 3, 45, 1) },
      { symbol: `it's "A"`, ltp: 2, exchangeTimestamp: Date.UTC(2024, 0, 2, 3, 45, 1, 250) },
      { symbol: 'A', depth: { buy: [{ price: 99.5, quantity: 10, orders: 1 }], sell: [] } },
    ]);
    expect(ticks[0]).not.toHaveProperty('oi');
  });

  test('and cannot be told for sure is refused with its line', async () => {
    const zoned = "{'symbol': 'A', 'ltp': 1, 'timestamp': datetime.datetime(2024, 1, 2, 9, 15, tzinfo=IST)}";
    const { ticks, malformed } = await read(`${JSON.stringify(A)}\n${zoned}\n`);
    expect(ticks).toEqual([A]);
    expect(malformed).toMatchObject([{ number: 2, reason: expect.stringContaining('nor what Python prints') }]);
  });

  test('of a million quotes is done at once', async () => {
    const { malformed } = await read(`${JSON.stringify(A)}\n{'ltp': ${String.raw`\'`.repeat(500_000)}\n`);
    expect(malformed).toMatchObject([{ number: 2 }]);
  });
});

describe('an array of JSON', () => {
  test('goes on after what is no tick, and names its line', async () => {
    const { ticks, malformed } = await read(
      `[\n${JSON.stringify(A)},\n17,\n{"ltp": x},\n{}, null\n,${JSON.stringify(B)}]`,
    );
    expect(ticks).toEqual([A, B]);
    expect(malformed.map(({ number, text }) => [number, text])).toEqual([
      [3, '17'],
      [4, '{"ltp": x}'],
      [5, '{}'],
      [5, 'null'],
    ]);
  });

  test('that was cut gives what is whole, and tells of the rest', async () => {
    const { ticks, malformed } = await read(ARRAY.slice(0, -20));
    expect(ticks).toEqual([A]);
    expect(malformed).toMatchObject([{ number: 6, reason: expect.stringContaining('is never closed') }]);
  });

  test('may hold braces and brackets in its texts', async () => {
    const odd = { symbol: '}]{["', ltp: 1 };
    expect((await read(JSON.stringify([odd, A]))).ticks).toEqual([odd, A]);
  });

  test('passes over an object that is too long to be one', async () => {
    const { ticks, malformed } = await read(
      `[${JSON.stringify({ remark: 'x'.repeat(3 << 20) })},${JSON.stringify(A)}]`,
    );
    expect(ticks).toEqual([A]);
    expect(malformed).toMatchObject([{ number: 1, reason: 'is longer than 1 Mi characters' }]);
  });
});

describe('a compressed file that was cut', () => {
  test('gives the ticks before the fault, and then an error', async () => {
    const text = Array.from({ length: 20_000 }, (_, i) => `{"symbol":"A${i}","ltp":${Math.sin(i)}}`).join('\n');
    const bytes = gzipSync(text);
    const recording = new Recording(write(bytes.subarray(0, bytes.length / 2)));
    let seen = 0;
    const reading = (async () => {
      for await (const run of recording.read()) for (const _ of run) seen++;
    })();
    await expect(reading).rejects.toMatchObject({ code: 'ERR_FILE', message: expect.stringContaining('cut off') });
    expect(seen).toBeGreaterThan(1000);
  });
});

describe('a file that cannot be read says what it is, and what to do', () => {
  test.each<[string, Buffer, RegExp]>([
    ['an Excel workbook', Buffer.from('PK\x03\x04more'), /Excel workbook.*save the sheet as CSV/],
    ['an old Excel workbook', Buffer.from([0xd0, 0xcf, 0x11, 0xe0, 0xa1]), /old Excel workbook/],
    ['Zstandard', Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0]), /unzstd/],
    ['a page', Buffer.from('\n <!DOCTYPE html><html>'), /HTML/],
    ['a pickle', Buffer.from([0x80, 0x04, 0x95, 0]), /pickle/],
    ['a database', Buffer.from('SQLite format 3\0'), /SQLite/],
    ['bytes of no kind', Buffer.from([1, 2, 3, 0, 0, 0, 1]), /is no text/],
    ['a workbook in gzip', gzipSync('PK\x03\x04more'), /Excel workbook/],
    ['gzip of nothing readable', Buffer.from([0x1f, 0x8b, 9, 9, 9]), /nothing in it is readable|is no recording/],
    ['Parquet that is cut', Buffer.from('PAR1 and no more'), /is Parquet, and cannot be read/],
  ])('%s', async (_what, bytes, message) => {
    await expect(read(bytes)).rejects.toMatchObject({ code: 'ERR_FILE', message: expect.stringMatching(message) });
  });

  test('Parquet that others made, for what its times mean is not known', async () => {
    const file = join(folder, 'other.parquet');
    parquetWrite({ writer: fileWriter(file), columnData: [{ name: 'ltp', data: [1.5], type: 'DOUBLE' }] });
    const recording = new Recording(file, { symbol: 'A' });
    await expect(recording.read().next()).rejects.toMatchObject({
      code: 'ERR_FILE',
      message: expect.stringContaining('openalgo-shm export has not made: write it as CSV'),
    });
  });
});
