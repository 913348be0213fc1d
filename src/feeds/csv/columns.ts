import { KEY_RULES } from '../dialect-names.ts';

/** What is done with the cells of a column. */
export type ColumnRole = 'moment' | 'date' | 'time' | 'otherTime' | 'number' | 'flag' | 'nested' | 'text' | 'unknown';

/** A column, by the key under which a tick has its value. */
export interface CsvColumn {
  readonly key: string;
  readonly role: ColumnRole;
  /** True where the header calls it a date: its numbers may be days, as Excel counts them. */
  readonly isDate: boolean;
}

/** The columns of a file without a header. */
export const DEFAULT_COLUMNS: readonly CsvColumn[] = [
  { key: 'timestamp', role: 'moment', isDate: false },
  { key: 'ltp', role: 'number', isDate: false },
];

/** What the columns of common files are called, besides every name of a tick's field. */
const ALIASES: ReadonlyMap<string, string> = new Map([
  ['price', 'ltp'],
  ['last', 'ltp'],
  ['vol', 'volume'],
  ['qty', 'last_quantity'],
  ['ticker', 'symbol'],
  ['tradingsymbol', 'symbol'],
  ['trading_symbol', 'symbol'],
  ['exch', 'exchange'],
]);
/** No field has a longer name. What is done with names takes long in a long text. */
const LONGEST_NAME = 64;
const MOMENTS: ReadonlySet<string> = new Set(['timestamp', 'datetime', 'date_time', 'timestamp_ms']);
const DATES: ReadonlySet<string> = new Set(['date', 'trade_date', 'trading_date', 'dtyyyymmdd']);
const TIMES: ReadonlySet<string> = new Set(['time', 'trade_time', 'trading_time']);

/** What a header's cells stand for. Of two columns for the same the first counts. */
export function columnsOf(names: readonly string[]): CsvColumn[] {
  const taken = new Set<string>();
  return names.map((name) => {
    const column = columnOf(name);
    if (column.role === 'unknown') return column;
    if (taken.has(column.key)) return { ...column, key: name, role: 'unknown' };
    taken.add(column.key);
    return column;
  });
}

function columnOf(name: string): CsvColumn {
  if (name.length > LONGEST_NAME) return { key: name, role: 'unknown', isDate: false };
  const snake = snakeCase(name);
  const isDate = /(?:^|_)date/.test(snake);
  if (MOMENTS.has(snake)) return { key: 'timestamp', role: 'moment', isDate };
  if (DATES.has(snake)) return { key: 'date', role: 'date', isDate };
  if (TIMES.has(snake)) return { key: 'time', role: 'time', isDate };
  const key = [name, name.toLowerCase(), snake].find((known) => KEY_RULES.has(known)) ?? ALIASES.get(snake);
  return key === undefined ? { key: name, role: 'unknown', isDate } : { key, role: roleOf(key), isDate };
}

function roleOf(key: string): ColumnRole {
  const kind: string | undefined = KEY_RULES.get(key)?.kind;
  switch (kind) {
    case 'time':
      return 'otherTime';
    case 'number':
    case 'percent':
    case 'token':
      return 'number';
    case 'flag':
      return 'flag';
    case 'depth':
    case 'ohlc':
    case 'side':
      return 'nested';
    default:
      return 'text';
  }
}

/** `Last Price`, `<LAST-PRICE>` and `lastPrice` as `last_price`. */
function snakeCase(name: string): string {
  return name
    .trim()
    .replaceAll(/([a-z\d])([A-Z])/g, '$1_$2')
    .toLowerCase()
    .replaceAll(/[<>]/g, '')
    .replaceAll(/[\s.&-]+/g, '_')
    .replaceAll(/^_+|_+$/g, '');
}
