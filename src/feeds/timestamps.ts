import { OpenAlgoShmError } from '../errors.ts';
import { parseDecimal } from './decimal.ts';

/** India's offset from UTC, which market data of NSE, BSE and MCX means when it names none. */
export const INDIA_UTC_OFFSET = '+05:30';

const MS_PER_SECOND = 1000;

/** The smallest magnitudes that can only be milliseconds (1973), microseconds and nanoseconds since 1970. */
const FIRST_MILLISECONDS = 1e11;
const FIRST_MICROSECONDS = 1e14;
const FIRST_NANOSECONDS = 1e17;

const UTC_OFFSET = /^(?:Z|([+-])(\d{2}):?(\d{2}))$/i;
const YEAR_FIRST =
  /^(\d{4})[-/](\d{2})[-/](\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?)?\s*(Z|[+-]\d{2}:?\d{2})?$/i;
const DAY_FIRST =
  /^(\d{2})[-/](\d{2})[-/](\d{4})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?)?\s*(Z|[+-]\d{2}:?\d{2})?$/i;
const MONTH_NAMED =
  /^(\d{2})[-/]([a-z]{3})[-/](\d{4})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?)?\s*(Z|[+-]\d{2}:?\d{2})?$/i;
const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
/** What .NET's old JSON writer makes of a date; the offset is for display only. */
const DOTNET_DATE = /^\/Date\((-?\d+)(?:[+-]\d{4})?\)\/$/;

/**
 * Milliseconds since 1970 from seconds, milliseconds, microseconds or nanoseconds, told apart by magnitude.
 * Zero stays zero (brokers send it for "never"), what is not finite becomes NaN.
 */
export function epochToMs(value: number): number {
  if (!Number.isFinite(value)) return Number.NaN;
  const magnitude = Math.abs(value);
  if (magnitude < FIRST_MILLISECONDS) return Math.round(value * MS_PER_SECOND);
  if (magnitude < FIRST_MICROSECONDS) return Math.round(value);
  return Math.round(value / (magnitude < FIRST_NANOSECONDS ? 1e3 : 1e6));
}

/**
 * Minutes east of UTC from `Z`, `+05:30` or `+0530`.
 * @throws OpenAlgoShmError `ERR_INVALID_OPTION`
 */
export function parseUtcOffset(offset: string): number {
  const minutes = offsetMinutes(offset);
  if (minutes === undefined) {
    throw new OpenAlgoShmError(
      'ERR_INVALID_OPTION',
      `utcOffset must be Z or hours and minutes such as ${INDIA_UTC_OFFSET}, got ${JSON.stringify(offset)}`,
    );
  }
  return minutes;
}

function offsetMinutes(offset: string): number | undefined {
  const match = UTC_OFFSET.exec(offset);
  if (match === null) return undefined;
  const [, sign, hours, minutes] = match;
  if (sign === undefined) return 0;
  if (Number(hours) > 14 || Number(minutes) > 59) return undefined;
  return (sign === '-' ? -1 : 1) * (Number(hours) * 60 + Number(minutes));
}

/**
 * Milliseconds since 1970 from text: ISO 8601 (`T` or a space between date and time), the same with the day first or
 * with the month's name (`28-May-2025`), `/Date(ms)/`, or a number in any of the units that {@link epochToMs} knows.
 *
 * @param defaultOffsetMinutes minutes east of UTC where the text names no zone
 * @returns undefined where the text is none of these, or names a moment that does not exist
 */
export function parseTimestamp(text: string, defaultOffsetMinutes: number): number | undefined {
  const yearFirst = YEAR_FIRST.exec(text);
  if (yearFirst !== null) return momentToMs(yearFirst, yearFirst[1], yearFirst[3], defaultOffsetMinutes);
  const number = parseDecimal(text);
  if (number !== undefined) return epochToMs(number);
  const dayFirst = DAY_FIRST.exec(text);
  if (dayFirst !== null) return momentToMs(dayFirst, dayFirst[3], dayFirst[1], defaultOffsetMinutes);
  const named = MONTH_NAMED.exec(text);
  if (named !== null) {
    const month = MONTHS.indexOf(named[2]!.toLowerCase()) + 1;
    named[2] = String(month);
    return momentToMs(named, named[3], named[1], defaultOffsetMinutes);
  }
  const dotnet = DOTNET_DATE.exec(text);
  if (dotnet === null) return undefined;
  const ms = Number(dotnet[1]);
  return Number.isFinite(ms) ? ms : Number.NaN;
}

function momentToMs(
  match: RegExpExecArray,
  yearText: string | undefined,
  dayText: string | undefined,
  defaultOffsetMinutes: number,
): number | undefined {
  const [, , monthText, , hourText = '0', minuteText = '0', secondText = '0', fraction = '', zone] = match;
  const month = Number(monthText);
  const day = Number(dayText);
  const hour = Number(hourText);
  const minute = Number(minuteText);
  const second = Number(secondText);
  const year = Number(yearText);
  if (hour > 23 || minute > 59 || second > 59 || month < 1 || month > 12) return undefined;

  // Years below 100 are not those of the 20th century, as they are for `Date.UTC`.
  const midnight = new Date(0).setUTCFullYear(year, month - 1, day);
  // It carries over: 31 February becomes March.
  if (day < 1 || midnight >= new Date(0).setUTCFullYear(year, month, 1)) return undefined;

  const offset = zone === undefined ? defaultOffsetMinutes : offsetMinutes(zone);
  if (offset === undefined) return undefined;
  const milliseconds = Number(fraction.slice(0, 3).padEnd(3, '0'));
  return midnight + ((hour * 60 + minute - offset) * 60 + second) * MS_PER_SECOND + milliseconds;
}
