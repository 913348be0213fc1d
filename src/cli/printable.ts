/** A text for the terminal: what comes out of a file or from elsewhere may hold characters that command it. */
export function printable(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, '\uFFFD');
}
