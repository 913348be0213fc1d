import { columnsOf, type CsvColumn, DEFAULT_COLUMNS } from './columns.ts';
import { type DecimalMark, decimalMarkOf } from './numbers.ts';

/** How the cells and numbers of a file are written. */
export interface CsvLayout {
  readonly delimiter: string;
  readonly decimalMark: DecimalMark;
}

/** What may separate cells. Of those that fit equally well the first counts: a comma may also stand in numbers. */
const DELIMITERS = ['\t', ';', '|', ','] as const;
/** Excel's own way to say it, as the first line. */
const SEP_LINE = /^sep=([\t;|,])$/i;
/** Lines that are looked at for a header. */
const HEADER_LINES = 20;

/** The delimiter that the first line of a file names, as Excel does: `sep=;`. */
export function namedDelimiter(line: string): string | undefined {
  return SEP_LINE.exec(line)?.[1];
}

/**
 * The layout of a file whose beginning is `sample`: the delimiter at which most columns have names that are known, or,
 * without a header, the first that the lines have. The numbers show their decimal mark.
 * Where commas separate the cells it is the point, unless numbers in quotes show a comma: then each speaks for itself.
 */
export function csvLayout(sample: string): CsvLayout {
  const lines = sample.split(/\r?\n/).filter((line) => line.trim() !== '');
  const named = namedDelimiter(lines[0] ?? '');
  const delimiter = named ?? mostKnown(lines.slice(0, HEADER_LINES)) ?? firstOf(lines[0] ?? '');
  const shown = decimalMarkOf(numbersOf(lines, delimiter));
  if (delimiter !== ',') return { delimiter, decimalMark: shown };
  return { delimiter, decimalMark: shown === ',' ? undefined : '.' };
}

/** The cells of columns with numbers: a time or a name may have the other mark. */
function numbersOf(lines: readonly string[], delimiter: string): string[] {
  const header = lines.slice(0, HEADER_LINES).reduce<readonly CsvColumn[]>((best, line) => {
    const columns = columnsOf(cellsOf(line, delimiter));
    return knownOf(columns) > knownOf(best) ? columns : best;
  }, []);
  const columns = header.length === 0 ? DEFAULT_COLUMNS : header;
  return lines.flatMap((line) => cellsOf(line, delimiter).filter((_cell, index) => columns[index]?.role === 'number'));
}

function knownOf(columns: readonly CsvColumn[]): number {
  return columns.filter(({ role }) => role !== 'unknown').length;
}

function mostKnown(lines: readonly string[]): string | undefined {
  let best: string | undefined;
  let most = 0;
  for (const delimiter of DELIMITERS) {
    const known = Math.max(0, ...lines.map((line) => knownOf(columnsOf(cellsOf(line, delimiter)))));
    if (known <= most) continue;
    most = known;
    best = delimiter;
  }
  // One known word may stand in any sentence.
  return most > 1 ? best : undefined;
}

function firstOf(line: string): string {
  return DELIMITERS.find((delimiter) => line.includes(delimiter)) ?? ',';
}

/** Good enough to count by: a delimiter in quotes is part of its cell, and the quotes are taken off. */
function cellsOf(line: string, delimiter: string): string[] {
  const cells: string[] = [];
  let isQuoted = false;
  for (const piece of line.split(delimiter)) {
    if (isQuoted) cells.push(`${cells.pop()}${delimiter}${piece}`);
    else cells.push(piece);
    if (piece.split('"').length % 2 === 0) isQuoted = !isQuoted;
  }
  return cells.map((cell) => cell.replaceAll('"', '').trim());
}
