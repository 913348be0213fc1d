import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type * as zlib from 'node:zlib';
import { afterAll, afterEach, describe, expect, test, vi } from 'vitest';
import type * as checksums from '../../src/recording/crc32.ts';
import { emptyContents, readRecording } from '../../src/recording/read-recording.ts';

/** Bytes that were summed up, that zlib was given, and that were allocated. */
const work = vi.hoisted(() => ({ summed: 0, unzipped: 0, allocated: 0 }));

// The real ones do the work; what they are given is counted.
vi.mock('../../src/recording/crc32.ts', async (original) => {
  const real = await original<typeof checksums>();
  const crc32 = (bytes: Uint8Array, before?: number): number => {
    work.summed += bytes.length;
    return real.crc32(bytes, before);
  };
  return { ...real, crc32 };
});
vi.mock('node:zlib', async (original) => {
  const real = await original<typeof zlib>();
  const createGunzip = (options?: zlib.ZlibOptions): zlib.Gunzip => {
    const gunzip = real.createGunzip(options);
    const write = gunzip.write.bind(gunzip) as (bytes: Buffer, then: () => void) => boolean;
    gunzip.write = ((bytes: Buffer, then: () => void) => {
      work.unzipped += bytes.length;
      return write(bytes, then);
    }) as typeof gunzip.write;
    return gunzip;
  };
  return { ...real, createGunzip };
});

const folder = mkdtempSync(join(tmpdir(), 'openalgo-shm-linear-'));
const file = join(folder, 'crafted.ticks');
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(() => vi.restoreAllMocks());

const MAGIC = Buffer.from('OATICKS1', 'latin1');
const MEMBER = Buffer.from('1f8b08040000000000ff10004f540c00', 'hex');

function header(magic: Buffer, claimed: number, bytes: number): Buffer {
  const made = Buffer.alloc(bytes, 0x20);
  magic.copy(made);
  made.writeUInt32LE(claimed, magic.length);
  return made;
}

/** A gzip member whose stored content is the next of them, and so on: each can be inflated up to the end. */
const nestedMember = Buffer.concat([Buffer.from('1f8b0800000000000003', 'hex'), Buffer.from([0, 0xff, 0xff, 0, 0])]);

async function workOn(unit: Buffer, bytes: number): Promise<typeof work> {
  writeFileSync(file, Buffer.alloc(bytes, unit));
  Object.assign(work, { summed: 0, unzipped: 0, allocated: 0 });
  for (const name of ['alloc', 'allocUnsafe'] as const) {
    const real = Buffer[name];
    vi.spyOn(Buffer, name).mockImplementation((size: number) => {
      work.allocated += size;
      return real(size);
    });
  }
  const contents = emptyContents();
  try {
    for await (const _ticks of readRecording(file, contents));
  } catch (error) {
    expect(error).toMatchObject({ code: 'ERR_FILE' });
  }
  vi.restoreAllMocks();
  expect(contents).toMatchObject({ blocks: 0, bytesRead: bytes });
  return { ...work };
}

describe('a file of nothing but', () => {
  test.each([
    ['magics of blocks', MAGIC],
    ['blocks that claim the most', header(MAGIC, 1 << 24, 16)],
    ['blocks that claim more than there can be', header(MAGIC, 0xffff_ffff, 16)],
    ['blocks that claim a hundred thousand bytes', header(MAGIC, 100_000, 16)],
    ['magics of members', MEMBER],
    ['members that claim a hundred thousand bytes', header(MEMBER, 100_000, 28)],
    ['members that claim the most', header(MEMBER, 1 << 24, 28)],
    ['beginnings of gzip', Buffer.from('1f8b0800000000000003', 'hex')],
    ['gzip within gzip', nestedMember],
  ])('%s costs what its bytes cost, and no more memory than they take', async (_what, unit) => {
    const small = await workOn(unit, 1_000_000);
    const large = await workOn(unit, 4_000_000);
    expect(large.summed).toBeLessThan(5 * small.summed + 1_000_000);
    expect(large.summed).toBeLessThan(100 * 4_000_000);
    expect(large.unzipped).toBeLessThan(4 * 4_000_000);
    expect(large.allocated).toBeLessThan(10 * 4_000_000);
  });
});
