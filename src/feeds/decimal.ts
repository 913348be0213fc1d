// No digit can be matched in two ways, or a long text that is no number would take time with the square of its length.
const DECIMAL = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?$/i;
/** Commas between groups of digits: of three, or as India groups them, two and at last three. */
const GROUPED = /^[+-]?(?:\d{1,3}(?:,\d{3})+|\d{1,2}(?:,\d{2})+,\d{3})(?:\.\d*)?$/;

/** The number that a text spells in decimal notation, or undefined. Unlike `Number`, takes no hex and no blanks. */
export function parseDecimal(text: string): number | undefined {
  return DECIMAL.test(text) ? Number(text) : undefined;
}

/** The number that a text spells with commas between groups of digits, such as `1,23,456.50`, or undefined. */
export function parseGrouped(text: string): number | undefined {
  return GROUPED.test(text) ? Number(text.replaceAll(',', '')) : undefined;
}
