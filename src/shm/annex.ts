import { isUtf8 } from 'node:buffer';
import { OpenAlgoShmError } from '../errors.ts';
import type { TickMembers } from '../message.ts';
import { ANNEX_WORDS } from './layout.ts';

/**
 * The words behind a tick's levels that few ticks have; the ring crate's `message/annex.rs` is the source:
 *
 * ```text
 * word 0  flags 16 bits · bytes of the members 16 bits
 *      1  of a snapshot: its age 32 bits · the age of its oldest value 32 bits, ms
 *      2  members, one after the other: length of the key, key, kind, value; then zeros
 * ```
 */
const FIRST_MEMBER = 2;
/** Bytes that all members together can take. */
export const MEMBER_BYTES = (ANNEX_WORDS - FIRST_MEMBER) * 8;

const FLAG = { snapshot: 1, emptyBook: 2 } as const;
/** The flag of each name of a tick's data that a member can have in place of the tick's own value. */
const REPLACED: ReadonlyMap<string, number> = new Map([
  ['ltt', 1 << 2],
  ['timestamp', 1 << 3],
  ['exchange_timestamp', 1 << 4],
  ['mode', 1 << 5],
  ['symbol', 1 << 6],
  ['exchange', 1 << 7],
]);
const KIND = { number: 1, text: 2, true: 3, false: 4 } as const;
const LONGEST_AGE_MS = 2 ** 32 - 1;

/** What an annex says. */
export interface AnnexContent {
  members?: TickMembers | undefined;
  ageMs?: number | undefined;
  oldestAgeMs?: number | undefined;
  /** The tick has a book without levels. */
  emptyBook: boolean;
}

/** Writes annexes into the buffer that the native publisher reads. */
export class AnnexWriter {
  readonly #i32: Int32Array;
  readonly #bytes: Buffer;

  constructor(scratch: Float64Array) {
    this.#i32 = new Int32Array(scratch.buffer);
    this.#bytes = Buffer.from(scratch.buffer);
  }

  /**
   * Writes an annex from word `at` on. Returns half the number of its words.
   *
   * @throws `ERR_INVALID_FIELD`
   */
  write(at: number, { members, ageMs, oldestAgeMs, emptyBook }: AnnexContent): number {
    let flags = emptyBook ? FLAG.emptyBook : 0;
    let newest = 0;
    let oldest = 0;
    if (ageMs !== undefined) {
      flags |= FLAG.snapshot;
      newest = age('ageMs', ageMs);
      oldest = Math.max(newest, oldestAgeMs === undefined ? 0 : age('oldestAgeMs', oldestAgeMs));
    }
    const first = 8 * (at + FIRST_MEMBER);
    let end = first;
    for (const key in members) {
      end = this.#member(end, first + MEMBER_BYTES, key, members[key]!);
      flags |= REPLACED.get(key) ?? 0;
    }
    const i32 = this.#i32;
    i32[2 * at] = flags | ((end - first) << 16);
    i32[2 * at + 1] = 0;
    i32[2 * at + 2] = newest;
    i32[2 * at + 3] = oldest;
    const half = Math.ceil((FIRST_MEMBER + (end - first) / 8) / 2);
    this.#bytes.fill(0, end, 8 * (at + 2 * half));
    return half;
  }

  /** Returns where the member ends: where it would begin, if there is no room for it. */
  #member(at: number, limit: number, key: string, value: string | number | boolean): number {
    const bytes = this.#bytes;
    const keyBytes = bytesOf(key);
    const valueAt = at + 2 + keyBytes;
    if (keyBytes === 0) return at;
    const textBytes = typeof value === 'string' ? bytesOf(value) : 0;
    const end = valueAt + (typeof value === 'number' ? 8 : typeof value === 'string' ? 1 + textBytes : 0);
    if (end > limit) return at;
    bytes[at] = keyBytes;
    this.#text(at + 1, key, keyBytes);
    if (typeof value === 'number' && Number.isFinite(value)) {
      bytes[valueAt - 1] = KIND.number;
      bytes.writeDoubleLE(value, valueAt);
    } else if (typeof value === 'string') {
      bytes[valueAt - 1] = KIND.text;
      bytes[valueAt] = textBytes;
      this.#text(valueAt + 1, value, textBytes);
    } else if (typeof value === 'boolean') {
      bytes[valueAt - 1] = value ? KIND.true : KIND.false;
    } else {
      throw invalid(`members.${key}`, value, 'text, a finite number, true or false');
    }
    return end;
  }

  #text(at: number, text: string, length: number): void {
    if (text.length !== length) {
      this.#bytes.write(text, at, length, 'utf8');
      return;
    }
    // Short and ASCII, as almost all are: a call would take longer.
    for (let index = 0; index < length; index++) this.#bytes[at + index] = text.charCodeAt(index);
  }
}

