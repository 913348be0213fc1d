/** Lets one at a time through, in the order of coming: what each does takes much memory, and lasts for several turns of the event loop. */
export class Turnstile {
  readonly #waiting: ((leave: () => void) => void)[] = [];
  #isTaken = false;

  /** Calls `pass` when it is its turn, at once if nobody is through. The next one's turn comes with the call of `leave`. */
  enter(pass: (leave: () => void) => void): void {
    if (this.#isTaken) this.#waiting.push(pass);
    else this.#letThrough(pass);
  }

  #letThrough(pass: (leave: () => void) => void): void {
    this.#isTaken = true;
    let hasLeft = false;
    pass(() => {
      if (hasLeft) return;
      hasLeft = true;
      const next = this.#waiting.shift();
      if (next === undefined) this.#isTaken = false;
      // Not within the call of the one before: thousands may wait.
      else setImmediate(() => this.#letThrough(next));
    });
  }
}
