import { FIELDS, type DepthLevel, type FieldName, type Mode } from '../message.ts';
import { BLOCK, F64, LEVEL_NUMBERS, padded, PAYLOAD, TICK } from './format.ts';
import type { RecordedTick } from './recorded-tick.ts';

const FIELD_NAMES: readonly FieldName[] = FIELDS.map(([name]) => name);

/** A block that was read. */
export interface Block {
  ticks: RecordedTick[];
  /** Messages that the recorder lost before these. */
  lost: number;
}

/** Reads a block whose checksum is right; undefined where its contents are none that a recorder writes. */
export function readBlock(block: Buffer): Block | undefined {
  return readPayload(block.subarray(BLOCK.payload));
}

function readPayload(payload: Buffer): Block | undefined {
  const nameBytes = payload.readUInt32LE(PAYLOAD.nameBytes);
  if (nameBytes > payload.length - PAYLOAD.names) return undefined;
  const ticksAt = PAYLOAD.names + padded(nameBytes);
  if (ticksAt > payload.length) return undefined;
  const names = readNames(
    payload.subarray(PAYLOAD.names, PAYLOAD.names + nameBytes),
    payload.readUInt16LE(PAYLOAD.nameCount),
  );
  if (names === undefined) return undefined;
  const clockMs = payload.readDoubleLE(PAYLOAD.clock);
  const ticks: RecordedTick[] = [];
  let at = ticksAt;
  for (let left = payload.readUInt32LE(PAYLOAD.count); left > 0; left--) {
    const end = tickEnd(payload, at);
    if (end === undefined) return undefined;
    const tick = readTick(payload, at, names, clockMs);
    if (tick === undefined) return undefined;
    ticks.push(tick);
    at = end;
  }
  return { ticks, lost: payload.readUInt32LE(PAYLOAD.lost) };
}

/** So many names that take exactly these bytes. */
function readNames(bytes: Buffer, count: number): string[] | undefined {
  const names: string[] = [];
  let at = 0;
  for (; at < bytes.length && names.length < count; at += 1 + bytes[at]!) {
    names.push(bytes.toString('utf8', at + 1, at + 1 + bytes[at]!));
  }
  return names.length === count && at >= bytes.length ? names : undefined;
}

function tickEnd(payload: Buffer, at: number): number | undefined {
  if (at + TICK.fields > payload.length) return undefined;
  const levels = payload[at + TICK.buys]! + payload[at + TICK.sells]!;
  const fields = ones(payload.readUInt32LE(at + TICK.present));
  const end = at + TICK.fields + F64 * (fields + LEVEL_NUMBERS * levels);
  return end <= payload.length ? end : undefined;
}

function readTick(from: Buffer, at: number, names: readonly string[], clockMs: number): RecordedTick | undefined {
  const exchange = names[from.readUInt16LE(at + TICK.exchange)];
  const symbol = names[from.readUInt16LE(at + TICK.symbol)];
  const publisher = names[from.readUInt16LE(at + TICK.publisher)];
  const mode = from[at + TICK.mode]!;
  if (exchange === undefined || symbol === undefined || publisher === undefined || mode < 1 || mode > 3) {
    return undefined;
  }
  const publishNs = from.readDoubleLE(at + TICK.publishNs);
  const recordedMs = clockMs + publishNs / 1e6;
  const tick: RecordedTick = { symbol, exchange, type: mode as Mode, recordedMs, publishNs, publisher };
  const present = from.readUInt32LE(at + TICK.present);
  let next = at + TICK.fields;
  for (let bit = 0; bit < FIELD_NAMES.length; bit++) {
    if (((present >>> bit) & 1) === 0) continue;
    tick[FIELD_NAMES[bit]!] = from.readDoubleLE(next);
    next += F64;
  }
  if (from[at + TICK.hasBook] === 1) {
    const buys = from[at + TICK.buys]!;
    const sellsAt = next + buys * LEVEL_NUMBERS * F64;
    tick.depth = { buy: readLevels(from, next, buys), sell: readLevels(from, sellsAt, from[at + TICK.sells]!) };
  }
  return tick;
}

function readLevels(from: Buffer, at: number, count: number): DepthLevel[] {
  return Array.from({ length: count }, (_, index) => {
    const level = at + index * LEVEL_NUMBERS * F64;
    return {
      price: from.readDoubleLE(level),
      quantity: from.readDoubleLE(level + F64),
      orders: from.readDoubleLE(level + 2 * F64),
    };
  });
}

function ones(bits: number): number {
  let count = 0;
  for (let rest = bits; rest !== 0; rest &= rest - 1) count++;
  return count;
}
