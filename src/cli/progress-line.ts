/** A line that is written over and over on a terminal, and never in a pipe. */
export class ProgressLine {
  readonly #stream: NodeJS.WriteStream;
  #shown = false;

  constructor(stream: NodeJS.WriteStream = process.stderr) {
    this.#stream = stream;
  }

  /** True where somebody sees it. */
  get visible(): boolean {
    return this.#stream.isTTY === true;
  }

  show(text: string): void {
    if (!this.visible) return;
    this.#shown = true;
    this.#stream.write(`\r${text.slice(0, (this.#stream.columns ?? 80) - 1)}\u001b[K`);
  }

  /** Takes the line away, so that what is printed next begins on an empty one. */
  clear(): void {
    if (!this.#shown) return;
    this.#shown = false;
    this.#stream.write('\r\u001b[K');
  }

  /** Calls `text` every `ms` milliseconds and shows it, until the returned function is called. */
  refresh(ms: number, text: () => string): () => void {
    if (!this.visible) return () => {};
    const timer = setInterval(() => this.show(text()), ms);
    return () => {
      clearInterval(timer);
      this.clear();
    };
  }
}
