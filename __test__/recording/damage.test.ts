import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { compressFile } from '../../src/recording/compress-file.ts';
import { emptyContents, readRecording, type RecordingContents } from '../../src/recording/read-recording.ts';

/** Written by a recorder of before, which made one gzip member of a whole file: 41 blocks of 10 ticks. */
const OLD = join(import.meta.dirname, '../samples/recording-of-one-member.ticks.gz');
const BLOCKS = 41;
const TICKS = 10;
const MAGIC = Buffer.from('OATICKS1', 'latin1');
const MEMBER = Buffer.from('1f8b08040000000000ff10004f540c00', 'hex');

const folder = mkdtempSync(join(tmpdir(), 'openalgo-shm-damage-'));
const file = join(folder, 'day.ticks');
const plain = gunzipSync(readFileSync(OLD));
let compressed: Buffer;

beforeAll(async () => {
  writeFileSync(file, plain);
  await compressFile(file);
  compressed = readFileSync(`${file}.gz`);
});
afterAll(() => rmSync(folder, { recursive: true }));

interface Found extends RecordingContents {
  /** Numbers of the blocks whose ticks all were read, in order. */
  whole: number[];
}

/** The blocks are told by their prices: the ticks of block `n` have the prices from `10 n`. */
async function readBytes(bytes: Buffer): Promise<Found> {
  writeFileSync(file, bytes);
  const contents = emptyContents();
  const whole: number[] = [];
  try {
    for await (const ticks of readRecording(file, contents)) {
      const block = ticks[0]!.ltp! / TICKS;
      expect(ticks.map(({ ltp }) => ltp)).toEqual(Array.from({ length: TICKS }, (_, tick) => block * TICKS + tick));
      whole.push(block);
    }
  } catch (error) {
    expect(error).toMatchObject({ code: 'ERR_FILE' });
  }
  return { ...contents, whole };
}

const all = (count = BLOCKS): number[] => Array.from({ length: count }, (_, block) => block);
const without = (...blocks: number[]): number[] => all().filter((block) => !blocks.includes(block));

/** Where the blocks, or members, of a file begin, and where it ends. */
function bounds(bytes: Buffer, magic: Buffer): number[] {
  const found: number[] = [];
  for (let at = bytes.indexOf(magic); at >= 0; at = bytes.indexOf(magic, at + 1)) found.push(at);
  return [...found, bytes.length];
}

/** A thousand bits, spread evenly over all blocks and all places in a byte. */
function* somePositions(bits: number): Generator<number> {
  const step = Math.floor(bits / 1000) | 1;
  for (let bit = 0; bit < bits; bit += step) yield bit;
}

function flipped(bytes: Buffer, bit: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[bit >> 3]! ^= 1 << (bit & 7);
  return copy;
}

describe.each([
  ['as it is written', () => plain, MAGIC],
  ['that is compressed', () => compressed, MEMBER],
])('a recording %s', (_what, bytesOf, magic) => {
  test('is read whole, with nothing to complain of', async () => {
    expect(await readBytes(bytesOf())).toMatchObject({ whole: all(), damages: 0, blocksLost: 0, ticksLost: 0 });
    expect(bounds(bytesOf(), magic)).toHaveLength(BLOCKS + 1);
  });

  test('loses at most the block that a flipped bit is in, and says so', async () => {
    const bytes = bytesOf();
    const begins = bounds(bytes, magic);
    let losses = 0;
    for (const bit of somePositions(bytes.length * 8)) {
      const hit = begins.findLastIndex((begin) => begin <= bit >> 3);
      const { whole, blocks, damages, blocksLost, ticksLost } = await readBytes(flipped(bytes, bit));
      const isLost = !whole.includes(hit);
      expect([bit, whole]).toEqual([bit, isLost ? without(hit) : all()]);
      expect([bit, blocks + blocksLost, damages]).toEqual([bit, BLOCKS, isLost ? 1 : 0]);
      if (ticksLost > 0) losses++;
    }
    expect(losses).toBeGreaterThan(0);
  }, 120_000);

  test('says how many ticks are lost where the header of their block says it', async () => {
    const bytes = bytesOf();
    const begins = bounds(bytes, magic);
    for (const block of all()) {
      const middle = Math.floor((begins[block]! + begins[block + 1]!) / 2) + 12;
      const damaged = Buffer.from(bytes);
      damaged[middle]! ^= 0xff;
      expect(await readBytes(damaged)).toMatchObject({
        whole: without(block),
        damages: 1,
        blocksLost: 1,
        ticksLost: TICKS,
        damagedBytes: begins[block + 1]! - begins[block]!,
      });
    }
  });

  test('counts blocks that are lost side by side', async () => {
    const bytes = Buffer.from(bytesOf());
    const begins = bounds(bytes, magic);
    for (const block of [10, 11, 12, 20]) bytes[begins[block + 1]! - 20]! ^= 1;
    expect(await readBytes(bytes)).toMatchObject({
      whole: without(10, 11, 12, 20),
      damages: 2,
      blocksLost: 4,
      ticksLost: 4 * TICKS,
    });
  });

  test('does not believe a header that speaks of more ticks than there can be', async () => {
    const ticksAt = magic === MAGIC ? 16 : 24;
    const bytes = Buffer.from(bytesOf());
    const begin = bounds(bytes, magic)[10]!;
    bytes.writeUInt32LE(0x8000_000a, begin + ticksAt);
    bytes[begin + 100]! ^= 1;
    expect(await readBytes(bytes)).toMatchObject({ whole: without(10), blocksLost: 1, ticksLost: 0 });
  });

  test('cut at any place gives all blocks before it, and says that one is not whole', async () => {
    const bytes = bytesOf();
    const begins = bounds(bytes, magic);
    for (let end = 1; end < bytes.length; end += 41) {
      const whole = begins.findLastIndex((begin) => begin <= end);
      const isCut = !begins.includes(end);
      const found = await readBytes(bytes.subarray(0, end));
      // A member of which only the last bytes are missing still holds its block.
      const isSaved = found.whole.length === whole + 1;
      expect([end, found.whole]).toEqual([end, all(isSaved ? whole + 1 : whole)]);
      if (whole > 0) expect([end, found.damages]).toEqual([end, isCut && !isSaved ? 1 : 0]);
    }
  });

  test.each([
    ['letters', Buffer.from('rubbish between blocks')],
    ['zeros', Buffer.alloc(5000)],
    ['the magic alone', magic],
    ['magics without end', Buffer.concat(Array.from({ length: 500 }, () => magic))],
    ['the beginning of a gzip file', Buffer.from('1f8b0800000000000003', 'hex')],
    ['gzip of something else', gzipSync('something else')],
  ])('with %s between all its blocks gives them all', async (kind, rubbish) => {
    const bytes = bytesOf();
    const begins = bounds(bytes, magic);
    const blocks = all().map((block) => bytes.subarray(begins[block], begins[block + 1]));
    const { whole, damages } = await readBytes(Buffer.concat(blocks.flatMap((block) => [block, rubbish])));
    expect([kind, whole]).toEqual([kind, all()]);
    expect(damages).toBe(BLOCKS);
  });

  test('goes on behind a beginning that is damaged', async () => {
    const bytes = Buffer.from(bytesOf());
    bytes.fill(0xff, 0, 20);
    expect(await readBytes(bytes)).toMatchObject({ whole: without(0), damages: 1, blocksLost: 1 });
  });
});

