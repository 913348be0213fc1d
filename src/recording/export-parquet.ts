import { open } from 'node:fs/promises';
import { fileWriter, ParquetWriter } from 'hyparquet-writer';
import { exportColumns, type Column, type ColumnType, type ExportOptions } from './export-columns.ts';
import { exportTo, type ExportedContents } from './export-file.ts';
import { readRecording } from './read-recording.ts';
import type { RecordedTick } from './recorded-tick.ts';

/** Rows that are encoded, and so kept in memory, together; fewer where they are of so many columns. */
const ROW_GROUP = 50_000;
const CELLS_OF_GROUP = 4_000_000;

const PARQUET_TYPES = {
  time: { type: 'INT64', converted_type: 'TIMESTAMP_MICROS' },
  text: { type: 'BYTE_ARRAY', converted_type: 'UTF8' },
  mode: { type: 'INT32' },
  number: { type: 'DOUBLE' },
} as const satisfies Record<ColumnType, object>;

/**
 * Writes a recording as Parquet, compressed with Snappy: times in µs UTC, numbers as doubles, null where a tick has
 * no value.
 *
 * @throws OpenAlgoShmError `ERR_FILE`, also where there is no row to write; `ERR_INVALID_OPTION`; `ERR_INVALID_ARGUMENT`
 *   where the file is the recording
 */
export async function exportParquet(
  recording: string,
  file: string,
  options: ExportOptions = {},
): Promise<ExportedContents> {
  const columns = exportColumns(options);
  return exportTo(recording, file, options, async ({ file: unfinished, contents, selected }) => {
    // Opened once: the reader of a pipe would see its end each time that it is closed.
    const opened = typeof unfinished === 'string' ? await open(unfinished, 'w') : undefined;
    // It passes the name to `writeFileSync` alone, which takes a descriptor as well.
    const writer = fileWriter((opened?.fd ?? unfinished) as string);
    const table = new ParquetWriter({ writer, schema: parquetSchema(columns), createdBy: 'openalgo-shm' });
    const groupRows = Math.min(ROW_GROUP, Math.ceil(CELLS_OF_GROUP / columns.length));
    let rows: RecordedTick[] = [];
    const writeRows = async (): Promise<void> => {
      if (rows.length === 0) return;
      await table.write({ columnData: columns.map((column) => columnData(column, rows)), rowGroupSize: rows.length });
      rows = [];
    };
    try {
      for await (const run of selected(readRecording(recording, contents))) {
        for (const tick of run) {
          rows.push(tick);
          if (rows.length === groupRows) await writeRows();
        }
      }
      await writeRows();
      await table.finish();
    } finally {
      await opened?.close();
    }
  });
}

function parquetSchema(columns: readonly Column[]) {
  return [
    { name: 'ticks', num_children: columns.length },
    ...columns.map(({ name, type }) => ({ name, repetition_type: 'OPTIONAL' as const, ...PARQUET_TYPES[type] })),
  ];
}

function columnData(column: Column, rows: readonly RecordedTick[]) {
  const data =
    column.type === 'time'
      ? rows.map(({ recordedMs }) => BigInt(Math.round(recordedMs * 1000)))
      : rows.map((tick) => column.valueOf(tick) ?? null);
  return { name: column.name, data };
}
