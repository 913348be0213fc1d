import { emptyContents, readRecording } from '../recording/read-recording.ts';
import type { RecordedTick } from '../recording/recorded-tick.ts';
import { readExchange, readSymbol } from './dialect-values.ts';
import type { FileReport } from './file-report.ts';

/**
 * The ticks of what `record` wrote, as `Recording.read` gives those of lines: a tick counts as a line, a damaged
 * place, a tick of no possible instrument or a book that is too deep as a malformed one.
 *
 * @throws OpenAlgoShmError `ERR_FILE`; where `strict`, `ERR_MALFORMED_LINE`
 */
export async function* recordedTicks(file: string, report: FileReport): AsyncGenerator<RecordedTick[]> {
  const contents = emptyContents();
  const { progress } = report;
  let damages = 0;
  const reportDamage = (before: number): void => {
    for (; damages < contents.damages; damages++) report.malformed(before, '', 'the recording is damaged here');
  };
  for await (const ticks of readRecording(file, contents)) {
    const first = contents.ticks - ticks.length + 1;
    reportDamage(first);
    progress.lines += ticks.length;
    progress.bytesRead = contents.bytesRead;
    yield ticks.filter((tick, index) => report.take(first + index, tick.symbol, () => checked(tick)) !== undefined);
  }
  reportDamage(contents.ticks + 1);
}

/** A recording may come from anywhere: not every name in it can be published. */
function checked(tick: RecordedTick): RecordedTick {
  readSymbol(tick.symbol);
  readExchange(tick.exchange);
  return tick;
}
