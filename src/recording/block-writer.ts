import { FIELDS, type DepthLevel, type FieldName } from '../message.ts';
import type { TickView } from '../shm/tick-view.ts';
import { crc32 } from './crc32.ts';
import { BLOCK, F64, LEVEL_NUMBERS, MAGIC, MAX_PAYLOAD, padded, PAYLOAD, TICK } from './format.ts';

const FIELD_NAMES: readonly FieldName[] = FIELDS.map(([name]) => name);
const FIRST_ROOM = 1 << 17;
/** The most names that a block's numbers of names can tell apart. */
const MAX_NAMES = 1 << 16;
/** Names of one tick: exchange, symbol, publisher. */
const NAMES_OF_TICK = 3;
/** Room kept free for the names and for one tick of the deepest book. */
const HEADROOM = 1 << 22;

/** Gathers ticks into a block. */
export class BlockWriter {
  /** Ms since 1970 at ns 0 of the publishers' clock. */
  clockMs: number;
  readonly #names = new Map<string, number>();
  #ticks = Buffer.allocUnsafe(FIRST_ROOM);
  #bytes = 0;
  #count = 0;

  constructor(clockMs: number) {
    this.clockMs = clockMs;
  }

  /** Ticks gathered. */
  get count(): number {
    return this.#count;
  }

  /** Bytes gathered, without names. */
  get bytes(): number {
    return this.#bytes;
  }

  /** True when the block must be taken before another tick is added. */
  get isFull(): boolean {
    return this.#bytes > MAX_PAYLOAD - HEADROOM || this.#names.size > MAX_NAMES - NAMES_OF_TICK;
  }

  add(tick: TickView): void {
    const { depth } = tick;
    const levels = (depth?.buy.length ?? 0) + (depth?.sell.length ?? 0);
    this.#makeRoom(TICK.fields + F64 * (FIELDS.length + LEVEL_NUMBERS * levels));
    const at = this.#bytes;
    const to = this.#ticks;
    to[at + TICK.mode] = tick.mode;
    to[at + TICK.hasBook] = depth === undefined ? 0 : 1;
    to[at + TICK.buys] = depth?.buy.length ?? 0;
    to[at + TICK.sells] = depth?.sell.length ?? 0;
    to.writeUInt16LE(this.#name(tick.exchange), at + TICK.exchange);
    to.writeUInt16LE(this.#name(tick.symbol), at + TICK.symbol);
    to.writeUInt32LE(this.#name(tick.publisher), at + TICK.publisher);
    to.writeDoubleLE(tick.publishNs, at + TICK.publishNs);
    let end = at + TICK.fields;
    let present = 0;
    FIELD_NAMES.forEach((name, bit) => {
      const value = tick[name];
      if (value === undefined) return;
      present |= 1 << bit;
      end = to.writeDoubleLE(value, end);
    });
    to.writeInt32LE(present, at + TICK.present);
    if (depth !== undefined) end = this.#levels(depth.sell, this.#levels(depth.buy, end));
    this.#bytes = end;
    this.#count += 1;
  }

  /**
   * The block of what was gathered, ready for the file; begins anew.
   *
   * @param lost - messages that the recorder lost before these
   */
  take(lost: number): Buffer {
    const names = Buffer.concat([...this.#names.keys()].map(nameBytes));
    const ticksAt = PAYLOAD.names + padded(names.length);
    const block = Buffer.alloc(BLOCK.payload + ticksAt + this.#bytes);
    const payload = block.subarray(BLOCK.payload);
    payload.writeUInt32LE(this.#count, PAYLOAD.count);
    payload.writeUInt32LE(Math.min(lost, 0xffff_ffff), PAYLOAD.lost);
    payload.writeDoubleLE(this.clockMs, PAYLOAD.clock);
    payload.writeUInt16LE(this.#names.size, PAYLOAD.nameCount);
    payload.writeUInt32LE(names.length, PAYLOAD.nameBytes);
    names.copy(payload, PAYLOAD.names);
    this.#ticks.copy(payload, ticksAt, 0, this.#bytes);
    MAGIC.copy(block);
    block.writeUInt32LE(payload.length, BLOCK.length);
    block.writeUInt32LE(crc32(payload), BLOCK.crc);
    this.#names.clear();
    this.#bytes = 0;
    this.#count = 0;
    return block;
  }

  #name(name: string): number {
    let number = this.#names.get(name);
    if (number === undefined) this.#names.set(name, (number = this.#names.size));
    return number;
  }

  #levels(levels: readonly DepthLevel[], from: number): number {
    let end = from;
    for (const { price, quantity, orders } of levels) {
      end = this.#ticks.writeDoubleLE(price, end);
      end = this.#ticks.writeDoubleLE(quantity, end);
      end = this.#ticks.writeDoubleLE(orders ?? 0, end);
    }
    return end;
  }

  #makeRoom(bytes: number): void {
    if (this.#bytes + bytes <= this.#ticks.length) return;
    const larger = Buffer.allocUnsafe(this.#ticks.length * 2 + bytes);
    this.#ticks.copy(larger, 0, 0, this.#bytes);
    this.#ticks = larger;
  }
}

function nameBytes(name: string): Buffer {
  const bytes = Buffer.from(name, 'utf8');
  return Buffer.concat([Buffer.of(bytes.length), bytes]);
}