/** Bytes of UTF-8. */
function bytesOf(text: string): number {
  for (let index = 0; index < text.length; index++) {
    if (text.charCodeAt(index) > 0x7f) return Buffer.byteLength(text);
  }
  return text.length;
}

function age(name: string, value: unknown): number {
  if (typeof value === 'number' && value >= 0) return Math.min(Math.round(value), LONGEST_AGE_MS);
  throw invalid(name, value, 'ms, at least 0');
}

function invalid(name: string, value: unknown, expected: string): OpenAlgoShmError {
  return new OpenAlgoShmError('ERR_INVALID_FIELD', `${name} is ${String(value)}, expected ${expected}`);
}

/** An annex of a drained message. Its words may come from another process: what cannot be read ends the members. */
export class AnnexView {
  readonly #i32: Int32Array;
  readonly #at: number;
  readonly #words: number;

  /** @param words - how many it has, from word `at` on */
  constructor(i32: Int32Array, at: number, words: number) {
    this.#i32 = i32;
    this.#at = at;
    this.#words = words;
  }

  get hasEmptyBook(): boolean {
    return (this.#flags & FLAG.emptyBook) !== 0;
  }

  /** How old it was when it was published here, ms, if it was carried from another source. */
  get ages(): { ageMs: number; oldestAgeMs: number } | undefined {
    if ((this.#flags & FLAG.snapshot) === 0) return undefined;
    const ageMs = this.#i32[2 * this.#at + 2]! >>> 0;
    return { ageMs, oldestAgeMs: Math.max(ageMs, this.#i32[2 * this.#at + 3]! >>> 0) };
  }

  members(): TickMembers | undefined {
    const used = Math.min(this.#flags >>> 16, 8 * (this.#words - FIRST_MEMBER));
    if (used <= 0) return undefined;
    const bytes = Buffer.from(this.#i32.buffer, this.#i32.byteOffset + 8 * (this.#at + FIRST_MEMBER), used);
    const members: Record<string, string | number | boolean> = {};
    for (let at = 0; at < used;) {
      const keyEnd = at + 1 + bytes[at]!;
      const valueAt = keyEnd + 1;
      if (valueAt > used) break;
      const kind = bytes[keyEnd]!;
      const end = valueAt + valueBytes(kind, bytes, valueAt);
      if (end > used || keyEnd === at + 1 || !isUtf8(bytes.subarray(at + 1, keyEnd))) break;
      if (kind === KIND.text && !isUtf8(bytes.subarray(valueAt + 1, end))) break;
      const key = bytes.toString('utf8', at + 1, keyEnd);
      if (Object.hasOwn(members, key)) break;
      members[key] = valueOf(kind, bytes, valueAt, end);
      at = end;
    }
    return members;
  }

  get #flags(): number {
    return this.#i32[2 * this.#at]!;
  }
}

/** Infinity for a kind that does not exist. */
function valueBytes(kind: number, bytes: Buffer, at: number): number {
  if (kind === KIND.number) return 8;
  if (kind === KIND.text) return 1 + (bytes[at] ?? Number.POSITIVE_INFINITY);
  return kind === KIND.true || kind === KIND.false ? 0 : Number.POSITIVE_INFINITY;
}

function valueOf(kind: number, bytes: Buffer, at: number, end: number): string | number | boolean {
  if (kind === KIND.number) return bytes.readDoubleLE(at);
  return kind === KIND.text ? bytes.toString('utf8', at + 1, end) : kind === KIND.true;
}
