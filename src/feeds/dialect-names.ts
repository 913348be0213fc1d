import { FIELDS, type FieldName, type Mode } from '../message.ts';
import {
  BUY_NAMES,
  CARRIED,
  FLAG_FIELDS,
  IGNORED,
  MODE_NUMBERS,
  PERCENT_FIELDS,
  SELL_NAMES,
  SYNONYMS,
  TIME_FIELDS,
  TOKEN_FIELDS,
} from './dialect-table.ts';

/** How the value of a field is read. */
type FieldKind = 'number' | 'percent' | 'time' | 'flag' | 'token';

/**
 * How the value under a key is read. `preferred` is true of the wire name, which wins over other names in the same
 * tick; `synonym` is the number of a name that adapters use.
 */
export type KeyRule =
  | { readonly kind: FieldKind; readonly field: FieldName; readonly preferred: boolean; readonly synonym?: number }
  | { readonly kind: 'side'; readonly side: 'buy' | 'sell' }
  | { readonly kind: 'symbol' | 'exchange' | 'mode' | 'type' | 'depth' | 'ohlc' | 'carried' | 'ignored' };

/** Every key that a tick may have, and how it is read. */
export const KEY_RULES: ReadonlyMap<string, KeyRule> = new Map(allRules());

/** The modes by every name that adapters, clients and tickers give them, in lower case. */
export const MODES_BY_NAME: ReadonlyMap<string, Mode> = new Map(MODE_NUMBERS);

function* allRules(): Generator<[string, KeyRule]> {
  for (const [synonym, [field, name]] of SYNONYMS.entries()) {
    yield [name, { kind: kindOf(field), field, preferred: false, synonym }];
  }
  for (const [field, wireName] of FIELDS) {
    const kind = kindOf(field);
    yield [field, { kind, field, preferred: false }];
    if (kind === 'time') yield [`${wireName}_ms`, { kind, field, preferred: false }];
    yield [wireName, { kind, field, preferred: true }];
  }
  for (const name of BUY_NAMES) yield [name, { kind: 'side', side: 'buy' }];
  for (const name of SELL_NAMES) yield [name, { kind: 'side', side: 'sell' }];
  for (const kind of ['symbol', 'exchange', 'mode', 'type', 'depth', 'ohlc'] as const) yield [kind, { kind }];
  for (const name of CARRIED) yield [name, { kind: 'carried' }];
  for (const name of IGNORED) yield [name, { kind: 'ignored' }];
}

function kindOf(field: FieldName): FieldKind {
  if (TIME_FIELDS.includes(field)) return 'time';
  if (PERCENT_FIELDS.includes(field)) return 'percent';
  if (FLAG_FIELDS.includes(field)) return 'flag';
  return TOKEN_FIELDS.includes(field) ? 'token' : 'number';
}
