/** An object of a text: the line on which it begins, and its text; undefined where it was too long to be kept. */
export interface JsonObject {
  readonly line: number;
  readonly text: string | undefined;
  /** False where the text ends within it, whatever it has swallowed on the way. */
  readonly isClosed: boolean;
}

/** Longest object, in UTF-16 units. */
const MAX_OBJECT = 1 << 20;

const CODE = {
  newline: 10,
  quote: 34,
  apostrophe: 39,
  comma: 44,
  bracketOpen: 91,
  backslash: 92,
  bracketClose: 93,
  braceOpen: 123,
  braceClose: 125,
} as const;

/**
 * Finds the objects of a text that comes in pieces: those of an array, of arrays one after another, or objects that
 * stand alone, over any number of lines. What stands between them and is no comma or bracket comes out as it is. One
 * object at a time is kept.
 */
export class JsonObjects {
  #text = '';
  #isOverlong = false;
  /** Braces that are open. */
  #depth = 0;
  /** The quote that closes the literal which is being read. Python writes apostrophes. */
  #quote = 0;
  #isEscaped = false;
  #line = 1;
  #beganAt = 1;

  /** The objects that are complete with this piece. */
  *read(piece: string): Generator<JsonObject> {
    let from = 0;
    for (let at = 0; at < piece.length; at++) {
      const code = piece.charCodeAt(at);
      if (code === CODE.newline) this.#line++;
      if (this.#quote !== 0) {
        if (this.#isEscaped) this.#isEscaped = false;
        else if (code === CODE.backslash) this.#isEscaped = true;
        else if (code === this.#quote) this.#quote = 0;
      } else if (this.#depth > 0) {
        if (code === CODE.quote || code === CODE.apostrophe) this.#quote = code;
        else if (code === CODE.braceOpen) this.#depth++;
        else if (code === CODE.braceClose && --this.#depth === 0) {
          this.#keep(piece.slice(from, at + 1));
          yield this.#take();
          from = at + 1;
        }
      } else if (code === CODE.braceOpen || isBetween(code)) {
        this.#keep(piece.slice(from, at));
        if (this.#text.trim() !== '' || this.#isOverlong) yield this.#take();
        this.#text = '';
        this.#beganAt = this.#line;
        from = code === CODE.braceOpen ? at : at + 1;
        if (code === CODE.braceOpen) this.#depth = 1;
      }
    }
    this.#keep(piece.slice(from));
  }

  /** What is left at the end of the text. */
  *end(): Generator<JsonObject> {
    if (this.#text.trim() !== '' || this.#isOverlong) yield this.#take();
  }

  #keep(text: string): void {
    if (this.#isOverlong) return;
    this.#text += text;
    this.#isOverlong = this.#text.length > MAX_OBJECT;
    if (this.#isOverlong) this.#text = '';
  }

  #take(): JsonObject {
    const text = this.#isOverlong ? undefined : this.#text.trim();
    const object = { line: this.#beganAt, text, isClosed: this.#depth === 0 };
    this.#text = '';
    this.#isOverlong = false;
    return object;
  }
}

/** What may stand between objects: commas, brackets and line ends. */
function isBetween(code: number): boolean {
  return code === CODE.comma || code === CODE.bracketOpen || code === CODE.bracketClose || code === CODE.newline;
}
