import { OpenAlgoShmError } from '../errors.ts';

/** Where the market's clock is, if nothing else is said. */
export const DEFAULT_TIME_ZONE = 'Asia/Kolkata';

/** Whether the market is open at a time. */
export interface MarketState {
  isOpen: boolean;
  /** Time since it opened, ms; 0 while it is closed. */
  openForMs: number;
  /** When it opens next, ms since 1970; undefined while it is open, and where no session is known any more. */
  opensAtMs: number | undefined;
}

/** A session on some days, in ms of the market's own day. */
interface Session {
  isOn(day: number): boolean;
  start: number;
  end: number;
}

const DAY_MS = 24 * 60 * 60 * 1000;
/** Days ahead that the next opening is looked for. */
const LOOK_AHEAD_DAYS = 400;
const WEEKDAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];
const SESSION = /^(\S+)\s+(\d\d?):(\d\d)\s*-\s*(\d\d?):(\d\d)$/;
const EXAMPLE = '"Mon-Fri 09:00-15:30, 2026-11-08 18:00-19:15"';

/**
 * The hours of a market. Days are counted from 1970 on the market's own clock, and times are ms of that clock as if it
 * were UTC, so that there is nothing to calculate with zones but at the edges.
 */
export class MarketHours {
  readonly #sessions: Session[];
  readonly #clock: Intl.DateTimeFormat;

  /**
   * @param hours sessions, separated by commas: weekdays or a date, and times, as in `Mon-Fri 09:00-23:30`. Several on a
   *   day are joined. One that goes past midnight is written as two.
   * @param holidays dates as `2026-11-25`, on which only sessions with that date are held
   * @param timeZone a name of the IANA database
   * @throws {OpenAlgoShmError} `ERR_INVALID_OPTION`
   */
  constructor(hours: string, holidays: readonly string[] = [], timeZone: string = DEFAULT_TIME_ZONE) {
    const closed = new Set(holidays.map((date) => dayOf(date, 'marketHolidays')));
    this.#sessions = hours.split(/[,;]/).map((text) => sessionOf(text.trim(), closed));
    this.#clock = clockOf(timeZone);
  }

  /** @param nowMs ms since 1970, as `Date.now()` */
  at(nowMs: number): MarketState {
    const now = this.#wall(nowMs);
    const today = Math.floor(now / DAY_MS);
    const held = this.#on(today).find(({ start, end }) => start <= now - today * DAY_MS && now - today * DAY_MS < end);
    if (held !== undefined) {
      return { isOpen: true, openForMs: now - this.#openedAt(today, held.start), opensAtMs: undefined };
    }
    for (let day = today; day <= today + LOOK_AHEAD_DAYS; day++) {
      const next = this.#on(day).find(({ start }) => day * DAY_MS + start > now);
      if (next !== undefined) {
        return { isOpen: false, openForMs: 0, opensAtMs: this.#instant(day * DAY_MS + next.start) };
      }
    }
    return { isOpen: false, openForMs: 0, opensAtMs: undefined };
  }

  /** The sessions of a day in their order, those that touch joined. */
  #on(day: number): { start: number; end: number }[] {
    const joined: { start: number; end: number }[] = [];
    const sessions = this.#sessions.filter((session) => session.isOn(day));
    for (const { start, end } of sessions.toSorted((one, other) => one.start - other.start)) {
      const last = joined.at(-1);
      if (last !== undefined && start <= last.end) last.end = Math.max(last.end, end);
      else joined.push({ start, end });
    }
    return joined;
  }

  /** When a session began that may have gone on through midnight, on the market's clock. */
  #openedAt(day: number, start: number): number {
    if (start > 0) return day * DAY_MS + start;
    for (let before = day - 1; before > day - LOOK_AHEAD_DAYS; before--) {
      const last = this.#on(before).at(-1);
      if (last?.end !== DAY_MS) return (before + 1) * DAY_MS;
      if (last.start > 0) return before * DAY_MS + last.start;
    }
    return (day - LOOK_AHEAD_DAYS) * DAY_MS;
  }

