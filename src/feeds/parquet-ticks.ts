import { asyncBufferFromFile, parquetMetadataAsync, parquetRead, type AsyncBuffer, type FileMetaData } from 'hyparquet';
import { OpenAlgoShmError } from '../errors.ts';
import type { RecordedTick } from '../recording/recorded-tick.ts';
import { ExportedTicks } from './exported-ticks.ts';
import type { FileReport } from './file-report.ts';

/**
 * The ticks of a table of Parquet that `export` made, a group of rows at a time. Each row counts as a line.
 *
 * @throws OpenAlgoShmError `ERR_FILE` where it cannot be read or was made by others: what their times mean is not known
 */
export async function* parquetTicks(path: string, report: FileReport): AsyncGenerator<RecordedTick[]> {
  const { file, metadata } = await opened(path);
  const [, ...columns] = metadata.schema.map(({ name }) => name);
  const exported = ExportedTicks.of(columns);
  if (exported === undefined) {
    throw new OpenAlgoShmError(
      'ERR_FILE',
      `${path} is a table of Parquet that openalgo-shm export has not made: write it as CSV, as in df.to_csv(…, index=False)`,
    );
  }
  let rowStart = 0;
  for (const { num_rows } of metadata.row_groups) {
    const rowEnd = rowStart + Number(num_rows);
    const rows = await rowsOf(path, { file, metadata, rowStart, rowEnd });
    const ticks: RecordedTick[] = [];
    for (const [index, row] of rows.entries()) {
      report.progress.lines++;
      if (exported.isCut(row)) report.progress.cutBooks++;
      const tick = report.take(rowStart + index + 1, '', () => exported.tickOf(row));
      if (tick !== undefined) ticks.push(tick);
    }
    rowStart = rowEnd;
    report.progress.bytesRead = Math.floor((file.byteLength * rowEnd) / Number(metadata.num_rows));
    yield ticks;
  }
  report.progress.bytesRead = file.byteLength;
}

async function opened(path: string): Promise<{ file: AsyncBuffer; metadata: FileMetaData }> {
  try {
    const file = await asyncBufferFromFile(path);
    return { file, metadata: await parquetMetadataAsync(file) };
  } catch (error) {
    throw unreadable(path, error);
  }
}

async function rowsOf(
  path: string,
  part: { file: AsyncBuffer; metadata: FileMetaData; rowStart: number; rowEnd: number },
): Promise<unknown[][]> {
  try {
    let rows: unknown[][] = [];
    // A row is an array: as an object, one of many columns takes several times the memory.
    await parquetRead({
      ...part,
      onComplete: (found) => {
        rows = found;
      },
    });
    return rows;
  } catch (error) {
    throw unreadable(path, error);
  }
}

function unreadable(path: string, cause: unknown): OpenAlgoShmError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new OpenAlgoShmError('ERR_FILE', `${path} is Parquet, and cannot be read: ${reason}`, { cause });
}
