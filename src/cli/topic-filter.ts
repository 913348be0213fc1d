/** Which instruments the user wants to see. */
export class TopicFilter {
  readonly #patterns: readonly RegExp[];
  readonly #text: string;

  /**
   * @param patterns `RELIANCE`, `NSE:RELIANCE`, or with wildcards `NIFTY*`, `NFO:*`; none means all
   * @param text what `EXCHANGE:SYMBOL` must contain beside that, in any case
   */
  constructor(patterns: readonly string[], text = '') {
    this.#patterns = patterns.map(asExpression);
    this.#text = text.toUpperCase();
  }

  matches(exchange: string, symbol: string): boolean {
    const topic = `${exchange}:${symbol}`;
    if (!topic.toUpperCase().includes(this.#text)) return false;
    return this.#patterns.length === 0 || this.#patterns.some((pattern) => pattern.test(topic));
  }
}

function asExpression(pattern: string): RegExp {
  const topic = pattern.includes(':') ? pattern : `*:${pattern}`;
  const source = topic.replaceAll(/[.+?^${}()|[\]\\]/g, String.raw`\$&`).replaceAll('*', '.*');
  return new RegExp(`^${source}$`, 'i');
}
