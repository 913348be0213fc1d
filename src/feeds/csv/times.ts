import { OpenAlgoShmError } from '../../errors.ts';

const MS_PER_SECOND = 1000;
const MS_PER_MINUTE = 60_000;
const MS_PER_DAY = 86_400_000;

/** Numbers are taken for times of this span only: outside of it they count something else. */
const FIRST_MS = Date.UTC(2000, 0, 1);
const END_MS = Date.UTC(2100, 0, 1);
/** Years of dates as text. */
const FIRST_YEAR = 1900;
const LAST_YEAR = 2199;

/** What a number since 1970 may count, as how many of it are a millisecond. In the span above no two can be mixed up. */
const UNITS_PER_MS = [1e-3, 1, 1e3, 1e6] as const;
/** Day 0 of Excel, as days since 1970. */
const EXCEL_EPOCH_DAYS = 25_569;

/** Decimals of a day that tell one second from the next. */
const LEAST_DECIMALS = 5;

const DIGITS = /^\d+$/;
const FRACTION = /^(\d+)[.,](\d+)$/;
const EXPONENT = /^[+-]?\d+(?:[.,]\d+)?e[+-]?\d+$/i;
/** Dates: what each group is stands in `DATE_GROUPS`. */
const DATES = [
  /^(?<year>\d{4})(?<mark>[-/.])(?<month>\d{1,2})\k<mark>(?<day>\d{1,2})(?!\d)/,
  /^(?<year>\d{4})(?<month>\d{2})(?<day>\d{2})(?!\d)/,
  /^(?<day>\d{1,2})(?<mark>[-/.])(?<month>\d{1,2})\k<mark>(?<year>\d{4})(?!\d)/,
  /^(?:[a-z]{3},? )?(?<day>\d{1,2})[-/ ](?<named>[a-z]{3,9})[-/ ,]{1,2}(?<year>\d{4}|\d{2})(?!\d)/i,
  /^(?:[a-z]{3},? )?(?<named>[a-z]{3,9})[- ](?<day>\d{1,2}),? (?<year>\d{4})(?!\d)/i,
] as const;
const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const MONTH_NAMES = [
  'january',
  'february',
  'march',
  'april',
  'may',
  'june',
  'july',
  'august',
  'september',
  'october',
  'november',
  'december',
];
const TIME_OF_DAY =
  /^(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?(?: ?([ap])\.?m\.?)?(?: ?(z|utc|gmt|ist|[+-]\d{2}(?::?\d{2})?))?$/i;
/** Hours, minutes and seconds without marks; Excel takes the zero off that they may begin with. */
const COMPACT_TIME = /^(\d{1,2})(\d{2})(\d{2})$/;
const SEPARATOR = /^(?:T|, ?| )/i;
const MIDNIGHT = /^[T ]0?0:00(?::00(?:\.0+)?)?$/i;

/** Offsets from UTC by name, minutes. IST is India's. */
const ZONES: ReadonlyMap<string, number> = new Map([
  ['z', 0],
  ['utc', 0],
  ['gmt', 0],
  ['ist', 330],
]);

/**
 * Reads times as tables write them. Each text is one moment or it is refused: a number that may count days or seconds,
 * one that a spreadsheet has shortened, a time without its date.
 */
export class CsvClock {
  readonly #offsetMinutes: number;
  #lastKey = '';
  #lastMs = 0;

  /** @param offsetMinutes minutes east of UTC of times that name no zone */
  constructor(offsetMinutes: number) {
    this.#offsetMinutes = offsetMinutes;
  }

  /**
   * Milliseconds since 1970; 0 for the number 0, which stands for no time.
   *
   * @param isDateColumn true where the column is called a date: only there a number can be Excel's count of days
   * @throws OpenAlgoShmError `ERR_MALFORMED_LINE` that says why the text is no moment
   */
  moment(text: string, isDateColumn: boolean): number {
    // Ticks of one second bring the same text again and again.
    const key = isDateColumn ? `d${text}` : text;
    if (key === this.#lastKey) return this.#lastMs;
    const ms = this.#moment(tidy(text), isDateColumn);
    this.#lastKey = key;
    this.#lastMs = ms;
    return ms;
  }

  /**
   * The moment that a date and a time of day in two cells say together.
   * @throws OpenAlgoShmError `ERR_MALFORMED_LINE`
   */
  joined(date: string, time: string): number {
    const day = dayOf(tidy(date));
    const clock = tidy(time);
    const fraction = FRACTION.exec(clock);
    if (fraction !== null && Number(fraction[1]) === 0) return this.#local(day + excelTime(fraction[2]!, clock));
    return this.#at(day, clock);
  }

  #moment(text: string, isDateColumn: boolean): number {
    if (DIGITS.test(text)) return this.#digits(text, isDateColumn);
    const fraction = FRACTION.exec(text);
    if (fraction !== null) return this.#fraction(fraction, text, isDateColumn);
    if (EXPONENT.test(text))
      throw refused(text, 'its digits were cut off, as spreadsheets do: format the column as text');
    const { day, rest } = dateAt(text);
    if (rest === '') return this.#local(day);
    const separator = SEPARATOR.exec(rest);
    if (separator === null) throw refused(text, `nothing is known that '${rest}' could mean`);
    return this.#at(day, rest.slice(separator[0].length));
  }

  #digits(text: string, isDateColumn: boolean): number {
    const number = Number(text);
    if (number === 0) return 0;
    if (text.length === 8) return this.#local(dateAt(text).day);
    if (text.length === 12 || text.length === 14 || text.length === 17) return this.#compact(text);
    const ms = sinceEpoch(number);
    if (ms !== undefined) return ms;
    if (isExcelDay(number)) {
      if (isDateColumn) return this.#local(excelDay(number));
      throw refused(text, 'it may be a day of Excel or seconds of a day: a column with days is called Date');
    }
    throw refused(text, 'as a number it is no time between 2000 and 2099');
  }

  #compact(text: string): number {
    const { day } = dateAt(text.slice(0, 8));
    const [hour, minute, second, milliseconds] = [8, 10, 12, 14].map((at, part) =>
      Number(text.slice(at, at + (part === 3 ? 3 : 2))),
    ) as [number, number, number, number];
    if (hour > 23 || minute > 59 || second > 59) throw refused(text, 'there is no such time of day');
    return this.#local(day + ((hour * 60 + minute) * 60 + second) * MS_PER_SECOND + milliseconds);
  }

  #fraction([, whole, decimals]: RegExpExecArray, text: string, isDateColumn: boolean): number {
    const number = Number(`${whole}.${decimals}`);
    if (number === 0) return 0;
    const ms = sinceEpoch(number);
    if (ms !== undefined) return ms;
    if (!isExcelDay(number)) throw refused(text, 'as a number it is no time between 2000 and 2099');
    if (isDateColumn) return this.#local(excelDay(Number(whole)) + excelTime(decimals!, text));
    throw refused(text, 'it may be a day of Excel or seconds of a day: a column with days is called Date');
  }

  /** A day, and what stands behind it. */
  #at(day: number, clock: string): number {
    const match = TIME_OF_DAY.exec(clock) ?? COMPACT_TIME.exec(clock);
    if (match === null) throw refused(clock, 'it is no time of day, such as 09:15:01');
    const [, hours, minutes, seconds = '0', fraction = '', half, zone] = match;
    const hour = half === undefined ? Number(hours) : twelveHours(Number(hours), half);
    if (hour > 23 || Number(minutes) > 59 || Number(seconds) > 59) throw refused(clock, 'there is no such time of day');
    const ms = Number(fraction.slice(0, 3).padEnd(3, '0'));
    const moment = day + ((hour * 60 + Number(minutes)) * 60 + Number(seconds)) * MS_PER_SECOND + ms;
    return zone === undefined ? this.#local(moment) : moment - offsetOf(zone, clock) * MS_PER_MINUTE;
  }

  #local(ms: number): number {
    return ms - this.#offsetMinutes * MS_PER_MINUTE;
  }
}

