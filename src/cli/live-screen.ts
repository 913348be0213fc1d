const ENTER = '\u001b[?1049h\u001b[?25l';
const LEAVE = '\u001b[?25h\u001b[?1049l';

/** The whole terminal, drawn over and over; what was there before comes back at the end. */
export class LiveScreen {
  readonly #stream: NodeJS.WriteStream;
  readonly #close = (): void => this.close();
  #open = false;

  constructor(stream: NodeJS.WriteStream = process.stdout) {
    this.#stream = stream;
  }

  get lines(): number {
    return this.#stream.rows ?? 24;
  }

  get columns(): number {
    return this.#stream.columns ?? 80;
  }

  draw(text: string): void {
    if (!this.#open) {
      this.#stream.write(ENTER);
      // However this process ends, the terminal is as it was.
      process.once('exit', this.#close);
    }
    this.#open = true;
    const lines = text.split('\n').slice(0, this.lines);
    this.#stream.write(`\u001b[H${lines.map((line) => `${line}\u001b[K`).join('\n')}\u001b[J`);
  }

  close(): void {
    if (this.#open) this.#stream.write(LEAVE);
    process.off('exit', this.#close);
    this.#open = false;
  }
}
