// No digit can be matched in two ways, or a long text that is no number would take time with the square of its length.
const DECIMAL = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?$/i;

/** The number that a text spells in decimal notation, or undefined. Unlike `Number`, takes no hex and no blanks. */
export function parseDecimal(text: string): number | undefined {
  return DECIMAL.test(text) ? Number(text) : undefined;
}
