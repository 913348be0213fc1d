import { MODE_NAMES, type Mode } from '../message.ts';
import { ProtocolError } from './protocol.ts';

/** Every mode, highest first: the order in which a tick looks for its subscriber. */
export const MODES_HIGHEST_FIRST: readonly Mode[] = [3, 2, 1];

/** Every mode, as a short-form subscribe means it. */
export const ALL_MODES: readonly Mode[] = [1, 2, 3];

/** Bit mask of every mode. */
export const ALL_MODES_MASK = 0b1110;

/** The bit of a mode in a mask of modes. */
export function modeBit(mode: Mode): number {
  return 1 << mode;
}

/** The bits of several modes. */
export function modesMask(modes: readonly Mode[]): number {
  return modes.reduce((mask, mode) => mask | modeBit(mode), 0);
}

/** The modes of a mask, lowest first. */
export function modesOf(mask: number): Mode[] {
  return ALL_MODES.filter((mode) => (mask & modeBit(mode)) !== 0);
}

const MODE_BY_NAME: ReadonlyMap<string, Mode> = new Map(
  ALL_MODES.map((mode) => [MODE_NAMES[mode].toUpperCase(), mode]),
);

/**
 * Reads a client's `mode`: 1, 2, 3 or LTP, Quote, Depth in any case.
 *
 * @throws {ProtocolError} `INVALID_MODE`, in OpenAlgo's words.
 */
export function readMode(value: unknown): Mode {
  if (typeof value === 'string') {
    const mode = MODE_BY_NAME.get(value.trim().toUpperCase());
    if (mode !== undefined) return mode;
    throw invalidMode(`Invalid mode '${value}'; expected 'LTP', 'Quote', or 'Depth' (case-insensitive)`);
  }
  if (!Number.isInteger(value)) throw invalidMode(`Mode must be int or str, got ${pythonType(value)}`);
  if (value === 1 || value === 2 || value === 3) return value;
  throw invalidMode(`Invalid mode ${String(value)}; expected 1 (LTP), 2 (Quote), or 3 (Depth)`);
}

function invalidMode(message: string): ProtocolError {
  return new ProtocolError('INVALID_MODE', message);
}

function pythonType(value: unknown): string {
  if (value === null || value === undefined) return 'NoneType';
  if (typeof value === 'boolean') return `bool (${value ? 'True' : 'False'})`;
  if (typeof value === 'number') return 'float';
  return Array.isArray(value) ? 'list' : 'dict';
}