describe('a compressed recording', () => {
  test('is what zcat makes the recording of', () => {
    expect(gunzipSync(compressed).equals(plain)).toBe(true);
  });

  test('keeps what was damaged before it was compressed, and it is counted the same', async () => {
    const damaged = Buffer.concat([plain.subarray(0, 900), Buffer.from('rubbish'), flipped(plain, 40_000)]);
    const before = await readBytes(damaged);
    writeFileSync(file, damaged);
    rmSync(`${file}.gz`);
    await compressFile(file);
    expect(gunzipSync(readFileSync(`${file}.gz`)).equals(damaged)).toBe(true);
    const { bytesRead: _other, ...after } = await readBytes(readFileSync(`${file}.gz`));
    expect(before).toMatchObject(after);
  });

  test('counts no member as lost that is read in spite of its header, beside one that is lost', async () => {
    const begins = bounds(compressed, MEMBER);
    const bytes = Buffer.from(compressed);
    bytes[begins[9]! + 60]! ^= 1;
    bytes[begins[10]! + 20]! ^= 1;
    expect(await readBytes(bytes)).toMatchObject({
      whole: without(9),
      damages: 1,
      blocksLost: 1,
      ticksLost: TICKS,
      damagedBytes: begins[10]! - begins[9]!,
    });
  });

  test('of which a member lacks some of its last bytes loses nothing', async () => {
    const begins = bounds(compressed, MEMBER);
    for (let missing = 1; missing <= 8; missing++) {
      const bytes = Buffer.concat([compressed.subarray(0, begins[10]! - missing), compressed.subarray(begins[10])]);
      expect([missing, await readBytes(bytes)]).toMatchObject([missing, { whole: all(), damages: 0 }]);
    }
  });

  test('is read behind a beginning that is damaged further than it is looked at', async () => {
    writeFileSync(`${file}.gz`, Buffer.concat([Buffer.alloc(2_000_000), compressed]));
    const contents = emptyContents();
    for await (const _ticks of readRecording(`${file}.gz`, contents));
    expect(contents).toMatchObject({ blocks: BLOCKS, damages: 1, damagedBytes: 2_000_000 });
  });

  test('of an earlier version that was cut at any place is said to be damaged', async () => {
    const old = readFileSync(OLD);
    for (let end = 20; end < old.length; end += 41) {
      for (const behind of [Buffer.alloc(0), compressed]) {
        const { whole, damages, blocksLost } = await readBytes(Buffer.concat([old.subarray(0, end), behind]));
        if (whole.length > 0) expect([end, damages, blocksLost]).toEqual([end, 1, 1]);
      }
    }
  });

  test('of an earlier version is read, and what stands before a damage in it', async () => {
    const old = readFileSync(OLD);
    expect(await readBytes(old)).toMatchObject({ whole: all(), damages: 0 });
    expect(await readBytes(Buffer.concat([old, compressed, old]))).toMatchObject({
      whole: [...all(), ...all(), ...all()],
      damages: 0,
    });
    const long = gzipSync(Buffer.concat(Array.from({ length: 200 }, () => plain)), { level: 1 });
    const damaged = await readBytes(flipped(long, long.length * 4));
    expect(damaged.damages).toBeGreaterThan(0);
    expect(damaged.whole.length).toBeGreaterThan(80 * BLOCKS);
    const { whole, blocksLost } = await readBytes(Buffer.concat([flipped(old, 8000), compressed, old]));
    expect(whole.slice(-2 * BLOCKS)).toEqual([...all(), ...all()]);
    expect(blocksLost).toBeGreaterThan(0);
  });
});
