import { OpenAlgoShmError } from '../errors.ts';
import { parsePythonJson } from './python-json.ts';

/**
 * What Python prints in place of JSON: literals in apostrophes, words, dates, numbers of NumPy. A literal without an
 * end reaches to the end of the text: to look for another in it takes long in a long text.
 */
const PYTHON_TOKEN =
  /'((?:[^'\\]|\\[^])*)(?:'|$)|"((?:[^"\\]|\\[^])*)(?:"|$)|\b(True|False|None|nan|inf)\b|\bdatetime\.datetime\(([\d, ]{1,60})((?:, ?tzinfo=datetime\.timezone\.utc)?)\)|\bnp\.\w{1,12}\(([\w.+-]{1,40})\)|([()])/g;
const WORDS: Readonly<Record<string, string>> = {
  True: 'true',
  False: 'false',
  None: 'null',
  nan: '"NaN"',
  inf: '"Infinity"',
  '(': '[',
  ')': ']',
};

/**
 * Parses JSON, or what Python prints of a dictionary or a list.
 * @throws OpenAlgoShmError `ERR_MALFORMED_LINE`
 */
export function parseLooseJson(text: string): unknown {
  try {
    return parsePythonJson(text);
  } catch (error) {
    if (!text.includes("'")) throw noJson(error);
  }
  try {
    return JSON.parse(text.replaceAll(PYTHON_TOKEN, asJson));
  } catch (error) {
    throw noJson(error, ', nor what Python prints of a dictionary');
  }
}

function asJson(
  token: string,
  single: string | undefined,
  double: string | undefined,
  word: string | undefined,
  date: string | undefined,
  zone: string | undefined,
  numpy: string | undefined,
): string {
  const literal = single ?? double;
  if (literal !== undefined) return JSON.stringify(unescaped(literal));
  if (date !== undefined) return JSON.stringify(isoOf(date) + (zone === '' ? '' : 'Z'));
  if (numpy !== undefined) return WORDS[numpy] ?? numpy;
  return WORDS[word ?? token] ?? token;
}

/** `2024, 1, 2, 9, 15, 1, 500000`: Python leaves seconds and microseconds out where they are 0. */
function isoOf(parts: string): string {
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, micros = 0] = parts.split(',').map(Number);
  const two = (part: number): string => String(part).padStart(2, '0');
  const date = `${String(year).padStart(4, '0')}-${two(month)}-${two(day)}`;
  return `${date}T${two(hour)}:${two(minute)}:${two(second)}.${String(micros).padStart(6, '0')}`;
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t' };

function unescaped(literal: string): string {
  return literal.replaceAll(/\\(?:x([\da-f]{2})|u([\da-f]{4})|([^]))/gi, (_whole, byte, unit, other) => {
    const hex = byte ?? unit;
    return hex === undefined ? (ESCAPES[other] ?? other) : String.fromCharCode(Number.parseInt(hex, 16));
  });
}

function noJson(cause: unknown, more = ''): OpenAlgoShmError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new OpenAlgoShmError('ERR_MALFORMED_LINE', `is no JSON${more}: ${reason}`, { cause });
}
