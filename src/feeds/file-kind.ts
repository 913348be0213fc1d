import { OpenAlgoShmError } from '../errors.ts';
import { MAGIC } from '../recording/format.ts';
import { recordingKind } from '../recording/read-recording.ts';
import { JsonObjects } from './json-objects.ts';
import { beginningOf, decoded, type Encoding, encodingOf } from './text-file.ts';

/** A file of text: what its ticks are written as, how to read it, and its first characters. */
export interface TextFile {
  readonly kind: 'csv' | 'jsonl' | 'json';
  readonly isCompressed: boolean;
  readonly encoding: Encoding;
  readonly sample: string;
}

/** What a file is: a recording, a table of Parquet, or text. `json` is JSON that is not one value a line. */
export type FileKind = { readonly kind: 'recording' } | { readonly kind: 'parquet' } | TextFile;

const LOOK_BYTES = 1 << 16;
/** The letters that the magic of every version of a recording begins with. */
const RECORDING = MAGIC.subarray(0, 7);

/** What files that hold no text begin with, what they are, and what to do. */
const FOREIGN: readonly (readonly [start: string, what: string, remedy: string])[] = [
  ['PK\x03\x04', 'an Excel workbook or a ZIP archive', 'save the sheet as CSV, or unpack it'],
  ['\xd0\xcf\x11\xe0', 'an old Excel workbook', 'save the sheet as CSV'],
  ['\x28\xb5\x2f\xfd', 'compressed with Zstandard', 'decompress it with unzstd'],
  ['BZh', 'compressed with bzip2', 'decompress it with bunzip2'],
  ['\xfd7zXZ', 'compressed with xz', 'decompress it with unxz'],
  ['7z\xbc\xaf', 'a 7-Zip archive', 'unpack it'],
  ['SQLite format 3', 'an SQLite database', 'export the table as CSV'],
  ['ARROW1', 'a table of Arrow', 'write it as CSV, as in df.to_csv(…, index=False)'],
  ['FEA1', 'a table of Feather', 'write it as CSV, as in df.to_csv(…, index=False)'],
  ['\x89HDF', 'a table of HDF5', 'write it as CSV, as in df.to_csv(…, index=False)'],
  ['\x80\x04', 'a pickle of Python', 'write it as CSV, as in df.to_csv(…, index=False)'],
  ['\x80\x05', 'a pickle of Python', 'write it as CSV, as in df.to_csv(…, index=False)'],
  ['%PDF', 'a PDF', 'get the table as CSV'],
];
/** A table of AmiBroker begins with `<TICKER>`. */
const MARKUP = /^\s*<(?:[!?]|html|head|body|table|svg)/i;

/**
 * What a file is, by what it holds and not by its name.
 *
 * @param format what the caller knows of a text
 * @throws OpenAlgoShmError `ERR_FILE` where it cannot be read, or is of a kind that holds no ticks or none that can be read
 */
export async function fileKind(path: string, format: 'csv' | 'jsonl' | undefined): Promise<FileKind> {
  const recording = await recordingKind(path);
  if (recording === 'blocks') return { kind: 'recording' };
  const { bytes, isCompressed } = await beginningOf(path, LOOK_BYTES);
  // Where only the compressed rest of a damaged recording is left, the file does not begin as gzip does.
  if (recording === 'gzip' && (!isCompressed || bytes.includes(RECORDING))) return { kind: 'recording' };
  const start = bytes.toString('latin1', 0, 16);
  if (start.startsWith('PAR1')) {
    if (!isCompressed) return { kind: 'parquet' };
    throw unsuited(path, 'Parquet inside gzip', 'decompress it with gunzip');
  }
  const encoding = encodingOf(bytes);
  const sample = wholeLines(decoded(bytes, encoding), bytes.length >= LOOK_BYTES);
  const foreign = FOREIGN.find(([beginning]) => start.startsWith(beginning));
  if (foreign !== undefined) throw unsuited(path, foreign[1], foreign[2]);
  if (MARKUP.test(sample)) {
    throw unsuited(path, 'HTML or XML, perhaps the page of a failed download', 'get the table as CSV');
  }
  // Damage at its beginning: the reader of recordings looks for what is whole behind it.
  if (isCompressed && (bytes.length === 0 || sample.includes('\0'))) return { kind: 'recording' };
  if (sample.includes('\0')) throw unsuited(path, 'no text', 'ticks are read from CSV, JSON, Parquet and recordings');
  return { kind: textKind(sample, format), isCompressed, encoding, sample };
}

/** A text without the line that it was cut in: `1,40` of `1,402` would be another number. */
function wholeLines(text: string, isCut: boolean): string {
  const end = text.lastIndexOf('\n') + 1;
  return isCut && end > 0 ? text.slice(0, end) : text;
}

function textKind(sample: string, format: 'csv' | 'jsonl' | undefined): TextFile['kind'] {
  const text = sample.trimStart();
  if (format === 'csv' || (format === undefined && !text.startsWith('{') && !text.startsWith('['))) return 'csv';
  if (text.startsWith('[')) return 'json';
  const [first = '', second = ''] = text.split(/\n\s*/);
  const objects = [...new JsonObjects().read(first)].length;
  if (objects > 1) return 'json';
  return objects === 1 || second === '' || second.startsWith('{') ? 'jsonl' : 'json';
}

function unsuited(path: string, what: string, remedy: string): OpenAlgoShmError {
  return new OpenAlgoShmError('ERR_FILE', `${path} is ${what}: ${remedy}`);
}
