import { OpenAlgoShmError } from '../errors.ts';
import { emptyContents, readRecording } from '../recording/read-recording.ts';
import type { RecordedTick } from '../recording/recorded-tick.ts';
import { readExchange, readSymbol } from './dialect-values.ts';
import type { RecordingOptions, RecordingProgress } from './recording.ts';

export { recordingKind } from '../recording/read-recording.ts';

/**
 * The ticks of what `record` wrote, as {@link Recording.read} gives those of lines: a tick counts as a line, a damaged
 * place, a tick of no possible instrument or a book that is too deep as a malformed one.
 *
 * @throws OpenAlgoShmError `ERR_FILE`; where `strict`, `ERR_MALFORMED_LINE`
 */
export async function* recordedTicks(
  file: string,
  { strict, onMalformedLine }: RecordingOptions,
  progress: RecordingProgress,
  depthLevels: number,
): AsyncGenerator<RecordedTick[]> {
  const contents = emptyContents();
  let damages = 0;
  const report = (number: number, text: string, reason: string): void => {
    progress.malformed++;
    onMalformedLine?.({ file, number, text, reason });
    if (strict === true) throw new OpenAlgoShmError('ERR_MALFORMED_LINE', `${file}: tick ${number}: ${reason}`);
  };
  const reportDamage = (before: number): void => {
    for (; damages < contents.damages; damages++) report(before, '', 'the recording is damaged here');
  };
  for await (const ticks of readRecording(file, contents)) {
    const first = contents.ticks - ticks.length + 1;
    reportDamage(first);
    progress.lines += ticks.length;
    progress.bytesRead = contents.bytesRead;
    yield ticks.filter((tick, index) => {
      const fault = faultOf(tick, depthLevels);
      if (fault !== undefined) report(first + index, tick.symbol, fault);
      return fault === undefined;
    });
  }
  reportDamage(contents.ticks + 1);
}

/** Why a tick cannot be published: a recording may come from anywhere. */
function faultOf({ symbol, exchange, depth }: RecordedTick, depthLevels: number): string | undefined {
  try {
    readSymbol(symbol);
    readExchange(exchange);
  } catch (error) {
    if (!(error instanceof OpenAlgoShmError)) throw error;
    return error.message;
  }
  const deepest = Math.max(depth?.buy.length ?? 0, depth?.sell.length ?? 0);
  if (deepest <= depthLevels) return undefined;
  return `has a book of ${deepest} levels a side, the ring has room for ${depthLevels}: create it with depthLevels ${deepest}`;
}
