import { createReadStream } from 'node:fs';
import { StringDecoder } from 'node:string_decoder';
import { OpenAlgoShmError } from '../errors.ts';

/** Longest line, in UTF-16 units; what has longer ones is no file of lines. */
const MAX_LINE = 1 << 20;
const BYTE_ORDER_MARK = '\uFEFF';

/**
 * Streams a file as lines, some at a time, so that a file of any size takes little memory. Lines end with LF, which is
 * taken off; a CR before it is left on.
 * @throws OpenAlgoShmError `ERR_FILE` where the file cannot be read or has a line of more than 1 Mi characters
 */
export async function* readLines(path: string): AsyncGenerator<readonly string[]> {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  let isFirst = true;
  for await (const chunk of chunksOf(path)) {
    let text = decoder.write(chunk);
    if (isFirst && text.startsWith(BYTE_ORDER_MARK)) text = text.slice(1);
    isFirst = false;
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > MAX_LINE) {
      throw new OpenAlgoShmError(
        'ERR_FILE',
        `${path} has a line of more than ${MAX_LINE} characters: it is no file of ticks`,
      );
    }
    yield lines;
  }
  rest += decoder.end();
  if (rest !== '') yield [rest];
}

async function* chunksOf(path: string): AsyncGenerator<Buffer> {
  try {
    yield* createReadStream(path) as AsyncIterable<Buffer>;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new OpenAlgoShmError('ERR_FILE', `${path} cannot be read: ${reason}`, { cause: error });
  }
}
