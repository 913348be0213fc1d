import { createReadStream } from 'node:fs';
import { StringDecoder } from 'node:string_decoder';
import { OpenAlgoShmError } from '../errors.ts';

/** Longest line, in UTF-16 units. */
const MAX_LINE = 1 << 20;
/** Stands for a line that is longer. */
export const OVERLONG_LINE = '\0';
const BYTE_ORDER_MARK = '\uFEFF';

/**
 * Streams a file as lines, some at a time, so that a file of any size takes little memory. Lines end with LF, which is
 * taken off; a CR before it is left on. In the place of a line of more than 1 Mi characters comes {@link OVERLONG_LINE}.
 * @throws OpenAlgoShmError `ERR_FILE` where the file cannot be read or its first line is that long: it has no lines
 */
export async function* readLines(path: string): AsyncGenerator<readonly string[]> {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  let isFirst = true;
  let isOverlong = false;
  let hasLines = false;
  for await (const chunk of chunksOf(path)) {
    let text = decoder.write(chunk);
    if (isFirst && text.startsWith(BYTE_ORDER_MARK)) text = text.slice(1);
    isFirst = false;
    const lines = (rest + text).split('\n');
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
    yield lines;
  }
  rest += decoder.end();
  if (isOverlong) yield [OVERLONG_LINE];
  else if (rest !== '') yield [rest];
}

async function* chunksOf(path: string): AsyncGenerator<Buffer> {
  try {
    yield* createReadStream(path) as AsyncIterable<Buffer>;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new OpenAlgoShmError('ERR_FILE', `${path} cannot be read: ${reason}`, { cause: error });
  }
}
