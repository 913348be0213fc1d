/**
 * Every string literal, so that its content is passed over, and every number that JSON does not know. A literal without
 * an end reaches to the end of the text: to look for another in it takes long in a long text.
 */
const STRING_OR_NOT_FINITE = /"(?:[^"\\]|\\[^]?)*(?:"|$)|-?\bInfinity\b|\bNaN\b/g;

/**
 * Parses JSON as Python's `json.dumps` writes it, that is with bare `NaN`, `Infinity` and `-Infinity`.
 * These come out as the strings `"NaN"`, `"Infinity"` and `"-Infinity"`.
 * @throws SyntaxError where the text is no JSON beyond that
 */
export function parsePythonJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (!text.includes('NaN') && !text.includes('Infinity')) throw error;
    return JSON.parse(text.replace(STRING_OR_NOT_FINITE, (token) => (token.startsWith('"') ? token : `"${token}"`)));
  }
}