/** True for a text that is a moment of its own, whatever the rest of its line says. */
export function isMoment(text: string): boolean {
  try {
    return new CsvClock(0).moment(text, true) > 0;
  } catch {
    return false;
  }
}

/** True for a date as text that says no time of day, or midnight. */
export function isDateAlone(text: string): boolean {
  const tidied = tidy(text);
  return DATES.some((form) => {
    const [date] = form.exec(tidied) ?? [];
    return date !== undefined && (date === tidied || MIDNIGHT.test(tidied.slice(date.length)));
  });
}

function tidy(text: string): string {
  return text.trim().replaceAll(/\s+/g, ' ');
}

/** The day that a text begins with, ms since 1970 of its midnight without a zone, and what follows. */
function dateAt(text: string): { day: number; rest: string } {
  for (const form of DATES) {
    const match = form.exec(text);
    if (match === null) continue;
    const { year, month, named, day } = match.groups!;
    const number = named === undefined ? Number(month) : monthOf(named);
    // Excel writes `2-Jan-24`; two digits alone are never taken for a year.
    const fullYear = year!.length === 2 ? 2000 + Number(year) : Number(year);
    const midnight = Date.UTC(fullYear, number - 1, Number(day));
    const exists = number >= 1 && number <= 12 && Number(day) >= 1 && midnight < Date.UTC(fullYear, number, 1);
    if (!exists || fullYear < FIRST_YEAR || fullYear > LAST_YEAR) {
      throw refused(text, 'there is no such day; dates of digits have the year first, or day, month, year');
    }
    return { day: midnight, rest: text.slice(match[0].length) };
  }
  if (TIME_OF_DAY.test(text)) throw refused(text, 'it is a time of day without a date: add a column Date');
  throw refused(text, 'it is no date and time, such as 2024-01-02 09:15:01, and no seconds or ms since 1970');
}

