import { createWriteStream } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { exportColumns, type Column, type ExportOptions } from './export-columns.ts';
import { exportTo, type ExportedContents } from './export-file.ts';
import { readRecording } from './read-recording.ts';
import type { RecordedTick } from './recorded-tick.ts';

/**
 * Writes a recording as CSV with a header, UTF-8, times as ISO 8601 in UTC, nothing where a tick has no value.
 *
 * @throws OpenAlgoShmError `ERR_FILE`, also where there is no row to write; `ERR_INVALID_OPTION`; `ERR_INVALID_ARGUMENT`
 *   where the file is the recording
 */
export async function exportCsv(
  recording: string,
  file: string,
  options: ExportOptions = {},
): Promise<ExportedContents> {
  const columns = exportColumns(options);
  return exportTo(recording, file, options, ({ file: unfinished, contents, selected }) =>
    pipeline(
      Readable.from(csvText(selected(readRecording(recording, contents)), columns)),
      typeof unfinished === 'string'
        ? createWriteStream(unfinished)
        : createWriteStream('', { fd: unfinished, autoClose: false }),
    ),
  );
}

async function* csvText(runs: AsyncIterable<RecordedTick[]>, columns: readonly Column[]): AsyncGenerator<string> {
  yield `${columns.map(({ name }) => name).join(',')}\n`;
  for await (const run of runs) {
    yield run.map((tick) => `${columns.map((column) => cell(column, tick)).join(',')}\n`).join('');
  }
}

function cell(column: Column, tick: RecordedTick): string {
  const value = column.valueOf(tick);
  if (value === undefined) return '';
  if (column.type === 'time') return new Date(value).toISOString();
  return typeof value === 'number' ? String(value) : quoted(value);
}

function quoted(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
