import { OpenAlgoShmError } from '../../errors.ts';

/** What stands before the decimals of a number; undefined where a file has not shown it. */
export type DecimalMark = '.' | ',' | undefined;

/** Digits in groups, as the West (1,234,567) and India (12,34,567) write them. */
const GROUPED_BY_COMMA = /^[+-]?(?:\d{1,3}(?:,\d{3})+|\d{1,2}(?:,\d{2})*,\d{3})(?:\.\d*)?$/;
const GROUPED_BY_POINT = /^[+-]?\d{1,3}(?:\.\d{3})+(?:,\d*)?$/;
const COMMA_DECIMALS = /^[+-]?\d+,\d+(?:e[+-]?\d+)?$/i;

/** Numbers that can be read in one way only. */
const SURE_COMMA = /^[+-]?(?:\d+,(?:\d{1,2}|\d{4,})|\d{4,},\d+|0,\d+|\d{1,3}(?:\.\d{3})+,\d+)$/;
const SURE_POINT = /^[+-]?(?:\d+\.(?:\d{1,2}|\d{4,})|\d{4,}\.\d+|0\.\d+|\d{1,3}(?:,\d{2,3})+\.\d+)$/;
const MAY_BE_POINT = /^[+-]?\d+\.\d+$/;

/** Which mark the numbers of some lines have: the one that most of those show that can be read in one way only. */
export function decimalMarkOf(cells: Iterable<string>): DecimalMark {
  let commas = 0;
  let points = 0;
  let mayBePoint = false;
  for (const cell of cells) {
    if (SURE_COMMA.test(cell)) commas++;
    else if (SURE_POINT.test(cell)) points++;
    else mayBePoint ||= MAY_BE_POINT.test(cell);
  }
  if (commas > 0 && commas >= points) return ',';
  return points > 0 || mayBePoint ? '.' : undefined;
}

/**
 * A number of a cell with a point and without groups of digits; what is no number stays as it is, for the reader of
 * the field to refuse.
 *
 * @throws OpenAlgoShmError `ERR_MALFORMED_LINE` for a number that can be read in two ways, or not as the others of its file
 */
export function plainNumber(cell: string, mark: DecimalMark): string {
  const hasComma = cell.includes(',');
  if (mark === '.') return hasComma && GROUPED_BY_COMMA.test(cell) ? cell.replaceAll(',', '') : cell;
  if (mark === ',') {
    if (GROUPED_BY_POINT.test(cell)) return cell.replaceAll('.', '').replace(',', '.');
    if (COMMA_DECIMALS.test(cell)) return cell.replace(',', '.');
    if (MAY_BE_POINT.test(cell)) throw unclear(cell, 'the other numbers of the file have a decimal comma');
    return cell;
  }
  if (!hasComma) return cell;
  if (SURE_COMMA.test(cell)) return plainNumber(cell, ',');
  if (SURE_POINT.test(cell)) return plainNumber(cell, '.');
  if (COMMA_DECIMALS.test(cell) || GROUPED_BY_COMMA.test(cell)) {
    throw unclear(cell, 'the comma may stand before decimals or thousands, and the file does not show which');
  }
  return cell;
}

function unclear(cell: string, reason: string): OpenAlgoShmError {
  return new OpenAlgoShmError('ERR_MALFORMED_LINE', `has the number ${JSON.stringify(cell.slice(0, 60))}: ${reason}`);
}