  /** What the market's clock shows. */
  #wall(ms: number): number {
    const parts = Object.fromEntries(this.#clock.formatToParts(ms).map(({ type, value }) => [type, Number(value)]));
    const { year, month, day, hour, minute, second } = parts as Record<Intl.DateTimeFormatPartTypes, number>;
    return Date.UTC(year, month - 1, day, hour, minute, second);
  }

  /**
   * When the market's clock shows this: the first time where summer time ends and it shows it twice, and as much later as
   * the clock jumps where it never does.
   */
  #instant(wall: number): number {
    const shownAtOffsetOf = (near: number): number => wall - (this.#wall(near) - near);
    const before = shownAtOffsetOf(wall - DAY_MS);
    const after = shownAtOffsetOf(wall + DAY_MS);
    return this.#wall(before) !== wall && this.#wall(after) === wall ? after : before;
  }
}

function sessionOf(text: string, holidays: ReadonlySet<number>): Session {
  const [, days, ...digits] = SESSION.exec(text) ?? [];
  if (days === undefined) throw invalid(`marketHours has '${text}', expected sessions such as ${EXAMPLE}`);
  const [startHour, startMinute, endHour, endMinute] = digits.map(Number) as [number, number, number, number];
  const [start, end] = [startHour * 60 + startMinute, endHour * 60 + endMinute];
  if (startMinute > 59 || endMinute > 59 || end > 24 * 60) {
    throw invalid(`marketHours has '${text}', expected times from 00:00 to 24:00`);
  }
  if (end <= start) throw invalid(`marketHours has '${text}', which ends before it begins: split it at midnight`);
  return { isOn: daysOf(days, text, holidays), start: start * 60_000, end: end * 60_000 };
}

function daysOf(days: string, session: string, holidays: ReadonlySet<number>): (day: number) => boolean {
  if (/^\d/.test(days)) {
    const date = dayOf(days, 'marketHours');
    return (day) => day === date;
  }
  const [first, last = first] = days
    .toLowerCase()
    .split('-')
    .map((day) => WEEKDAYS.indexOf(day));
  if (first === undefined || first < 0 || last! < 0 || days.split('-').length > 2) {
    throw invalid(`marketHours has '${session}', expected days such as Mon, Mon-Fri or 2026-11-08`);
  }
  // Fri-Mon goes over the end of the week.
  const length = (last! - first + 7) % 7;
  return (day) => (weekdayOf(day) - first + 7) % 7 <= length && !holidays.has(day);
}

/** From 0, Sunday. The first of January 1970 was a Thursday. */
function weekdayOf(day: number): number {
  return (day + 4) % 7;
}

function dayOf(date: string, option: string): number {
  const ms = /^\d{4}-\d\d-\d\d$/.test(date) ? Date.parse(`${date}T00:00:00Z`) : Number.NaN;
  // A date that there is not, such as 30 February, may be read as a later one.
  if (!Number.isNaN(ms) && new Date(ms).toISOString().startsWith(date)) return ms / DAY_MS;
  throw invalid(`${option} has '${date}', expected a date such as 2026-11-25`);
}

function clockOf(timeZone: string): Intl.DateTimeFormat {
  try {
    return new Intl.DateTimeFormat('en-US', {
      timeZone,
      calendar: 'gregory',
      numberingSystem: 'latn',
      hourCycle: 'h23',
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
      hour: '2-digit',
      minute: '2-digit',
      second: '2-digit',
    });
  } catch (cause) {
    throw new OpenAlgoShmError(
      'ERR_INVALID_OPTION',
      `marketTimeZone is '${timeZone}', expected a name such as ${DEFAULT_TIME_ZONE}`,
      { cause },
    );
  }
}

function invalid(message: string): OpenAlgoShmError {
  return new OpenAlgoShmError('ERR_INVALID_OPTION', message);
}
