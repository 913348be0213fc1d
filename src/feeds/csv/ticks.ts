import { OpenAlgoShmError } from '../../errors.ts';
import type { Tick } from '../../message.ts';
import type { NormalisedTick, TickNormaliser } from '../dialect.ts';
import { KEY_RULES } from '../dialect-names.ts';
import { isBlank, isTimeOfDay } from '../dialect-values.ts';
import { ExportedTicks } from '../exported-ticks.ts';
import type { FileReport } from '../file-report.ts';
import { parseLooseJson } from '../loose-json.ts';
import { OVERLONG_LINE } from '../text-lines.ts';
import { completeTick, type DefaultInstrument, type TickReader } from '../tick-lines.ts';
import { INDIA_UTC_OFFSET, parseUtcOffset } from '../timestamps.ts';
import { columnsOf, DEFAULT_COLUMNS, type CsvColumn } from './columns.ts';
import { csvLayout, namedDelimiter, type CsvLayout } from './layout.ts';
import { plainNumber } from './numbers.ts';
import { CsvRecords, type CsvRecord } from './records.ts';
import { CsvClock, isDateAlone, isMoment } from './times.ts';

/** What tables write where they have no value, besides what brokers do. */
const NO_VALUE = /^(?:null|none|#?n\/a|--|nat)$/i;

/** Of names of columns, in an error. */
const SHOWN_CHARACTERS = 200;
/** What columns are hardly called. */
const NUMBER = /^[+-]?\d+(?:[.,]\d+)*$/;

/** The columns that say when a tick was. */
interface TimeCells {
  moment?: string;
  momentIsDate?: boolean;
  date?: string;
  time?: string;
}

/**
 * Ticks as CSV: `timestamp,price`, or whatever columns a header names by any name of OpenAlgo's fields. Columns of
 * other names are passed over. What `export` wrote is taken as it is, depth included.
 */
export class CsvTicks implements TickReader {
  readonly #normaliser: TickNormaliser;
  readonly #instrument: DefaultInstrument;
  readonly #report: FileReport;
  readonly #layout: CsvLayout;
  readonly #records: CsvRecords;
  readonly #clock: CsvClock;
  readonly #exported: ExportedTicks | undefined;
  #header: readonly string[] | undefined;
  #columns: readonly CsvColumn[] | undefined;
  #hasTicks = false;

  /** @param sample the beginning of the file */
  constructor(
    normaliser: TickNormaliser,
    options: DefaultInstrument & { utcOffset?: string },
    report: FileReport,
    sample: string,
  ) {
    this.#normaliser = normaliser;
    this.#instrument = options;
    this.#report = report;
    this.#exported = ExportedTicks.of(sample.slice(0, sample.indexOf('\n')).trim().split(','));
    this.#layout = this.#exported === undefined ? csvLayout(sample) : { delimiter: ',', decimalMark: '.' };
    this.#records = new CsvRecords(this.#layout.delimiter, this.#exported === undefined);
    this.#clock = new CsvClock(parseUtcOffset(options.utcOffset ?? INDIA_UTC_OFFSET));
  }

  read(lines: readonly string[], firstLine: number): Generator<Tick> {
    const blank = lines.filter((line) => line.trim() === '').length;
    this.#report.progress.passedOver += blank;
    return this.#ticksOf(this.#records.read(lines, firstLine));
  }

  end(): Generator<Tick> {
    return this.#ticksOf(this.#records.end());
  }

  *#ticksOf(records: Iterable<CsvRecord>): Generator<Tick> {
    const { progress } = this.#report;
    for (const record of records) {
      const { malformed: before } = progress;
      const tick = this.#report.take(record.line, record.text, () => this.#tickOf(record));
      if (tick !== undefined) yield tick;
      // Two stray quotes make one cell of all lines between them.
      else if (progress.malformed > before && record.text.includes('\n')) {
        yield* this.#ticksOf(this.#records.rereadAfterFirst(record));
      }
    }
  }

  #tickOf({ cells, text, line }: CsvRecord): Tick | undefined {
    if (text === OVERLONG_LINE) throw malformed('is longer than 1 Mi characters');
    if (cells instanceof OpenAlgoShmError) throw cells;
    // Files that were joined have their headers again.
    if (this.#header !== undefined && isSame(cells, this.#header)) return undefined;
    if (this.#exported !== undefined) return this.#exportedTick(this.#exported, cells);
    if (line === 1 && namedDelimiter(text) !== undefined) return undefined;
    // Above it there may be a title.
    const header = this.#header === undefined && !this.#hasTicks ? headerOf(cells) : undefined;
    if (header !== undefined) {
      this.#header = cells;
      this.#setColumns(header);
      return undefined;
    }
    if (this.#columns === undefined) {
      if (!isTimeAndPrice(cells)) throw malformed('is neither a header nor "timestamp,price"');
      this.#setColumns(DEFAULT_COLUMNS);
    }
    try {
      const tick = completeTick(this.#readCells(cells, this.#columns!), this.#instrument);
      this.#hasTicks = true;
      return tick;
    } catch (error) {
      // Joined files may have their columns in another order: one taken for the other would be a wrong price.
      const next = nextHeaderOf(cells);
      if (next === undefined) throw error;
      this.#header = cells;
      this.#setColumns(next);
      return undefined;
    }
  }

  #exportedTick(exported: ExportedTicks, cells: readonly string[]): Tick | undefined {
    if (this.#header === undefined) {
      this.#header = cells;
      return undefined;
    }
    if (exported.isCut(cells)) this.#report.progress.cutBooks++;
    return exported.tickOf(cells);
  }

  #setColumns(columns: readonly CsvColumn[]): void {
    if (this.#instrument.symbol === undefined && !columns.some(({ key }) => key === 'symbol')) {
      throw new OpenAlgoShmError(
        'ERR_INVALID_OPTION',
        'a CSV file without a column "symbol" needs the symbol option: whose prices are these?',
      );
    }
    this.#columns = columns;
  }

  #readCells(cells: readonly string[], columns: readonly CsvColumn[]): NormalisedTick {
    const extra = cells.slice(columns.length).some((cell) => cell !== '');
    if (cells.length < columns.length || extra) {
      const names = columns.map(({ key }) => key).join(this.#layout.delimiter);
      throw malformed(`has ${cells.length} columns, expected ${columns.length}: ${names.slice(0, SHOWN_CHARACTERS)}`);
    }
    const raw: Record<string, unknown> = {};
    const times: TimeCells = {};
    const otherTimes: [CsvColumn, string][] = [];
    for (const [index, column] of columns.entries()) {
      const cell = cells[index] as string;
      if (isBlank(cell)) continue;
      if (column.role === 'unknown') {
        // The normaliser counts it. A second column of a field is left out.
        if (column.key !== '' && !KEY_RULES.has(column.key)) raw[column.key] = cell;
        continue;
      }
      if (column.role !== 'text' && NO_VALUE.test(cell)) continue;
      if (column.role === 'otherTime') otherTimes.push([column, cell]);
      else if (column.role === 'moment') Object.assign(times, { moment: cell, momentIsDate: column.isDate });
      else if (column.role === 'date' || column.role === 'time') times[column.role] = cell;
      else raw[column.key] = this.#valueOf(column, cell);
    }
    const tick = this.#normaliser.normalise(raw);
    const at = this.#timeOf(times);
    if (at !== undefined && at !== 0) tick.timestamp = at;
    for (const [{ key, isDate }, cell] of otherTimes) {
      const rule = KEY_RULES.get(key);
      // Some brokers send the time of the last trade without its date.
      if (rule?.kind !== 'time' || isTimeOfDay(cell)) continue;
      const time = this.#clock.moment(cell, isDate);
      if (rule.preferred || tick[rule.field] === undefined) tick[rule.field] = time;
    }
    return tick;
  }

  #valueOf({ role }: CsvColumn, cell: string): unknown {
    switch (role) {
      case 'number':
        return plainNumber(cell, this.#layout.decimalMark);
      case 'flag':
        return cell === '1' || cell === '0' ? Number(cell) : cell.toLowerCase();
      case 'nested':
        return /^[[{]/.test(cell) ? parseLooseJson(cell) : cell;
      default:
        return cell;
    }
  }

  #timeOf({ moment, momentIsDate, date, time }: TimeCells): number | undefined {
    if (moment !== undefined) {
      if (date !== undefined && isTimeOfDay(moment)) return this.#clock.joined(date, moment);
      if (time !== undefined && isDateAlone(moment)) return this.#clock.joined(moment, time);
      return this.#clock.moment(moment, momentIsDate === true);
    }
    if (date !== undefined) {
      return time === undefined ? this.#clock.moment(date, true) : this.#clock.joined(date, time);
    }
    return time === undefined ? undefined : this.#clock.moment(time, false);
  }
}

/** The columns that a record names, or undefined where it is data already. */
function headerOf(cells: readonly string[]): CsvColumn[] | undefined {
  if (isMoment(cells[0] ?? '')) return undefined;
  const columns = columnsOf(cells);
  const known = columns.filter(({ role }) => role !== 'unknown').length;
  // One known word beside a number may be data.
  return known > 1 || (known === 1 && !cells.some((cell) => NUMBER.test(cell))) ? columns : undefined;
}

/** The columns of a header that stands where a tick is expected: it names two fields or more and holds no number. */
function nextHeaderOf(cells: readonly string[]): CsvColumn[] | undefined {
  if (cells.some((cell) => NUMBER.test(cell))) return undefined;
  const columns = headerOf(cells);
  return columns !== undefined && columns.filter(({ role }) => role !== 'unknown').length > 1 ? columns : undefined;
}

function isTimeAndPrice(cells: readonly string[]): boolean {
  return isMoment(cells[0] ?? '') || (cells.length === DEFAULT_COLUMNS.length && NUMBER.test(cells[1] ?? ''));
}

function isSame(cells: readonly string[], others: readonly string[]): boolean {
  return cells.length === others.length && cells.every((cell, index) => cell === others[index]);
}

function malformed(message: string): OpenAlgoShmError {
  return new OpenAlgoShmError('ERR_MALFORMED_LINE', message);
}