/** A date alone, as days of Excel too. Midnight behind it says nothing more. */
function dayOf(text: string): number {
  const number = Number(text.replace(/\.0+$/, ''));
  if (isExcelDay(number) && Number.isInteger(number)) return excelDay(number);
  const { day, rest } = dateAt(text);
  if (rest === '' || MIDNIGHT.test(rest)) return day;
  throw refused(text, 'beside a column with the time, it has to be a date alone');
}

function monthOf(name: string): number {
  const text = name.toLowerCase();
  return MONTHS.indexOf(text) + 1 || MONTH_NAMES.indexOf(text) + 1 || (text === 'sept' ? 9 : 0);
}

function twelveHours(hour: number, half: string): number {
  if (hour < 1 || hour > 12) return Number.POSITIVE_INFINITY;
  return (hour % 12) + (half.toLowerCase() === 'p' ? 12 : 0);
}

function offsetOf(zone: string, clock: string): number {
  const named = ZONES.get(zone.toLowerCase());
  if (named !== undefined) return named;
  const [, sign, hours, minutes = '0'] = /^([+-])(\d{2}):?(\d{2})?$/.exec(zone)!;
  if (Number(hours) > 14 || Number(minutes) > 59) throw refused(clock, 'there is no such zone');
  return (sign === '-' ? -1 : 1) * (Number(hours) * 60 + Number(minutes));
}

/** From seconds, ms, µs or ns since 1970: the one of them that gives a time of the span, or undefined. */
function sinceEpoch(number: number): number | undefined {
  for (const unit of UNITS_PER_MS) {
    const ms = number / unit;
    if (ms >= FIRST_MS && ms < END_MS) return Math.round(ms);
  }
  return undefined;
}

function isExcelDay(number: number): boolean {
  const ms = excelDay(number);
  return ms >= FIRST_MS && ms < END_MS;
}

function excelDay(days: number): number {
  return (days - EXCEL_EPOCH_DAYS) * MS_PER_DAY;
}

/**
 * A fraction of a day, ms. It is written with few digits: within what they can tell, it is a whole second. Fewer than
 * five cannot tell a second, and are one only where they are a whole minute.
 */
function excelTime(decimals: string, text: string): number {
  const exact = Number(`0.${decimals}`) * MS_PER_DAY;
  if (decimals.length < LEAST_DECIMALS) {
    const minute = Math.round(exact / MS_PER_MINUTE) * MS_PER_MINUTE;
    if (Math.abs(exact - minute) < 1) return minute;
    throw refused(text, 'a day with so few digits tells no second: five decimals or more do');
  }
  const second = Math.round(exact / MS_PER_SECOND) * MS_PER_SECOND;
  // A little more than half of the last digit, for one that was rounded exactly there.
  const precision = (MS_PER_DAY / 10 ** decimals.length / 2) * 1.001;
  return Math.abs(exact - second) <= precision ? second : Math.round(exact);
}

function refused(text: string, reason: string): OpenAlgoShmError {
  const shown = text.length > 60 ? `${text.slice(0, 60)}…` : text;
  return new OpenAlgoShmError('ERR_MALFORMED_LINE', `has the time ${JSON.stringify(shown)}: ${reason}`);
}
