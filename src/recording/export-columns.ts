import { OpenAlgoShmError } from '../errors.ts';
import { FIELDS, MAX_DEPTH_LEVELS } from '../message.ts';
import type { RecordedTick } from './recorded-tick.ts';

/** What a column holds. */
export type ColumnType = 'time' | 'text' | 'mode' | 'number';

/** One column of an exported table. */
export interface Column {
  readonly name: string;
  readonly type: ColumnType;
  /** Its value for a tick; undefined where the tick has none. A `time` is in ms since 1970. */
  valueOf(tick: RecordedTick): string | number | undefined;
}

/** What is exported. */
export interface ExportOptions {
  /** Numeric fields, by their names on the wire, such as `ltp`. Default: all. */
  fields?: readonly string[];
  /** Levels of the book a side, 0 to 200. Default 5. */
  depthLevels?: number;
  /** Only these symbols. Default: all. */
  symbols?: readonly string[];
  /** Fail where anything of the recording is damaged, in place of making a table of what is left. Default false. */
  strict?: boolean;
  /** Ends the export when it is aborted; what was begun of the table is removed. */
  signal?: AbortSignal;
}

const DEFAULT_LEVELS = 5;

const INSTRUMENT: readonly Column[] = [
  { name: 'recorded_at', type: 'time', valueOf: ({ recordedMs }) => recordedMs },
  { name: 'broker', type: 'text', valueOf: ({ publisher }) => publisher },
  { name: 'exchange', type: 'text', valueOf: ({ exchange }) => exchange },
  { name: 'symbol', type: 'text', valueOf: ({ symbol }) => symbol },
  { name: 'mode', type: 'mode', valueOf: ({ type }) => type },
];

/**
 * The columns of an export: when, from whom and of what, each field, then how deep the book is, and each of its levels.
 *
 * @throws OpenAlgoShmError `ERR_INVALID_OPTION`
 */
export function exportColumns({ fields, depthLevels = DEFAULT_LEVELS }: ExportOptions): Column[] {
  const unknown = fields?.find((name) => !FIELDS.some(([, onWire]) => onWire === name));
  if (unknown !== undefined) {
    const known = FIELDS.map(([, onWire]) => onWire).join(', ');
    throw new OpenAlgoShmError('ERR_INVALID_OPTION', `there is no field '${unknown}'; there are ${known}`);
  }
  if (!Number.isInteger(depthLevels) || depthLevels < 0 || depthLevels > MAX_DEPTH_LEVELS) {
    throw new OpenAlgoShmError(
      'ERR_INVALID_OPTION',
      `depthLevels is ${depthLevels}, expected a whole number from 0 to ${MAX_DEPTH_LEVELS}`,
    );
  }
  const numbers = FIELDS.filter(([, onWire]) => fields?.includes(onWire) ?? true).map(([name, onWire]): Column => ({
    name: onWire,
    type: 'number',
    valueOf: (tick) => tick[name],
  }));
  if (depthLevels === 0) return [...INSTRUMENT, ...numbers];
  const counts = (['buy', 'sell'] as const).map((side) => countColumn(side));
  return [
    ...INSTRUMENT,
    ...numbers,
    ...counts,
    ...sideColumns('buy', depthLevels),
    ...sideColumns('sell', depthLevels),
  ];
}

/** Levels that the tick's book has, more than are exported perhaps; 0 tells an empty book from none. */
function countColumn(side: 'buy' | 'sell'): Column {
  return { name: `${side}_levels`, type: 'number', valueOf: (tick) => tick.depth?.[side].length };
}

function sideColumns(side: 'buy' | 'sell', levels: number): Column[] {
  return Array.from({ length: levels }, (_, level) =>
    (['price', 'quantity', 'orders'] as const).map((part): Column => ({
      name: `${side}_${level + 1}_${part}`,
      type: 'number',
      valueOf: (tick) => tick.depth?.[side][level]?.[part],
    })),
  ).flat();
}
