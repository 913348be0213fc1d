import { OpenAlgoShmError } from '../errors.ts';

/** Longest line, in UTF-16 units. */
const MAX_LINE = 1 << 20;
/** Stands for a line that is longer. */
export const OVERLONG_LINE = '\0';

/**
 * The lines of a text that comes in pieces, some at a time, so that a file of any size takes little memory. Line ends
 * are LF or CR LF, and are taken off. In the place of a line of more than 1 Mi characters comes {@link OVERLONG_LINE}.
 *
 * @param path the file that an error names
 * @throws OpenAlgoShmError `ERR_FILE` where the first line is that long: the file has no lines
 */
export async function* linesOf(pieces: AsyncIterable<string>, path: string): AsyncGenerator<readonly string[]> {
  let rest = '';
  let isOverlong = false;
  let hasLines = false;
  for await (const piece of pieces) {
    const lines = (rest + piece).split('\n');
    rest = lines.pop() ?? '';
    if (isOverlong && lines.length > 0) {
      lines[0] = OVERLONG_LINE;
      isOverlong = false;
    }
    hasLines ||= lines.length > 0;
    if (rest.length > MAX_LINE) {
      if (!hasLines) {
        throw new OpenAlgoShmError(
          'ERR_FILE',
          `${path} begins with a line of more than ${MAX_LINE} characters: it is no file of ticks`,
        );
      }
      isOverlong = true;
    }
    if (isOverlong) rest = '';
    yield lines.map(withoutReturn);
  }
  if (isOverlong) yield [OVERLONG_LINE];
  else if (rest !== '') yield [withoutReturn(rest)];
}

function withoutReturn(line: string): string {
  return line.endsWith('\r') ? line.slice(0, -1) : line;
}
