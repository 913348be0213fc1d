import { OpenAlgoShmError } from '../errors.ts';
import { parseDecimal } from './decimal.ts';

/** India's offset from UTC, which market data of NSE, BSE and MCX means when it names none. */
export const INDIA_UTC_OFFSET = '+05:30';

const MS_PER_SECOND = 1000;

/** The smallest magnitudes that can only be milliseconds (1973), microseconds and nanoseconds since 1970. */
const FIRST_MILLISECONDS = 1e11;
const FIRST_MICROSECONDS = 1e14;
const FIRST_NANOSECONDS = 1e17;

/** A market's time lies between 1990 and 2100: what does not was written in another form, as a date without separators. */
const FIRST_MS = 631_152_000_000;
const END_MS = 4_102_444_800_000;

const UTC_OFFSET = /^(?:Z|([+-])(\d{2}):?(\d{2}))$/i;
const CLOCK =
  /(?:(?:T|,? +)(?<hour>\d{1,2}):(?<minute>\d{2})(?::(?<second>\d{2})(?:\.(?<fraction>\d{1,9}))?)?(?: *(?<half>[ap])m)?|(?:T|,? +)?(?<hh>\d{2})(?<mm>\d{2})(?<ss>\d{2}))?/;
const ZONE = / *(?<zone>Z|UTC|GMT|IST|[+-]\d{2}:?\d{2})?$/;
const DATES = [
  /^(?<year>\d{4})[-/](?<month>\d{2})[-/](?<day>\d{2})/,
  /^(?<day>\d{2})[-/](?<month>\d{2})[-/](?<year>\d{4})/,
  /^(?<year>\d{4})(?<month>\d{2})(?<day>\d{2})/,
  /^(?:[a-z]{3,9},? +)?(?<day>\d{1,2})[-/ ](?<month>[a-z]{3})[-/ ](?<year>\d{4})/,
].map(({ source }) => new RegExp(source + CLOCK.source + ZONE.source, 'i'));
const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
/** Names of zones beside `Z` and offsets. */
const ZONES: ReadonlyMap<string, string> = new Map([
  ['UTC', 'Z'],
  ['GMT', 'Z'],
  ['IST', INDIA_UTC_OFFSET],
]);
/** What .NET's old JSON writer makes of a date; the offset is for display only. */
const DOTNET_DATE = /^\/Date\((-?\d+)(?:[+-]\d{4})?\)\/$/;

/**
 * Milliseconds since 1970 from seconds, milliseconds, microseconds or nanoseconds, told apart by magnitude.
 * Zero stays zero (brokers send it for "never"), what is not finite becomes NaN.
 *
 * @returns undefined for a time before 1990 or after 2099
 */
export function epochToMs(value: number): number | undefined {
  if (!Number.isFinite(value)) return Number.NaN;
  const magnitude = Math.abs(value);
  if (magnitude < FIRST_MILLISECONDS) return ofMarket(Math.round(value * MS_PER_SECOND));
  if (magnitude < FIRST_MICROSECONDS) return ofMarket(Math.round(value));
  return ofMarket(Math.round(value / (magnitude < FIRST_NANOSECONDS ? 1e3 : 1e6)));
}

/** The same time, ms, or undefined where a market can have none such. */
export function ofMarket(ms: number): number | undefined {
  return ms === 0 || (ms >= FIRST_MS && ms < END_MS) ? ms : undefined;
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
 * Milliseconds since 1970 from text: ISO 8601 (`T` or a space between date and time), the same with the day first, with
 * the month's name (`28-May-2025`) or without separators (`20250528`), each with a clock of 24 or 12 hours,
 * `/Date(ms)/`, or a number in any of the units that {@link epochToMs} knows.
 *
 * @param defaultOffsetMinutes minutes east of UTC where the text names no zone
 * @returns undefined where the text is none of these, names a moment that does not exist, or one before 1990 or after
 *   2099
 */
export function parseTimestamp(text: string, defaultOffsetMinutes: number): number | undefined {
  const number = parseDecimal(text);
  const epoch = number === undefined ? undefined : epochToMs(number);
  if (epoch !== undefined) return epoch;
  for (const form of DATES) {
    const groups = form.exec(text)?.groups;
    if (groups !== undefined) return momentToMs(groups, defaultOffsetMinutes);
  }
  const dotnet = DOTNET_DATE.exec(text);
  return dotnet === null ? undefined : ofMarket(Number(dotnet[1]));
}

function momentToMs(parts: Partial<Record<string, string>>, defaultOffsetMinutes: number): number | undefined {
  const { year = '', month = '', day, fraction = '', zone, half } = parts;
  const monthNumber = /\d/.test(month) ? Number(month) : MONTHS.indexOf(month.toLowerCase()) + 1;
  const hour = hourOf(Number(parts['hour'] ?? parts['hh'] ?? 0), half);
  const minute = Number(parts['minute'] ?? parts['mm'] ?? 0);
  const second = Number(parts['second'] ?? parts['ss'] ?? 0);
  if (hour === undefined || minute > 59 || second > 59 || monthNumber < 1 || monthNumber > 12) return undefined;

  const midnight = Date.UTC(Number(year), monthNumber - 1, Number(day));
  // It carries over: 31 February becomes March.
  if (Number(day) < 1 || midnight >= Date.UTC(Number(year), monthNumber, 1)) return undefined;

  const offset = zone === undefined ? defaultOffsetMinutes : offsetMinutes(ZONES.get(zone.toUpperCase()) ?? zone);
  if (offset === undefined) return undefined;
  const milliseconds = Number(fraction.slice(0, 3).padEnd(3, '0'));
  return ofMarket(midnight + ((hour * 60 + minute - offset) * 60 + second) * MS_PER_SECOND + milliseconds);
}

/** The hour of the day, or undefined. `half` is `a` or `p` of a clock with twelve hours. */
function hourOf(hour: number, half: string | undefined): number | undefined {
  if (half === undefined) return hour > 23 ? undefined : hour;
  if (hour < 1 || hour > 12) return undefined;
  return (hour % 12) + (half.toLowerCase() === 'p' ? 12 : 0);
}
